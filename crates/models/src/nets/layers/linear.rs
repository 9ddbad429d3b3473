//! A linear layer over weight handles.

use burn::tensor::{Device, Tensor};
use kiln_memory::{Weight, WeightGuard};

use crate::{error::ModelError, ops, weights::WeightBuilder};

/// `y = x · weightᵀ + bias`.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Weight,
    bias: Option<Weight>,
}

impl Linear {
    /// Takes `{name}.weight` `[outputs, inputs]` and `{name}.bias` `[outputs]` from the builder.
    ///
    /// # Errors
    /// Of the builder.
    pub fn new(wb: &WeightBuilder<'_>, name: &str, inputs: usize, outputs: usize) -> Result<Self, ModelError> {
        let bias = wb.get(&format!("{name}.bias"), &[outputs])?;
        Ok(Self { bias: Some(bias), ..Self::without_bias(wb, name, inputs, outputs)? })
    }

    /// As [`Linear::new`], for layers that have no bias.
    ///
    /// # Errors
    /// Of the builder.
    pub fn without_bias(wb: &WeightBuilder<'_>, name: &str, inputs: usize, outputs: usize) -> Result<Self, ModelError> {
        Ok(Self { weight: wb.get(&format!("{name}.weight"), &[outputs, inputs])?, bias: None })
    }

    /// With a bias or without, as the configuration has it.
    pub(crate) fn with_bias(
        wb: &WeightBuilder<'_>,
        name: &str,
        [inputs, outputs]: [usize; 2],
        bias: bool,
    ) -> Result<Self, ModelError> {
        let new = if bias { Self::new } else { Self::without_bias };
        new(wb, name, inputs, outputs)
    }

    /// # Shapes
    /// `[batch, tokens, in]` to `[batch, tokens, out]`.
    /// # Errors
    /// When the weights can't be had or the input's width is another.
    pub fn forward(&self, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        self.with(&x.device(), |weight, bias| Ok(ops::linear(x, weight, bias)?))
    }

    /// # Shapes
    /// `[rows, in]` to `[rows, out]`.
    /// # Errors
    /// As [`Linear::forward`].
    pub fn forward2(&self, x: Tensor<2>) -> Result<Tensor<2>, ModelError> {
        self.with(&x.device(), |weight, bias| Ok(ops::linear2(x, weight, bias)?))
    }

    fn with<R>(
        &self,
        device: &Device,
        run: impl FnOnce(Tensor<2>, Option<Tensor<1>>) -> Result<R, ModelError>,
    ) -> Result<R, ModelError> {
        let weight = self.weight.acquire::<2>(device)?;
        let bias = self.bias.as_ref().map(|bias| bias.acquire::<1>(device)).transpose()?;
        run(weight.tensor(), bias.as_ref().map(WeightGuard::tensor))
    }
}
