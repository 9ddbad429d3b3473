//! The shape of Qwen-Image's network as plain data, and how it is read off tensor names and shapes.

use crate::{
    error::ModelError,
    nets::patches::{Order, Patches},
};
use kiln_memory::TensorShapes;

/// A token is a patch of 2 x 2 cells.
pub(super) const PATCHES: Patches = Patches { side: 2, order: Order::ChannelSlowest };
/// Cells of a patch.
pub(super) const AREA: usize = PATCHES.side * PATCHES.side;
/// An empty tensor that says: reference latents are modulated as at time step 0.
const ZERO_MARK: &str = "__index_timestep_zero__";

/// The sizes of Qwen-Image's network, enough to name and shape every tensor of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QwenImageConfig {
    /// Channels of the latent.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Width of a token.
    pub width: usize,
    /// Width between the two layers behind each attention.
    pub hidden: usize,
    /// Width of the prompt's tokens.
    pub context: usize,
    /// Number of blocks.
    pub blocks: usize,
    /// Width of an attention head.
    pub head: usize,
    /// How much of a head each of the three axes of positions takes. Files don't say.
    pub axes: [usize; 3],
    /// Whether the file asks for references that are clean at every time step (Qwen-Image-Edit 2511).
    pub clean_references: bool,
}

impl QwenImageConfig {
    /// Reads the configuration off the names and shapes of a network without prefix.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` naming what is missing or odd, or the kind of a relative that is not supported.
    pub fn from_names(names: &TensorShapes) -> Result<Self, ModelError> {
        if names.has("time_text_embed.addition_t_embedding.weight") {
            let kind = "it is Qwen-Image-Layered (`time_text_embed.addition_t_embedding`), which is not supported";
            return Err(odd(kind.into()));
        }
        if names.has("controlnet_x_embedder.weight") || names.has("control_img_in.weight") {
            return Err(odd("it is a ControlNet of Qwen-Image, which is not supported".into()));
        }
        let side = |name: &str, axis| side(names, name, axis);
        let (width, features) = (side("img_in.weight", 0)?, side("img_in.weight", 1)?);
        let (head, output) = (side("transformer_blocks.0.attn.norm_q.weight", 0)?, side("proj_out.weight", 0)?);
        if features % AREA != 0 || output % AREA != 0 || width % head != 0 || head % 16 != 0 {
            let needed = format!("features that {AREA} divides, and heads of a multiple of 16 that fill the width");
            let found = format!("{features} and {output} features, a width of {width} and heads of {head}");
            return Err(odd(format!("it has {found}, expected {needed}")));
        }
        let time = head / 8;
        Ok(Self {
            in_channels: features / AREA,
            out_channels: output / AREA,
            width,
            hidden: side("transformer_blocks.0.img_mlp.net.0.proj.weight", 0)?,
            context: side("txt_norm.weight", 0)?,
            blocks: names.count("transformer_blocks."),
            head,
            axes: [time, (head - time) / 2, (head - time) / 2],
            clean_references: names.has(ZERO_MARK),
        })
    }

    /// This network with other widths of the axes.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` unless they are even and fill a head.
    pub fn with_axes(self, axes: [usize; 3]) -> Result<Self, ModelError> {
        if axes.iter().sum::<usize>() != self.head || axes.iter().any(|axis| axis % 2 != 0) {
            return Err(odd(format!("axes of {axes:?} don't fill heads of {} with even widths", self.head)));
        }
        Ok(Self { axes, ..self })
    }

    /// Number of attention heads.
    pub fn heads(&self) -> usize {
        self.width / self.head
    }

    /// About how many bytes a forward holds beside its weights, for latents of `[batch, height, width]` cells (references
    /// included) and a prompt of 512 tokens: six copies of the tokens and the layers behind the attention.
    pub fn activations(&self, [batch, height, width]: [usize; 3]) -> u64 {
        let tokens = batch * (height * width / AREA + 512);
        4 * (tokens * (6 * self.width + self.hidden)) as u64
    }
}

fn side(names: &TensorShapes, name: &str, axis: usize) -> Result<usize, ModelError> {
    match names.side(name, axis) {
        Some(side) if side > 0 => Ok(side),
        Some(_) => Err(odd(format!("`{name}` has an empty side"))),
        None => Err(odd(format!("`{name}` is missing"))),
    }
}

fn odd(detail: String) -> ModelError {
    ModelError::Unrecognised { what: "Qwen-Image's network".into(), detail }
}
