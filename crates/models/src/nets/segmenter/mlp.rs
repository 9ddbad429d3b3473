//! Linear layers with GELU between them.

use burn::tensor::Tensor;

use crate::{error::ModelError, nets::layers::Linear, ops, weights::WeightBuilder};

/// `fc(gelu(layer(... gelu(layer(x)))))`.
#[derive(Debug)]
pub(super) struct Mlp {
    layers: Vec<Linear>,
    last: Linear,
}

impl Mlp {
    /// Takes `{name}.layers.i.0` and `{name}.fc`; `widths` are the channels before, between and behind them.
    pub(super) fn new(wb: &WeightBuilder<'_>, name: &str, widths: &[usize]) -> Result<Self, ModelError> {
        let pairs: Vec<(usize, usize)> = widths.iter().copied().zip(widths.iter().skip(1).copied()).collect();
        let (inner, last) = pairs.split_at(pairs.len().saturating_sub(1));
        let layer =
            |(i, (from, to)): (usize, &(usize, usize))| Linear::new(wb, &format!("{name}.layers.{i}.0"), *from, *to);
        let (from, to) = last.first().copied().unwrap_or_default();
        Ok(Self {
            layers: inner.iter().enumerate().map(layer).collect::<Result<_, _>>()?,
            last: Linear::new(wb, &format!("{name}.fc"), from, to)?,
        })
    }

    pub(super) fn forward(&self, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let layer = |x, layer: &Linear| Ok::<_, ModelError>(ops::gelu(layer.forward(x)?)?);
        self.last.forward(self.layers.iter().try_fold(x, layer)?)
    }
}
