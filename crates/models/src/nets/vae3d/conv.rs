//! Convolutions over frames, rows and columns that look back in time and never ahead.

use burn::tensor::Tensor;
use kiln_memory::Weight;

use super::past::Past;
use crate::{
    error::ModelError,
    ops::{self, Padding},
    weights::WeightBuilder,
};

/// Frames that one of a result is made of.
const KERNEL: usize = 3;

/// A causal convolution with a kernel of three frames: each sees itself and the two before it, zeros before the first.
#[derive(Debug)]
pub(super) struct CausalConv {
    weight: Weight,
    bias: Weight,
    padding: usize,
}

impl CausalConv {
    /// Takes `{name}.weight` `[outputs, inputs, 3, side, side]` and `{name}.bias` from the builder.
    pub(super) fn new(
        wb: &WeightBuilder<'_>,
        name: &str,
        [inputs, outputs]: [usize; 2],
        side: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: wb.get(&format!("{name}.weight"), &[outputs, inputs, KERNEL, side, side])?,
            bias: wb.get(&format!("{name}.bias"), &[outputs])?,
            padding: side / 2,
        })
    }

    /// The next chunk of a clip.
    ///
    /// # Shapes
    /// `[frames, inputs, h, w]` to `[frames, outputs, h, w]`.
    pub(super) fn forward(&self, x: Tensor<4>, past: &mut Past) -> Result<Tensor<4>, ModelError> {
        let (memory, keep) = past.turn();
        // Where only zeros come before it, a single frame meets the last slice of the kernel alone.
        if memory.frames.is_none() && x.dims()[0] == 1 {
            memory.frames = keep.then(|| x.clone());
            return self.apply(x, 1, 1);
        }
        self.apply(memory.lengthen(x, KERNEL - 1, keep), KERNEL, 1)
    }

    /// One result for each `step` frames of a sequence, from the third on.
    ///
    /// # Shapes
    /// `[frames, inputs, h, w]` to `[(frames - 3) / step + 1, outputs, h, w]`.
    pub(super) fn over(&self, frames: Tensor<4>, step: usize) -> Result<Tensor<4>, ModelError> {
        self.apply(frames, KERNEL, step)
    }

    /// The last `slices` of the kernel on as many neighbouring frames, which stand beside each other as channels.
    fn apply(&self, frames: Tensor<4>, slices: usize, step: usize) -> Result<Tensor<4>, ModelError> {
        let device = frames.device();
        let (weight, bias) = (self.weight.acquire::<5>(&device)?, self.bias.acquire::<1>(&device)?);
        let [outputs, inputs, _, rows, columns] = weight.tensor().dims();
        let kernel = weight.tensor().narrow(2, KERNEL - slices, slices).swap_dims(1, 2);
        let kernel = kernel.reshape([outputs, slices * inputs, rows, columns]);
        let windows = if slices == 1 { frames } else { windows(&frames, slices, step) };
        let padding = Padding::from(self.padding);
        Ok(ops::conv2d(windows, kernel, Some(bias.tensor()), 1, padding)?)
    }
}

/// Each frame with the `slices - 1` after it beside it as channels, one for each `step` frames.
fn windows(frames: &Tensor<4>, slices: usize, step: usize) -> Tensor<4> {
    let count = frames.dims()[0].saturating_sub(slices) / step + 1;
    let frame = |i: usize| frames.clone().narrow(0, i, 1);
    let shifted = |slice: usize| Tensor::cat((0..count).map(|i| frame(slice + i * step)).collect(), 0);
    Tensor::cat((0..slices).map(shifted).collect(), 1)
}

/// A convolution of single places: a linear layer along the channels.
#[derive(Debug)]
pub(super) struct PlaceConv {
    weight: Weight,
    bias: Weight,
    shape: [usize; 4],
}

impl PlaceConv {
    /// Takes `{name}.weight`, `[outputs, inputs]` and `ones` sides of 1, and `{name}.bias` from the builder.
    pub(super) fn new(
        wb: &WeightBuilder<'_>,
        name: &str,
        [inputs, outputs]: [usize; 2],
        ones: usize,
    ) -> Result<Self, ModelError> {
        let shape: Vec<usize> = [outputs, inputs].into_iter().chain(std::iter::repeat_n(1, ones)).collect();
        Ok(Self {
            weight: wb.get(&format!("{name}.weight"), &shape)?,
            bias: wb.get(&format!("{name}.bias"), &[outputs])?,
            shape: [outputs, inputs, 1, 1],
        })
    }

    /// # Shapes
    /// `[frames, inputs, h, w]` to `[frames, outputs, h, w]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let device = x.device();
        let weight = self.weight.acquire_as(self.shape, &device)?;
        let bias = self.bias.acquire::<1>(&device)?;
        Ok(ops::conv2d(x, weight.tensor(), Some(bias.tensor()), 1, 0)?)
    }
}
