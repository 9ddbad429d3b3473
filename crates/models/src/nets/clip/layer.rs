//! One block of a CLIP encoder: attention and MLP, each added to its input.

use burn::tensor::Tensor;

use super::config::Activation;
use crate::{
    error::ModelError,
    nets::layers::{LayerNorm, Linear},
    ops::{self, Mask},
    weights::WeightBuilder,
};

/// The sizes of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerShape {
    pub(crate) width: usize,
    pub(crate) mlp: usize,
    pub(crate) heads: usize,
    pub(crate) activation: Activation,
    /// Causal for text, none for images.
    pub(crate) mask: Mask,
}

/// Source: OpenAI CLIP `model.py`, `ResidualAttentionBlock`, under Hugging Face's names.
#[derive(Debug)]
pub(crate) struct Layer {
    norm1: LayerNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
    activation: Activation,
    mask: Mask,
}

impl Layer {
    pub(crate) fn new(shape: LayerShape, wb: &WeightBuilder<'_>, path: &str) -> Result<Self, ModelError> {
        let LayerShape { width, mlp, heads, activation, mask } = shape;
        let linear = |end: &str, inputs, outputs| Linear::new(wb, &format!("{path}.{end}"), inputs, outputs);
        Ok(Self {
            norm1: LayerNorm::new(wb, &format!("{path}.layer_norm1"), width)?,
            q: linear("self_attn.q_proj", width, width)?,
            k: linear("self_attn.k_proj", width, width)?,
            v: linear("self_attn.v_proj", width, width)?,
            out: linear("self_attn.out_proj", width, width)?,
            norm2: LayerNorm::new(wb, &format!("{path}.layer_norm2"), width)?,
            fc1: linear("mlp.fc1", width, mlp)?,
            fc2: linear("mlp.fc2", mlp, width)?,
            heads,
            activation,
            mask,
        })
    }

    /// # Shapes
    /// `[chunks, tokens, width]`, kept.
    pub(crate) fn forward(&self, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let h = self.norm1.forward(x.clone())?;
        let (q, k, v) = (self.q.forward(h.clone())?, self.k.forward(h.clone())?, self.v.forward(h)?);
        let x = x + self.out.forward(ops::attention(q, k, v, self.heads, self.mask)?)?;
        let h = self.fc1.forward(self.norm2.forward(x.clone())?)?;
        let h = match self.activation {
            Activation::QuickGelu => ops::quick_gelu(h)?,
            Activation::Gelu => ops::gelu(h)?,
        };
        Ok(x + self.fc2.forward(h)?)
    }
}
