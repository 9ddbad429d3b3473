//! What is the same for every block of one forward pass.

use burn::tensor::Tensor;

use crate::nets::{activations::ActivationTap, hooks::ActiveHooks};

/// What is the same for every block of one forward pass.
pub(crate) struct Pass<'a> {
    /// The time embedding after its SiLU, which every residual block starts with.
    pub(crate) embed: Tensor<2>,
    pub(crate) context: &'a Tensor<3>,
    pub(crate) tap: ActivationTap<'a>,
    /// What the model carries to change the pass.
    pub(crate) hooks: ActiveHooks<'a>,
}
