//! `MASK`: a batch of one-channel images. Knows nothing of what it masks.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_exec::{NodeError, object};

use super::tensor::{check_count, tensor_bytes, values};

/// Masks of equal size: `[batch, height, width]`, 0 to 1 in f32.
#[derive(Clone, Debug)]
pub struct Mask(Arc<Tensor<3>>);

object!(Mask, "MASK", |m| tensor_bytes(&m.0), storage: |m| Some(Arc::as_ptr(&m.0).addr() as u64));

impl Mask {
    /// Wraps `[batch, height, width]`.
    pub fn new(values: Tensor<3>) -> Self {
        Self(Arc::new(values))
    }

    /// From values in row-major order.
    ///
    /// # Errors
    /// When there are not `b * h * w` of them.
    pub fn from_values(values: Vec<f32>, dims: [usize; 3], device: &Device) -> Result<Self, NodeError> {
        check_count(values.len(), &dims)?;
        Ok(Self::new(Tensor::from_data(TensorData::new(values, dims), device)))
    }

    /// The tensor, `[batch, height, width]`.
    pub fn tensor(&self) -> Tensor<3> {
        (*self.0).clone()
    }

    /// Batch, height, width.
    pub fn dims(&self) -> [usize; 3] {
        self.0.dims()
    }

    /// All values on the host, row-major.
    ///
    /// # Errors
    /// When the device fails.
    pub fn values(&self) -> Result<Vec<f32>, NodeError> {
        values(self.tensor())
    }

    /// `[batch, 1, height, width]`.
    pub fn planes(&self) -> Tensor<4> {
        self.tensor().unsqueeze_dim(1)
    }

    /// Back from `[batch, 1, height, width]`.
    pub fn from_planes(planes: Tensor<4>) -> Self {
        let [b, _, h, w] = planes.dims();
        Self::new(planes.slice([0..b, 0..1, 0..h, 0..w]).reshape([b, h, w]))
    }
}
