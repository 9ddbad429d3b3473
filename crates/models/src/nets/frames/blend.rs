//! A learned share by which two maps are mixed.

use burn::tensor::{Tensor, activation};
use kiln_memory::Weight;

use crate::{error::ModelError, weights::WeightBuilder};

/// One number; its sigmoid is the share of the first of two tensors.
#[derive(Debug, Clone)]
pub(crate) struct Blend {
    factor: Weight,
}

impl Blend {
    /// Takes `name` `[1]` from the builder.
    pub(crate) fn new(wb: &WeightBuilder<'_>, name: &str) -> Result<Self, ModelError> {
        Ok(Self { factor: wb.get(name, &[1])? })
    }

    /// `share · first + (1 - share) · second`.
    pub(crate) fn mix<const D: usize>(&self, first: Tensor<D>, second: Tensor<D>) -> Result<Tensor<D>, ModelError> {
        let factor = self.factor.acquire::<1>(&first.device())?;
        let share = activation::sigmoid(factor.tensor()).reshape([1; D]);
        let rest = share.clone().neg().add_scalar(1.0);
        Ok(first * share + second * rest)
    }
}
