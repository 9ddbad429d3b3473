//! Attention of a map to texts: each head of channels counts as much as its best text fits.

use burn::tensor::{Tensor, activation};
use kiln_memory::Weight;

use super::conv_norm::{ConvNorm, ConvShape};
use crate::{error::ModelError, nets::layers::Linear, ops, weights::WeightBuilder};

/// The sizes of an attention to texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaxSigmoidShape {
    pub(super) channels: usize,
    pub(super) heads: usize,
    pub(super) text: usize,
    pub(super) fused: bool,
}

/// Source: Cheng et al. 2024, eq. 4; ultralytics `MaxSigmoidAttnBlock`.
#[derive(Debug)]
pub(super) struct MaxSigmoid {
    guide: Linear,
    bias: Weight,
    values: ConvNorm,
    shape: MaxSigmoidShape,
}

impl MaxSigmoid {
    pub(super) fn new(wb: &WeightBuilder<'_>, name: &str, shape: MaxSigmoidShape) -> Result<Self, ModelError> {
        let MaxSigmoidShape { channels, heads, text, fused } = shape;
        let conv = ConvShape { inputs: channels, outputs: channels, kernel: 3, stride: 1, fused };
        Ok(Self {
            guide: Linear::new(wb, &format!("{name}.gl"), text, channels)?,
            bias: wb.get(&format!("{name}.bias"), &[heads])?,
            values: ConvNorm::new(wb, &format!("{name}.proj_conv"), conv)?.linear(),
            shape,
        })
    }

    /// # Shapes
    /// `x` `[1, channels, h, w]`, `text` `[classes, text]`; returns the shape of `x`.
    pub(super) fn forward(&self, x: Tensor<4>, text: &Tensor<2>) -> Result<Tensor<4>, ModelError> {
        let ([_, channels, height, width], heads) = (x.dims(), self.shape.heads);
        let depth = channels / heads;
        let guide = self.guide.forward2(text.clone())?;
        let classes = guide.dims()[0];
        let score = |head: usize| {
            let guide = guide.clone().narrow(1, head * depth, depth).reshape([classes, depth, 1, 1]);
            let fits = ops::conv2d(x.clone().narrow(1, head * depth, depth), guide, None, 1, 0)?;
            Ok::<_, ModelError>(fits.max_dim(1))
        };
        let scores = (0..heads).map(score).collect::<Result<Vec<_>, _>>()?;
        let bias = self.bias.acquire_as([1, heads, 1, 1], &x.device())?.tensor();
        let share = activation::sigmoid(Tensor::cat(scores, 1) / (depth as f64).sqrt() + bias);
        let values = self.values.forward(x)?.reshape([heads, depth, height, width]);
        Ok((values * share.reshape([heads, 1, height, width])).reshape([1, channels, height, width]))
    }
}
