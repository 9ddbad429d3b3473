//! `IMAGE`: a batch of images. Knows pixels, no files.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_exec::{NodeError, object};

use super::tensor::{check_count, tensor_bytes, values};

/// Images of equal size: `[batch, height, width, channels]`, 0 to 1 in f32, 3 channels or 4 with opacity.
#[derive(Clone, Debug)]
pub struct Image(Arc<Tensor<4>>);

object!(Image, "IMAGE", |i| tensor_bytes(&i.0), storage: |i| Some(Arc::as_ptr(&i.0).addr() as u64));

impl Image {
    /// Wraps `[batch, height, width, channels]`.
    pub fn new(pixels: Tensor<4>) -> Self {
        Self(Arc::new(pixels))
    }

    /// From values in row-major order.
    ///
    /// # Errors
    /// When there are not `b * h * w * c` of them.
    pub fn from_values(values: Vec<f32>, dims: [usize; 4], device: &Device) -> Result<Self, NodeError> {
        check_count(values.len(), &dims)?;
        Ok(Self::new(Tensor::from_data(TensorData::new(values, dims), device)))
    }

    /// The tensor, `[batch, height, width, channels]`.
    pub fn pixels(&self) -> Tensor<4> {
        (*self.0).clone()
    }

    /// Batch, height, width, channels.
    pub fn dims(&self) -> [usize; 4] {
        self.0.dims()
    }

    /// All values on the host, row-major.
    ///
    /// # Errors
    /// When the device fails.
    pub fn values(&self) -> Result<Vec<f32>, NodeError> {
        values(self.pixels())
    }

    /// Bytes as files hold them: 255 times the value, cut to 0..255 and truncated. NaN becomes 0.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NodeError> {
        Ok(self.values()?.into_iter().map(|v| (v * 255.0).clamp(0.0, 255.0) as u8).collect())
    }

    /// The image with a channel dimension of 3: opacity left out, grey repeated.
    pub fn rgb(&self) -> Self {
        let [b, h, w, c] = self.dims();
        match c {
            3 => self.clone(),
            0..=2 => Self::new(self.pixels().slice([0..b, 0..h, 0..w, 0..1]).repeat_dim(3, 3)),
            _ => Self::new(self.pixels().slice([0..b, 0..h, 0..w, 0..3])),
        }
    }

    /// `[batch, channels, height, width]`, as networks and resizing want it.
    pub fn planes(&self) -> Tensor<4> {
        self.pixels().permute([0, 3, 1, 2])
    }

    /// Back from `[batch, channels, height, width]`.
    pub fn from_planes(planes: Tensor<4>) -> Self {
        Self::new(planes.permute([0, 2, 3, 1]))
    }
}
