//! What networks of other files do inside of a UNet's transformers: between its attentions, and to what those look at.
//!
//! Knows tensors and places. Knows none of those networks.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::error::ModelError;

/// Changes tokens between self-attention and attention to the context.
pub trait BetweenAttentions: std::fmt::Debug + Send + Sync {
    /// The changed tokens of the transformer of that number, counted from the first input block to the last output block.
    ///
    /// # Shapes
    /// `x` `[batch, tokens, channels]`, kept.
    /// # Errors
    /// When there is nothing for that transformer, or of the network.
    fn changed(&self, transformer: usize, x: Tensor<3>) -> Result<Tensor<3>, ModelError>;
}

/// Changes what attention makes its keys and values of.
pub trait KeyValueChange: std::fmt::Debug + Send + Sync {
    /// The changed sources of keys and of values.
    ///
    /// # Shapes
    /// Both `[batch, keys, width]`, kept.
    /// # Errors
    /// Of the network.
    fn changed(&self, pair: KeyValueSources) -> Result<KeyValueSources, ModelError>;
}

/// What keys and values are made of: the same, until something changes it.
#[derive(Debug, Clone)]
pub struct KeyValueSources {
    /// Of keys, `[batch, keys, width]`.
    pub keys: Tensor<3>,
    /// Of values, of the same shape.
    pub values: Tensor<3>,
}

/// Changes of keys and values in the order of the nodes; equal where they are the same ones.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyValueChanges(pub(super) Vec<Arc<dyn KeyValueChange>>);

impl PartialEq for KeyValueChanges {
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&Arc<dyn KeyValueChange>, &Arc<dyn KeyValueChange>)| Arc::ptr_eq(a, b);
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }
}
