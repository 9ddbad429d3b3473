//! The shape of a T5 encoder as plain data, and how it is read off tensor names and shapes.

use crate::error::ModelError;
use kiln_memory::TensorShapes;

/// The sizes of a T5 encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct T5Config {
    /// Rows of the token table.
    pub vocabulary: usize,
    /// Channels per token.
    pub width: usize,
    /// Channels of all heads together.
    pub inner: usize,
    /// Attention heads.
    pub heads: usize,
    /// Channels inside the MLP.
    pub mlp: usize,
    /// Blocks.
    pub layers: usize,
    /// Buckets that distances between tokens fall into.
    pub buckets: usize,
    /// Whether each block has a table of distances of its own (umT5); otherwise the first one's serves all.
    pub own_distances: bool,
}

impl T5Config {
    /// Reads the configuration off names and shapes in Hugging Face's names.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` naming what is missing or odd.
    pub fn from_names(names: &TensorShapes) -> Result<Self, ModelError> {
        let [vocabulary, width] = matrix(names, "shared.weight")?;
        let block = "encoder.block.0.layer";
        let [inner, _] = matrix(names, &format!("{block}.0.SelfAttention.q.weight"))?;
        let [buckets, heads] = matrix(names, &format!("{block}.0.SelfAttention.relative_attention_bias.weight"))?;
        let [mlp, _] = matrix(names, &format!("{block}.1.DenseReluDense.wi_0.weight"))?;
        if heads == 0 || inner % heads != 0 || buckets < 4 || buckets % 4 != 0 {
            let detail = format!("{heads} heads with {buckets} distances don't fit {inner} channels");
            return Err(unrecognised(detail));
        }
        let own_distances = names.has("encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight");
        let layers = names.count("encoder.block.");
        Ok(Self { vocabulary, width, inner, heads, mlp, layers, buckets, own_distances })
    }
}

fn matrix(names: &TensorShapes, name: &str) -> Result<[usize; 2], ModelError> {
    let shape = names.shape(name).ok_or_else(|| unrecognised(format!("`{name}` is missing")))?;
    shape.try_into().map_err(|_| unrecognised(format!("`{name}` is {shape:?}, expected two sides")))
}

fn unrecognised(detail: String) -> ModelError {
    ModelError::Unrecognised { what: "a T5 text encoder".into(), detail }
}
