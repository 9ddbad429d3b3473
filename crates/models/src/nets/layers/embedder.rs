//! The small network that makes a vector of a model's width from a number's sinusoids or a pooled prompt.

use burn::tensor::Tensor;

use super::Linear;
use crate::{error::ModelError, ops, weights::WeightBuilder};

/// `second(silu(first(x)))`.
#[derive(Debug, Clone)]
pub struct Embedder {
    first: Linear,
    second: Linear,
}

impl Embedder {
    /// Takes both layers, with biases, from the builder by their names.
    pub(crate) fn new(
        wb: &WeightBuilder<'_>,
        [first, second]: [&str; 2],
        inputs: usize,
        width: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self::of(Linear::new(wb, first, inputs, width)?, Linear::new(wb, second, width, width)?))
    }

    /// Of two layers, of any widths and with biases or without.
    pub(crate) fn of(first: Linear, second: Linear) -> Self {
        Self { first, second }
    }

    /// # Shapes
    /// `[batch, inputs]` to `[batch, width]`.
    /// # Errors
    /// When the weights can't be had or the input's width is another.
    pub fn forward(&self, x: Tensor<2>) -> Result<Tensor<2>, ModelError> {
        self.second.forward2(ops::silu(self.first.forward2(x)?)?)
    }
}
