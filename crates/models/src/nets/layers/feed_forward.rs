//! The two layers of a transformer's block that look at each token alone.

use burn::tensor::Tensor;

use super::Linear;
use crate::{error::ModelError, nets::activations::ActivationTap, ops, weights::WeightBuilder};

/// `second(gelu(first(x)))` with GELU by tanh.
#[derive(Debug, Clone)]
pub struct FeedForward {
    first: Linear,
    second: Linear,
}

impl FeedForward {
    /// Takes both layers, with biases, from the builder by their names.
    pub(crate) fn new(
        wb: &WeightBuilder<'_>,
        [first, second]: [&str; 2],
        width: usize,
        hidden: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self { first: Linear::new(wb, first, width, hidden)?, second: Linear::new(wb, second, hidden, width)? })
    }

    /// # Shapes
    /// `[batch, tokens, width]`, kept.
    /// # Errors
    /// When the weights can't be had or the input's width is another.
    pub fn forward(&self, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        self.forward_tapped(x, ActivationTap::default(), "")
    }

    /// Records the first layer's output under `name`.
    pub(crate) fn forward_tapped(
        &self,
        x: Tensor<3>,
        tap: ActivationTap<'_>,
        name: &str,
    ) -> Result<Tensor<3>, ModelError> {
        let h = self.first.forward(x)?;
        tap.record(name, &h);
        self.second.forward(ops::gelu_tanh(h)?)
    }
}
