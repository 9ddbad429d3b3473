//! What a UNet has beside the layout of Stable Diffusion 1 to XL.

use kiln_memory::TensorShapes;

use crate::error::ModelError;

/// What a UNet has beside the plain layout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Variant {
    /// Nothing.
    #[default]
    Plain,
    /// Layers over frames behind each residual block and in each transformer (SVD, SV3D).
    Video {
        /// Whether frames attend to the context, too.
        context: bool,
    },
    /// A table of noise levels in place of a network for a vector (Stable Diffusion's x4 upscaler).
    Upscaler {
        /// Rows of the table.
        levels: usize,
        /// For each level of the UNet: whether its first attention, too, is to the context.
        context_only: Vec<bool>,
    },
    /// A projection of image embedding and camera to the context (Stable Zero123).
    Posed {
        /// Width of embedding and camera together.
        inputs: usize,
    },
}

impl Variant {
    /// Reads it off names and shapes in original names, of a UNet of so many levels.
    pub(super) fn from_names(names: &TensorShapes, levels: usize) -> Result<Self, ModelError> {
        let any = |part: &str| names.iter().any(|(name, _)| name.contains(part));
        if any(".time_stack.0.attn1.to_q.weight") {
            return Ok(Self::Video { context: any(".time_stack.0.attn2.to_q.weight") });
        }
        match (names.shape("label_emb.weight"), names.shape("cc_projection.weight")) {
            (Some([rows, _]), _) => Ok(Self::Upscaler { levels: *rows, context_only: context_only(names, levels) }),
            (None, Some([_, inputs])) => Ok(Self::Posed { inputs: *inputs }),
            (None, None) => Ok(Self::Plain),
            (Some(shape), _) | (None, Some(shape)) => Err(ModelError::Unrecognised {
                what: "a UNet".into(),
                detail: format!("`label_emb.weight` or `cc_projection.weight` is {shape:?}, expected two sides"),
            }),
        }
    }
}

/// Where keys of the first attention come from something else than its queries, by level.
fn context_only(names: &TensorShapes, levels: usize) -> Vec<bool> {
    let (mut found, mut level) = (vec![false; levels], 0);
    for n in 0..names.count("input_blocks.") {
        let side = |end: &str| names.side(&format!("input_blocks.{n}.1.transformer_blocks.0.attn1.{end}.weight"), 1);
        if names.has(&format!("input_blocks.{n}.0.op.weight")) {
            level += 1;
        } else if let (Some(queries), Some(keys), Some(found)) = (side("to_q"), side("to_k"), found.get_mut(level)) {
            *found = queries != keys;
        }
    }
    found
}
