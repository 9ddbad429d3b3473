//! A convolution over neighbouring frames.

use burn::tensor::Tensor;
use kiln_memory::Weight;

use crate::{
    error::ModelError,
    ops::{self, Padding},
    weights::WeightBuilder,
};

/// A three-dimensional convolution with the kernel (3, 1, 1): each place sees itself one frame before and one after.
/// Beyond both ends there are zeros.
#[derive(Debug, Clone)]
pub(crate) struct FrameConv {
    weight: Weight,
    bias: Weight,
}

impl FrameConv {
    /// Frames that one of the result is made of.
    const KERNEL: usize = 3;

    /// Takes `{name}.weight` `[outputs, inputs, 3, 1, 1]` and `{name}.bias` from the builder.
    pub(crate) fn new(wb: &WeightBuilder<'_>, name: &str, inputs: usize, outputs: usize) -> Result<Self, ModelError> {
        Ok(Self {
            weight: wb.get(&format!("{name}.weight"), &[outputs, inputs, Self::KERNEL, 1, 1])?,
            bias: wb.get(&format!("{name}.bias"), &[outputs])?,
        })
    }

    /// # Shapes
    /// `[clips, in, frames, places]` to `[clips, out, frames, places]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let device = x.device();
        let (weight, bias) = (self.weight.acquire::<5>(&device)?, self.bias.acquire::<1>(&device)?);
        let [outputs, inputs, kernel, ..] = weight.tensor().dims();
        let weight = weight.tensor().reshape([outputs, inputs, kernel, 1]);
        let padding = Padding { top: kernel / 2, bottom: kernel / 2, ..Padding::default() };
        Ok(ops::conv2d(x, weight, Some(bias.tensor()), 1, padding)?)
    }
}
