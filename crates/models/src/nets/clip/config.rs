//! The shape of a CLIP text encoder as plain data, and how it is read off tensor names and shapes.
//!
//! Knows Hugging Face's names only; OpenCLIP's are renamed before they come here.

use crate::error::ModelError;
use kiln_memory::TensorShapes;

/// The function between the two layers of a block's MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x · sigmoid(1.702 x)` (OpenAI's CLIP-L).
    QuickGelu,
    /// Exact GELU (OpenCLIP's H and bigG).
    Gelu,
}

/// The sizes of a CLIP text encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextConfig {
    /// Rows of the token table.
    pub vocabulary: usize,
    /// Longest input.
    pub positions: usize,
    /// Channels per token.
    pub width: usize,
    /// Transformer blocks.
    pub layers: usize,
    /// Blocks behind these that the encoder was trained with and the file leaves out, since its family never looks at
    /// their output (diffusers' SD2 files hold 23 of OpenCLIP-H's 24). Layers are counted from the end with them.
    pub dropped: usize,
    /// Attention heads; not in a file, `width / 64`.
    pub heads: usize,
    /// Channels inside the MLP.
    pub mlp: usize,
    /// Activation of the MLP; not in a file.
    pub activation: Activation,
    /// Width of the projected pooled output, if there is a projection.
    pub projection: Option<usize>,
    /// The id that fills places left by vectors of another width: 49407 for CLIP-L, 0 for the others.
    pub pad: u32,
}

impl TextConfig {
    /// Reads the configuration off names and shapes in Hugging Face's names, from `text_model.` on.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` naming what is missing or odd.
    pub fn from_names(names: &TensorShapes, activation: Activation) -> Result<Self, ModelError> {
        let table = matrix(names, "text_model.embeddings.token_embedding.weight")?;
        let positions = matrix(names, "text_model.embeddings.position_embedding.weight")?;
        let layers = names.count("text_model.encoder.layers.");
        let mlp = matrix(names, "text_model.encoder.layers.0.mlp.fc1.weight")?;
        let width = table[1];
        let heads = (width / 64).max(1);
        if width % heads != 0 {
            return Err(unrecognised(format!("its width {width} doesn't split into heads of 64")));
        }
        Ok(Self {
            vocabulary: table[0],
            positions: positions[0],
            width,
            layers,
            dropped: 0,
            heads,
            mlp: mlp[0],
            activation,
            projection: names.side("text_projection.weight", 0),
            pad: if activation == Activation::QuickGelu { crate::nets::layers::Token::END } else { 0 },
        })
    }

    /// This encoder with another number of attention heads.
    #[must_use]
    pub fn with_heads(mut self, heads: usize) -> Self {
        self.heads = heads;
        self
    }

    /// This encoder, of a file that leaves out so many of its last blocks.
    #[must_use]
    pub fn with_dropped(mut self, dropped: usize) -> Self {
        self.dropped = dropped;
        self
    }
}

fn matrix(names: &TensorShapes, name: &str) -> Result<[usize; 2], ModelError> {
    let shape = names.shape(name).ok_or_else(|| unrecognised(format!("`{name}` is missing")))?;
    shape.try_into().map_err(|_| unrecognised(format!("`{name}` is {shape:?}, expected two sides")))
}

fn unrecognised(detail: String) -> ModelError {
    ModelError::Unrecognised { what: "a CLIP text encoder".into(), detail }
}
