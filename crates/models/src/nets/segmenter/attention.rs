//! Attention of tokens to others, in a width of its own.

use burn::tensor::Tensor;

use crate::{
    error::ModelError,
    nets::layers::Linear,
    ops::{self, Mask},
    weights::WeightBuilder,
};

/// Queries, keys and values brought to `inner` channels, and back.
#[derive(Debug)]
pub(super) struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    heads: usize,
}

impl Attention {
    pub(super) fn new(
        wb: &WeightBuilder<'_>,
        name: &str,
        [width, inner]: [usize; 2],
        heads: usize,
    ) -> Result<Self, ModelError> {
        let linear = |end: &str, from, to| Linear::new(wb, &format!("{name}.{end}_proj"), from, to);
        let (q, k, v) = (linear("q", width, inner)?, linear("k", width, inner)?, linear("v", width, inner)?);
        Ok(Self { q, k, v, out: linear("out", inner, width)?, heads })
    }

    /// # Shapes
    /// `q` `[batch, tokens, width]`, `k` and `v` `[batch, keys, width]`; returns the shape of `q`.
    pub(super) fn forward(&self, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let (q, k, v) = (self.q.forward(q)?, self.k.forward(k)?, self.v.forward(v)?);
        self.out.forward(ops::attention(q, k, v, self.heads, Mask::None)?)
    }
}
