//! Attention of a transformer block: to the context, or to the map itself with whatever the model carries to change it.

use burn::tensor::Tensor;

use crate::nets::hooks::{ActiveHooks, AttentionRecord, KeyValueSources, MiddleAttention, Undo};
use crate::{
    error::ModelError,
    nets::layers::Linear,
    ops::{self, Mask},
    weights::WeightBuilder,
};

/// Projections to queries, keys and values, and back.
#[derive(Debug)]
pub(crate) struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    heads: usize,
}

impl Attention {
    pub(crate) fn new(
        wb: &WeightBuilder<'_>,
        path: &str,
        channels: usize,
        context: usize,
        heads: usize,
    ) -> Result<Self, ModelError> {
        let plain = |end: &str, inputs| Linear::without_bias(wb, &format!("{path}.{end}"), inputs, channels);
        Ok(Self {
            q: plain("to_q", channels)?,
            k: plain("to_k", context)?,
            v: plain("to_v", context)?,
            out: Linear::new(wb, &format!("{path}.to_out.0"), channels, channels)?,
            heads,
        })
    }

    /// # Shapes
    /// `x` `[batch, tokens, channels]`, kept; `context` `[batch, keys, width]`.
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        context: Tensor<3>,
        hooks: &ActiveHooks<'_>,
    ) -> Result<Tensor<3>, ModelError> {
        let q = self.q.forward(x)?;
        let KeyValueSources { keys, values } = hooks.sources(context)?;
        let (k, v) = (self.k.forward(keys)?, self.v.forward(values)?);
        self.out.forward(ops::attention(q, k, v, self.heads, Mask::None)?)
    }

    /// Attention of a map to itself. `sides`: its rows and columns where the middle may be recorded.
    pub(super) fn to_itself(
        &self,
        x: Tensor<3>,
        hooks: &ActiveHooks<'_>,
        sides: Option<[usize; 2]>,
    ) -> Result<Tensor<3>, ModelError> {
        let KeyValueSources { keys, values } = hooks.sources(x.clone())?;
        let v = self.v.forward(values)?;
        if let MiddleAttention::Itself = hooks.middle {
            return self.out.forward(v);
        }
        let k = self.k.forward(keys)?;
        let (queries, undo) = hooks.queries(x)?;
        let q = self.q.forward(queries)?;
        if let (MiddleAttention::Recorded(recorder), Some(sides)) = (hooks.middle, sides) {
            let (answers, weights) = self.recorded(q, k, v)?;
            recorder.set(AttentionRecord { weights, sides });
            return self.out.forward(answers);
        }
        let (k, v) = undo.iter().fold((k, v), |(k, v), undo| match undo {
            Undo::Grid(grid) => (grid.runs(k), grid.runs(v)),
            Undo::Matching(_) => (k, v),
        });
        let answers = self.out.forward(ops::attention(q, k, v, self.heads, Mask::None)?)?;
        undo.into_iter().try_fold(answers, |answers, undo| undo.put_back(answers))
    }

    /// Attention with its weights written out: the results, and for each key the sum of its weights over all queries, as
    /// the mean over heads.
    fn recorded(&self, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Result<(Tensor<3>, Tensor<2>), ModelError> {
        let [batch, tokens, width] = q.dims();
        let each = width / self.heads;
        let split = |x: Tensor<3>| x.reshape([batch, tokens, self.heads, each]).swap_dims(1, 2);
        let (q, k, v) = (split(q), split(k), split(v));
        let weights = ops::softmax(q.matmul(k.swap_dims(2, 3)) * (1.0 / (each as f32).sqrt()))?;
        let looks = weights.clone().mean_dim(1).sum_dim(2).reshape([batch, tokens]);
        Ok((weights.matmul(v).swap_dims(1, 2).reshape([batch, tokens, width]), looks))
    }
}
