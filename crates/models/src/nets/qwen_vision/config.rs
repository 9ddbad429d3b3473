//! The shape of Qwen2.5-VL's vision tower as plain data, and how it is read off tensor names and shapes.

use crate::error::ModelError;
use kiln_memory::TensorShapes;

/// The sizes of a vision tower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QwenVisionConfig {
    /// Channels per patch.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads; not in a file, 80 channels each in the published one.
    pub heads: usize,
    /// Channels inside the MLP.
    pub mlp: usize,
    /// Channels inside the merger, of a cell's patches together.
    pub merged: usize,
    /// Channels per row that comes out: the language model's.
    pub output: usize,
}

impl QwenVisionConfig {
    /// Reads the configuration off names and shapes in Hugging Face's names, from `visual.` on; `None` when there is no
    /// tower.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` when it starts like one but its shapes make no sense.
    pub fn from_names(names: &TensorShapes) -> Result<Option<Self>, ModelError> {
        let Some(patches) = names.shape("visual.patch_embed.proj.weight") else { return Ok(None) };
        let [width, 3, 2, 14, 14] = *patches else {
            return Err(unrecognised(format!("its patches are {patches:?}, expected [width, 3, 2, 14, 14]")));
        };
        let side = |name: &str| names.side(name, 0).ok_or_else(|| unrecognised(format!("`{name}` is missing")));
        let layers = names.count("visual.blocks.");
        let mlp = side("visual.blocks.0.mlp.gate_proj.weight")?;
        let (merged, output) = (side("visual.merger.mlp.0.weight")?, side("visual.merger.mlp.2.weight")?);
        let heads = if width.is_multiple_of(80) { width / 80 } else { (width / 64).max(1) };
        Ok(Some(Self { width, layers, heads, mlp, merged, output }))
    }

    /// This tower with another number of attention heads.
    #[must_use]
    pub fn with_heads(mut self, heads: usize) -> Self {
        self.heads = heads;
        self
    }
}

pub(super) fn unrecognised(detail: String) -> ModelError {
    ModelError::Unrecognised { what: "Qwen2.5-VL's vision tower".into(), detail }
}
