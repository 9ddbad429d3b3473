//! The trait of text encoders, whatever their sizes.

use burn::tensor::Tensor;

use crate::{error::ModelError, nets::clip::Token};

/// A text encoder: rows of tokens to hidden states.
///
/// Which layer's state is returned, and whether the final norm is applied to it, is the encoder's own setting
/// (clip skip).
pub trait TextEncoder {
    /// Encodes all rows as one batch.
    ///
    /// # Shapes
    /// Each row has the same length `T`. `hidden` is `[B, T, width]`, `pooled` `[B, P]`.
    /// # Errors
    /// Whatever the network finds wrong with its inputs.
    fn encode(&self, rows: &[Vec<Token>]) -> Result<Encoded, ModelError>;
}

/// What a text encoder returns.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Hidden states of the chosen layer, `[B, T, width]`.
    pub hidden: Tensor<3>,
    /// The state at the first end token, projected where the family does so, `[B, P]`.
    pub pooled: Tensor<2>,
}
