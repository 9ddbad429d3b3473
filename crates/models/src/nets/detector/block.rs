//! The blocks between a detector's halvings: chains of bottlenecks whose parts are joined, and pooling at three widths.

use burn::tensor::{Tensor, module};

use super::attention::{MaxSigmoid, MaxSigmoidShape};
use super::conv_norm::{ConvNorm, ConvShape};
use crate::{error::ModelError, weights::WeightBuilder};

/// Two convolutions, added to their input where the block says so.
#[derive(Debug)]
struct Bottleneck {
    first: ConvNorm,
    second: ConvNorm,
    adds: bool,
}

impl Bottleneck {
    fn new(wb: &WeightBuilder<'_>, name: &str, channels: usize, adds: bool, fused: bool) -> Result<Self, ModelError> {
        let shape = ConvShape { inputs: channels, outputs: channels, kernel: 3, stride: 1, fused };
        let conv = |end: &str| ConvNorm::new(wb, &format!("{name}.{end}"), shape);
        Ok(Self { first: conv("cv1")?, second: conv("cv2")?, adds })
    }

    fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let y = self.second.forward(self.first.forward(x.clone())?)?;
        Ok(if self.adds { x + y } else { y })
    }
}

/// The sizes of a chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChainShape {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) repeats: usize,
    pub(super) fused: bool,
}

/// `C2f` and `C2fAttn`: halves, what each bottleneck makes of the one before, and what attention to the texts makes of the
/// last, side by side into one convolution.
#[derive(Debug)]
pub(super) struct Chain {
    entrance: ConvNorm,
    bottlenecks: Vec<Bottleneck>,
    texts: Option<MaxSigmoid>,
    exit: ConvNorm,
}

impl Chain {
    /// A chain that adds, without texts.
    pub(super) fn new(wb: &WeightBuilder<'_>, name: &str, shape: ChainShape) -> Result<Self, ModelError> {
        Self::build(wb, name, shape, None)
    }

    /// A chain with attention to texts `text` wide, by so many heads.
    pub(super) fn with_texts(
        wb: &WeightBuilder<'_>,
        name: &str,
        shape: ChainShape,
        heads: usize,
        text: usize,
    ) -> Result<Self, ModelError> {
        let attention = MaxSigmoidShape { channels: shape.outputs / 2, heads, text, fused: shape.fused };
        let attention = MaxSigmoid::new(wb, &format!("{name}.attn"), attention)?;
        Self::build(wb, name, shape, Some(attention))
    }

    fn build(
        wb: &WeightBuilder<'_>,
        name: &str,
        shape: ChainShape,
        texts: Option<MaxSigmoid>,
    ) -> Result<Self, ModelError> {
        let ChainShape { inputs, outputs, repeats, fused } = shape;
        let half = outputs / 2;
        let conv = |end: &str, inputs, outputs| {
            let shape = ConvShape { inputs, outputs, kernel: 1, stride: 1, fused };
            ConvNorm::new(wb, &format!("{name}.{end}"), shape)
        };
        let bottleneck = |i| Bottleneck::new(wb, &format!("{name}.m.{i}"), half, texts.is_none(), fused);
        let parts = 2 + repeats + usize::from(texts.is_some());
        Ok(Self {
            entrance: conv("cv1", inputs, outputs)?,
            bottlenecks: (0..repeats).map(bottleneck).collect::<Result<_, _>>()?,
            exit: conv("cv2", parts * half, outputs)?,
            texts,
        })
    }

    /// # Shapes
    /// `x` `[1, inputs, h, w]`, `text` `[classes, text]` (not looked at by a chain without texts); returns
    /// `[1, outputs, h, w]`.
    pub(super) fn forward(&self, x: Tensor<4>, text: &Tensor<2>) -> Result<Tensor<4>, ModelError> {
        let both = self.entrance.forward(x)?;
        let half = both.dims()[1] / 2;
        let mut last = both.clone().narrow(1, half, half);
        let mut parts = vec![both];
        for bottleneck in &self.bottlenecks {
            last = bottleneck.forward(last)?;
            parts.push(last.clone());
        }
        if let Some(texts) = &self.texts {
            parts.push(texts.forward(last, text)?);
        }
        self.exit.forward(Tensor::cat(parts, 1))
    }
}

/// Pooling of 5, 9 and 13 places' width beside the map itself.
#[derive(Debug)]
pub(super) struct Pooling {
    entrance: ConvNorm,
    exit: ConvNorm,
}

impl Pooling {
    pub(super) fn new(wb: &WeightBuilder<'_>, name: &str, channels: usize, fused: bool) -> Result<Self, ModelError> {
        let conv = |end: &str, inputs, outputs| {
            let shape = ConvShape { inputs, outputs, kernel: 1, stride: 1, fused };
            ConvNorm::new(wb, &format!("{name}.{end}"), shape)
        };
        Ok(Self { entrance: conv("cv1", channels, channels / 2)?, exit: conv("cv2", channels / 2 * 4, channels)? })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let mut parts = vec![self.entrance.forward(x)?];
        for i in 0..3 {
            parts.push(module::max_pool2d(parts[i].clone(), [5, 5], [1, 1], [2, 2], [1, 1], false));
        }
        self.exit.forward(Tensor::cat(parts, 1))
    }
}
