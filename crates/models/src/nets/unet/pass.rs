//! One forward pass of a UNet: what all of its blocks share. Knows no block.

use burn::tensor::Tensor;

use crate::nets::{activations::ActivationTap, hooks::ActiveHooks};

/// What all blocks of one forward pass share.
pub(crate) struct Pass<'a> {
    /// The time embedding after its SiLU, which every residual block starts with.
    pub(crate) embed: Tensor<2>,
    pub(crate) context: &'a Tensor<3>,
    /// How many items of the batch, one after the other, are one clip.
    pub(crate) frames: usize,
    pub(crate) tap: ActivationTap<'a>,
    /// What the model carries to change the pass.
    pub(crate) hooks: ActiveHooks<'a>,
}
