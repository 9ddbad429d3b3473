//! One block of the image encoder: attention of all places to all, and an MLP, each added to its input.

use burn::tensor::Tensor;

use super::config::SegmenterConfig;
use crate::{
    error::ModelError,
    nets::layers::{LayerNorm, Linear},
    ops::{self, Mask},
    weights::WeightBuilder,
};

/// Under the roots of the encoder's norms.
pub(super) const EPS: f64 = 1e-6;

/// A block of a plain vision transformer.
#[derive(Debug)]
pub(super) struct Block {
    norm1: LayerNorm,
    qkv: Linear,
    out: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
}

impl Block {
    pub(super) fn new(config: &SegmenterConfig, wb: &WeightBuilder<'_>, name: &str) -> Result<Self, ModelError> {
        let SegmenterConfig { width, heads, mlp, .. } = *config;
        let norm = |end: &str| Ok::<_, ModelError>(LayerNorm::new(wb, &format!("{name}.{end}"), width)?.with_eps(EPS));
        let linear = |end: &str, from, to| Linear::new(wb, &format!("{name}.{end}"), from, to);
        Ok(Self {
            norm1: norm("norm1")?,
            qkv: linear("attn.qkv", width, 3 * width)?,
            out: linear("attn.proj", width, width)?,
            norm2: norm("norm2")?,
            fc1: linear("mlp.fc1", width, mlp)?,
            fc2: linear("mlp.fc2", mlp, width)?,
            heads,
        })
    }

    /// # Shapes
    /// `[1, places, width]`, kept.
    pub(super) fn forward(&self, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let width = x.dims()[2];
        let qkv = self.qkv.forward(self.norm1.forward(x.clone())?)?;
        let part = |i: usize| qkv.clone().narrow(2, i * width, width);
        let x = x + self.out.forward(ops::attention(part(0), part(1), part(2), self.heads, Mask::None)?)?;
        let h = ops::gelu(self.fc1.forward(self.norm2.forward(x.clone())?)?)?;
        Ok(x + self.fc2.forward(h)?)
    }
}
