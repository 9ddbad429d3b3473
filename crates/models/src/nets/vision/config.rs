//! The shape of a CLIP image encoder as plain data, and how it is read off tensor names and shapes.

use crate::{error::ModelError, nets::clip::Activation};
use kiln_memory::TensorShapes;

/// The sizes of a CLIP image encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisionConfig {
    /// Side of the square of pixels that becomes a token.
    pub patch: usize,
    /// Side of the image.
    pub image: usize,
    /// Channels per token.
    pub width: usize,
    /// Transformer blocks.
    pub layers: usize,
    /// Attention heads; not in a file, 16 in all of CLIP's.
    pub heads: usize,
    /// Channels inside the MLP.
    pub mlp: usize,
    /// Activation of the MLP; not in a file.
    pub activation: Activation,
    /// Width of the projected output, if there is a projection.
    pub projection: Option<usize>,
}

impl VisionConfig {
    /// Reads the configuration off names and shapes in Hugging Face's names; `None` when they are no image encoder's.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` when it starts like one but its shapes make no sense.
    pub fn from_names(names: &TensorShapes) -> Result<Option<Self>, ModelError> {
        let Some(shape) = names.shape("vision_model.embeddings.patch_embedding.weight") else { return Ok(None) };
        let positions = names.side("vision_model.embeddings.position_embedding.weight", 0).unwrap_or(0);
        let side = positions.saturating_sub(1).isqrt();
        let ([width, 3, patch, other], true) = (shape, side * side + 1 == positions) else {
            return Err(unrecognised(format!("its patches are {shape:?} and it has {positions} positions")));
        };
        let layers = names.count("vision_model.encoder.layers.");
        let heads = if *width < 1024 { (width / 64).max(1) } else { 16 };
        if patch != other || width % heads != 0 {
            return Err(unrecognised(format!("its patches are {shape:?}")));
        }
        Ok(Some(Self {
            patch: *patch,
            image: side * patch,
            width: *width,
            layers,
            heads,
            mlp: names.side("vision_model.encoder.layers.0.mlp.fc1.weight", 0).unwrap_or(width * 4),
            activation: if layers > 24 { Activation::Gelu } else { Activation::QuickGelu },
            projection: names.side("visual_projection.weight", 0),
        }))
    }

    /// This encoder with another number of attention heads.
    #[must_use]
    pub fn with_heads(mut self, heads: usize) -> Self {
        self.heads = heads;
        self
    }
}

fn unrecognised(detail: String) -> ModelError {
    ModelError::Unrecognised { what: "a CLIP image encoder".into(), detail }
}
