//! Normalisations over weight handles.

use burn::tensor::Tensor;
use kiln_memory::Weight;

use crate::{error::ModelError, ops, weights::WeightBuilder};

/// Group normalisation, optionally followed by SiLU.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    weight: Weight,
    bias: Weight,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    /// Takes `{name}.weight` and `{name}.bias`, both `[channels]`, from the builder.
    pub(crate) fn new(
        wb: &WeightBuilder<'_>,
        name: &str,
        groups: usize,
        channels: usize,
        eps: f64,
    ) -> Result<Self, ModelError> {
        let (weight, bias) = pair(wb, name, channels)?;
        Ok(Self { weight, bias, groups, eps })
    }

    /// # Shapes
    /// `[batch, channels, h, w]`, kept.
    /// # Errors
    /// When the weights can't be had or the input has other channels.
    pub fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        self.run(x, false)
    }

    /// Followed by `x · sigmoid(x)`.
    ///
    /// # Errors
    /// As [`GroupNorm::forward`].
    pub fn forward_silu(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        self.run(x, true)
    }

    fn run(&self, x: Tensor<4>, silu: bool) -> Result<Tensor<4>, ModelError> {
        let device = x.device();
        let (weight, bias) = (self.weight.acquire::<1>(&device)?, self.bias.acquire::<1>(&device)?);
        Ok(ops::group_norm(x, weight.tensor(), bias.tensor(), self.groups, self.eps, silu)?)
    }
}

/// Layer normalisation over the last axis.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Weight,
    bias: Weight,
    eps: f64,
}

impl LayerNorm {
    /// torch's default.
    const EPS: f64 = 1e-5;

    /// Takes `{name}.weight` and `{name}.bias`, both `[width]`, from the builder.
    pub(crate) fn new(wb: &WeightBuilder<'_>, name: &str, width: usize) -> Result<Self, ModelError> {
        let (weight, bias) = pair(wb, name, width)?;
        Ok(Self { weight, bias, eps: Self::EPS })
    }

    /// This norm with another number under its root.
    #[must_use]
    pub(crate) fn with_eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// # Shapes
    /// `[batch, tokens, width]`, kept.
    /// # Errors
    /// When the weights can't be had or the input has another width.
    pub fn forward(&self, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let device = x.device();
        let (weight, bias) = (self.weight.acquire::<1>(&device)?, self.bias.acquire::<1>(&device)?);
        Ok(ops::layer_norm(x, weight.tensor(), bias.tensor(), self.eps)?)
    }
}

/// Root-mean-square normalisation over the last axis, or over each head of it.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    weight: Weight,
    eps: f64,
}

impl RmsNorm {
    /// Takes `key` `[width]` from the builder: files call it `weight` or `scale`, so the whole name is given.
    pub(crate) fn new(wb: &WeightBuilder<'_>, key: &str, width: usize, eps: f64) -> Result<Self, ModelError> {
        Ok(Self { weight: wb.get(key, &[width])?, eps })
    }

    /// # Shapes
    /// `[..., heads · width]`, kept.
    /// # Errors
    /// When the weights can't be had or their width does not divide the input's.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, ModelError> {
        let weight = self.weight.acquire::<1>(&x.device())?;
        Ok(ops::rms_norm(x, weight.tensor(), self.eps)?)
    }
}

fn pair(wb: &WeightBuilder<'_>, name: &str, width: usize) -> Result<(Weight, Weight), ModelError> {
    let take = |end: &str| wb.get(&format!("{name}.{end}"), &[width]);
    Ok((take("weight")?, take("bias")?))
}
