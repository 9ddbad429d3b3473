//! The shape of an MMDiT as plain data, and how it is read off tensor names and shapes.
//!
//! Knows the original names only; diffusers' are renamed before they come here.

use crate::error::ModelError;
use kiln_memory::TensorShapes;

/// Width of an attention head, of all sizes that were published.
pub(super) const HEAD: usize = 64;

/// The sizes of Stable Diffusion 3's network, enough to name and shape every tensor of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MmditConfig {
    /// Channels of the latent.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Cells along a side of a token's patch.
    pub patch: usize,
    /// Width of a token; a multiple of 64.
    pub width: usize,
    /// Width between the two layers behind each attention.
    pub hidden: usize,
    /// Width of the pooled prompt.
    pub vector: usize,
    /// Width of the prompt's tokens.
    pub context: usize,
    /// Side of the table of positions; without one positions are computed.
    pub positions: Option<usize>,
    /// Whether queries and keys are normalised.
    pub qk_norm: bool,
    /// For each block: whether its image tokens have a second attention of their own.
    pub second_attention: Vec<bool>,
}

impl MmditConfig {
    /// Reads the configuration off the names and shapes of a network in original names, without prefix.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` naming what is missing or odd.
    pub fn from_names(names: &TensorShapes) -> Result<Self, ModelError> {
        if names.has("context_processor.layers.0.attn.qkv.weight") {
            return Err(odd("it is the 8B research form (`context_processor`), which is not supported".into()));
        }
        let (width, in_channels, patch) = patches(names)?;
        let area = patch * patch;
        let output = side(names, "final_layer.linear.weight", 0)?;
        if width % HEAD != 0 || output % area != 0 {
            let needed = format!("a width that {HEAD} divides and an output that {area} divides");
            return Err(odd(format!("its width is {width} and its output {output}, expected {needed}")));
        }
        let block = |i: usize| names.has(&format!("joint_blocks.{i}.x_block.attn2.qkv.weight"));
        Ok(Self {
            in_channels,
            out_channels: output / area,
            patch,
            width,
            hidden: side(names, "joint_blocks.0.x_block.mlp.fc1.weight", 0)?,
            vector: side(names, "y_embedder.mlp.0.weight", 1)?,
            context: side(names, "context_embedder.weight", 1)?,
            positions: table_side(names)?,
            qk_norm: names.has("joint_blocks.0.context_block.attn.ln_q.weight"),
            second_attention: (0..names.count("joint_blocks.")).map(block).collect(),
        })
    }

    /// Number of attention heads.
    pub fn heads(&self) -> usize {
        self.width / HEAD
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.second_attention.len()
    }

    /// About how many bytes a forward holds beside its weights, for a latent of `[batch, height, width]` cells and a prompt
    /// of 154 tokens: two copies of the tokens, three projections and the layers behind the attention.
    pub fn activations(&self, [batch, height, width]: [usize; 3]) -> u64 {
        let area = (self.patch * self.patch).max(1);
        let tokens = batch * (height * width / area + 154);
        4 * (tokens * (6 * self.width + self.hidden)) as u64
    }
}

/// Width, channels and side of a patch.
fn patches(names: &TensorShapes) -> Result<(usize, usize, usize), ModelError> {
    let name = "x_embedder.proj.weight";
    match names.shape(name) {
        Some(&[width, channels, patch, other]) if patch == other && width > 0 && channels > 0 && patch > 0 => {
            Ok((width, channels, patch))
        }
        Some(found) => Err(odd(format!("`{name}` is {found:?}, expected [width, channels, patch, patch]"))),
        None => Err(odd(format!("`{name}` is missing"))),
    }
}

/// The side of the square that the table of positions has a row for each place of.
fn table_side(names: &TensorShapes) -> Result<Option<usize>, ModelError> {
    let Some(shape) = names.shape("pos_embed") else { return Ok(None) };
    let rows = shape.iter().rev().nth(1).copied().unwrap_or(0);
    let side = rows.isqrt();
    if side > 0 && side * side == rows {
        return Ok(Some(side));
    }
    Err(odd(format!("`pos_embed` is {shape:?}, expected a square number of rows")))
}

fn side(names: &TensorShapes, name: &str, axis: usize) -> Result<usize, ModelError> {
    match names.side(name, axis) {
        Some(side) if side > 0 => Ok(side),
        Some(_) => Err(odd(format!("`{name}` has an empty side"))),
        None => Err(odd(format!("`{name}` is missing"))),
    }
}

fn odd(detail: String) -> ModelError {
    ModelError::Unrecognised { what: "a network of Stable Diffusion 3".into(), detail }
}
