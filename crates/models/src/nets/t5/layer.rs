//! One block of T5's encoder: attention and gated MLP, each added to its input.

use burn::tensor::Tensor;
use kiln_memory::Weight;

use super::{config::T5Config, distance::Distances};
use crate::{
    error::ModelError,
    nets::layers::{Linear, RmsNorm},
    ops,
    weights::WeightBuilder,
};

/// Added under the root of every norm.
pub(super) const EPS: f64 = 1e-6;

/// Source: transformers, `T5Block` of an encoder with a gated MLP.
#[derive(Debug)]
pub(super) struct Layer {
    norm1: RmsNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    /// `[buckets, heads]`, where the block has a table of its own.
    pub(super) distances: Option<Weight>,
    norm2: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
    heads: usize,
}

impl Layer {
    pub(super) fn new(config: &T5Config, wb: &WeightBuilder<'_>, index: usize) -> Result<Self, ModelError> {
        let T5Config { width, inner, mlp, heads, buckets, .. } = *config;
        let path = format!("encoder.block.{index}.layer");
        let linear = |end: &str, inputs, outputs| Linear::without_bias(wb, &format!("{path}.{end}"), inputs, outputs);
        let norm = |half: usize| RmsNorm::new(wb, &format!("{path}.{half}.layer_norm.weight"), width, EPS);
        let table = format!("{path}.0.SelfAttention.relative_attention_bias.weight");
        let own = index == 0 || config.own_distances;
        Ok(Self {
            norm1: norm(0)?,
            q: linear("0.SelfAttention.q", width, inner)?,
            k: linear("0.SelfAttention.k", width, inner)?,
            v: linear("0.SelfAttention.v", width, inner)?,
            distances: own.then(|| wb.get(&table, &[buckets, heads])).transpose()?,
            out: linear("0.SelfAttention.o", inner, width)?,
            norm2: norm(1)?,
            gate: linear("1.DenseReluDense.wi_0", width, mlp)?,
            up: linear("1.DenseReluDense.wi_1", width, mlp)?,
            down: linear("1.DenseReluDense.wo", mlp, width)?,
            heads,
        })
    }

    /// # Shapes
    /// `[batch, tokens, width]`, kept.
    pub(super) fn forward(&self, x: Tensor<3>, distances: &Distances) -> Result<Tensor<3>, ModelError> {
        let h = self.norm1.forward(x.clone())?;
        let (q, k, v) = (self.q.forward(h.clone())?, self.k.forward(h.clone())?, self.v.forward(h)?);
        // Not divided by the root of the width: T5's first weights allow for it.
        let h = ops::biased_attention(q, k, v, self.heads, 1.0, |head| distances.of_head(head))?;
        let x = x + self.out.forward(h)?;
        let h = self.norm2.forward(x.clone())?;
        let h = ops::gelu_tanh(self.gate.forward(h.clone())?)? * self.up.forward(h)?;
        Ok(x + self.down.forward(h)?)
    }
}
