//! One block of the vision tower: attention in windows or over the whole image, and a gated MLP.

use burn::tensor::Tensor;

use super::config::QwenVisionConfig;
use crate::{
    error::ModelError,
    nets::layers::{Linear, RmsNorm},
    ops::{self, Mask, Pairs, Rotary},
    weights::WeightBuilder,
};

/// Added under the root of every norm.
pub(super) const EPS: f64 = 1e-6;

/// Source: transformers, `Qwen2_5_VLVisionBlock`.
#[derive(Debug)]
pub(super) struct Block {
    norm1: RmsNorm,
    qkv: Linear,
    out: Linear,
    norm2: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
    heads: usize,
    width: usize,
}

impl Block {
    pub(super) fn new(config: &QwenVisionConfig, wb: &WeightBuilder<'_>, index: usize) -> Result<Self, ModelError> {
        let QwenVisionConfig { width, heads, mlp, .. } = *config;
        let path = format!("visual.blocks.{index}");
        let norm = |end: &str| RmsNorm::new(wb, &format!("{path}.{end}.weight"), width, EPS);
        let linear = |end: &str, inputs, outputs| Linear::new(wb, &format!("{path}.{end}"), inputs, outputs);
        Ok(Self {
            norm1: norm("norm1")?,
            qkv: linear("attn.qkv", width, 3 * width)?,
            out: linear("attn.proj", width, width)?,
            norm2: norm("norm2")?,
            gate: linear("mlp.gate_proj", width, mlp)?,
            up: linear("mlp.up_proj", width, mlp)?,
            down: linear("mlp.down_proj", mlp, width)?,
            heads,
            width,
        })
    }

    /// `windows`: lengths of the runs of patches that see each other.
    ///
    /// # Shapes
    /// `x` `[1, patches, width]`, kept.
    pub(super) fn forward(&self, x: Tensor<3>, rotary: &Rotary, windows: &[usize]) -> Result<Tensor<3>, ModelError> {
        let qkv = self.qkv.forward(self.norm1.forward(x.clone())?)?;
        let third = |n: usize| qkv.clone().narrow(2, n * self.width, self.width);
        let (q, k) = (rotary.turn(third(0), Pairs::Halves)?, rotary.turn(third(1), Pairs::Halves)?);
        let v = third(2);
        let mut start = 0;
        let mut seen = Vec::with_capacity(windows.len());
        for length in windows {
            let part = |x: &Tensor<3>| x.clone().narrow(1, start, *length);
            seen.push(ops::attention(part(&q), part(&k), part(&v), self.heads, Mask::None)?);
            start += length;
        }
        let x = x + self.out.forward(Tensor::cat(seen, 1))?;
        let h = self.norm2.forward(x.clone())?;
        let h = ops::silu_product(self.gate.forward(h.clone())?, self.up.forward(h)?)?;
        Ok(x + self.down.forward(h)?)
    }
}
