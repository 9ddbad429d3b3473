//! A convolution over weight handles.

use burn::tensor::Tensor;
use kiln_memory::{Weight, WeightGuard};

use crate::{
    error::ModelError,
    ops::{self, Padding},
    weights::WeightBuilder,
};

/// A two-dimensional convolution.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Weight,
    bias: Option<Weight>,
    stride: usize,
    padding: Padding,
}

impl Conv2d {
    /// Takes `{name}.weight` `[outputs, inputs, kernel, kernel]` and `{name}.bias` from the builder. Stride 1, and as
    /// much padding as keeps the size.
    pub(crate) fn new(
        wb: &WeightBuilder<'_>,
        name: &str,
        inputs: usize,
        outputs: usize,
        kernel: usize,
    ) -> Result<Self, ModelError> {
        let bias = wb.get(&format!("{name}.bias"), &[outputs])?;
        Ok(Self { bias: Some(bias), ..Self::without_bias(wb, name, inputs, outputs, kernel)? })
    }

    /// As [`Conv2d::new`], for layers that have no bias.
    pub(crate) fn without_bias(
        wb: &WeightBuilder<'_>,
        name: &str,
        inputs: usize,
        outputs: usize,
        kernel: usize,
    ) -> Result<Self, ModelError> {
        let weight = wb.get(&format!("{name}.weight"), &[outputs, inputs, kernel, kernel])?;
        Ok(Self { weight, bias: None, stride: 1, padding: (kernel / 2).into() })
    }

    #[must_use]
    pub(crate) fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    #[must_use]
    pub(crate) fn with_padding(self, padding: impl Into<Padding>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// # Shapes
    /// `[batch, in, h, w]` to `[batch, out, h', w']`.
    /// # Errors
    /// When the weights can't be had or the input has other channels.
    pub fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let device = x.device();
        let weight = self.weight.acquire::<4>(&device)?;
        let bias = self.bias.as_ref().map(|bias| bias.acquire::<1>(&device)).transpose()?;
        Ok(ops::conv2d(x, weight.tensor(), bias.as_ref().map(WeightGuard::tensor), self.stride, self.padding)?)
    }
}
