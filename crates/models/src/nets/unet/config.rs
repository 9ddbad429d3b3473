//! The shape of a UNet as plain data, and how it is read off tensor names and shapes.
//!
//! Knows the original (LDM) names only; other conventions are renamed before they come here.
//! Names: CompVis latent-diffusion `openaimodel.py`; the order of `depth_output` is ComfyUI's.

use super::variant::Variant;
use crate::error::ModelError;
use kiln_memory::TensorShapes;

/// How a transformer's channels are split into attention heads. Files don't say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heads {
    /// This many heads whatever the width (SD1: 8).
    Count(usize),
    /// Heads of this width, as many as fit (SD2, SDXL: 64). Channels that don't split so have fewer and wider heads,
    /// those narrower than one head have one.
    Width(usize),
}

impl Heads {
    /// Number of heads for `channels`.
    pub fn of(self, channels: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Width(width) => {
                let most = (channels / width.max(1)).max(1);
                (1..=most).rev().find(|heads| channels.is_multiple_of(*heads)).unwrap_or(1)
            }
        }
    }
}

/// What sits between the way down and the way up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Middle {
    /// Nothing (KOALA).
    Nothing,
    /// One residual block.
    Residual,
    /// Residual block, transformer of this depth, residual block.
    Transformer(usize),
}

impl Middle {
    /// The number ComfyUI writes for it: the depth, -1 for one block, -2 for none.
    pub fn number(self) -> i64 {
        match self {
            Self::Nothing => -2,
            Self::Residual => -1,
            Self::Transformer(depth) => depth as i64,
        }
    }
}

/// The sizes of a UNet, enough to name and shape every tensor of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UNetConfig {
    /// Channels of the input: 4, or 9 with mask and masked image, or 8 (instruct-pix2pix).
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Width of level 0; a multiple of 32.
    pub model_channels: usize,
    /// Residual blocks per level, going down. Going up there is one more.
    pub res_blocks: Vec<usize>,
    /// Width of each level as a multiple of `model_channels`.
    pub channel_mult: Vec<usize>,
    /// Transformer depth after each residual block of the way down, 0 for none.
    pub depth: Vec<usize>,
    /// The same for the way up, in *reverse* order of execution.
    pub depth_output: Vec<usize>,
    /// The middle.
    pub middle: Middle,
    /// Width of the context that the transformers attend to; none without transformers.
    pub context_dim: Option<usize>,
    /// Whether transformers project with a linear layer (SD2, SDXL) or with a 1x1 convolution (SD1).
    pub linear_projection: bool,
    /// Width of the vector `y` beside the time step; none if the model takes none.
    pub adm_channels: Option<usize>,
    /// Attention heads.
    pub heads: Heads,
    /// What it has beside the plain layout.
    pub variant: Variant,
}

impl UNetConfig {
    /// About how many bytes a forward holds beside its weights, for a latent of `[batch, height, width]` cells: 24 maps of
    /// the first level, which is what Stable Diffusion 1.5 takes at 512x512 (250 MB for two).
    pub fn activations(&self, [batch, height, width]: [usize; 3]) -> u64 {
        24 * 4 * (self.model_channels * batch * height * width) as u64
    }

    /// Reads the configuration off the names and shapes of a UNet in original names, without prefix.
    ///
    /// Heads are not in a file: 8 for models with convolutional projections and no `y`, and for the x4 upscaler; else
    /// heads of 64.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` naming what was found and what is missing.
    pub fn from_names(names: &TensorShapes) -> Result<Self, ModelError> {
        let first = names.shape("input_blocks.0.0.weight").ok_or_else(|| lacks("input_blocks.0.0.weight"))?;
        let [model_channels, in_channels, 3, 3] = *first else {
            return Err(odd("input_blocks.0.0.weight", first, "[model_channels, in_channels, 3, 3]"));
        };
        if model_channels == 0 || model_channels % 32 != 0 {
            return Err(odd("input_blocks.0.0.weight", first, "a multiple of 32 as its first side"));
        }
        let collected = InputBlocks::through(names, model_channels)?;
        let adm_channels = names.side("label_emb.0.0.weight", 1);
        let linear_projection = projection_is_linear(names);
        let variant = Variant::from_names(names, collected.res_blocks.len())?;
        let upscaler = matches!(variant, Variant::Upscaler { .. });
        let eight = upscaler || (!linear_projection && adm_channels.is_none());
        Ok(Self {
            in_channels,
            out_channels: names.side("out.2.weight", 0).unwrap_or(4),
            model_channels,
            res_blocks: collected.res_blocks,
            channel_mult: collected.channel_mult,
            depth: collected.depth,
            depth_output: collected.depth_output,
            middle: middle(names),
            context_dim: context(names),
            linear_projection,
            adm_channels,
            heads: if eight { Heads::Count(8) } else { Heads::Width(64) },
            variant,
        })
    }

    /// This model with other attention heads.
    #[must_use]
    pub fn with_heads(mut self, heads: Heads) -> Self {
        self.heads = heads;
        self
    }

    /// Channels of level `level`.
    pub fn channels(&self, level: usize) -> usize {
        self.model_channels * self.channel_mult.get(level).copied().unwrap_or(1)
    }

    /// Width of the time embedding: four times the model's.
    pub fn embed_dim(&self) -> usize {
        self.model_channels * 4
    }
}

/// What counting through the input blocks collects.
#[derive(Default)]
struct InputBlocks {
    res_blocks: Vec<usize>,
    channel_mult: Vec<usize>,
    depth: Vec<usize>,
    depth_output: Vec<usize>,
}

impl InputBlocks {
    fn through(names: &TensorShapes, model_channels: usize) -> Result<Self, ModelError> {
        let (mut collected, mut blocks, mut mult) = (Self::default(), 0, 1);
        let count = names.count("input_blocks.");
        for n in 0..count {
            collected.meet_output_block(names, count - 1 - n);
            if names.has(&format!("input_blocks.{n}.0.op.weight")) {
                collected.close(std::mem::take(&mut blocks), mult);
            } else if names.has(&format!("input_blocks.{n}.0.in_layers.0.weight")) {
                mult = multiple(names, n, model_channels)?;
                collected.depth.push(names.count(&format!("input_blocks.{n}.1.transformer_blocks.")));
                blocks += 1;
            }
        }
        collected.close(blocks, mult);
        Ok(collected)
    }

    fn close(&mut self, blocks: usize, mult: usize) {
        self.res_blocks.push(blocks);
        self.channel_mult.push(mult);
    }

    fn meet_output_block(&mut self, names: &TensorShapes, n: usize) {
        if names.has(&format!("output_blocks.{n}.0.in_layers.0.weight")) {
            self.depth_output.push(names.count(&format!("output_blocks.{n}.1.transformer_blocks.")));
        }
    }
}

fn multiple(names: &TensorShapes, n: usize, model_channels: usize) -> Result<usize, ModelError> {
    let name = format!("input_blocks.{n}.0.out_layers.3.weight");
    let shape = names.shape(&name).ok_or_else(|| lacks(&name))?;
    match shape.first() {
        Some(channels) if *channels > 0 && channels % model_channels == 0 => Ok(channels / model_channels),
        _ => Err(odd(&name, shape, &format!("a multiple of {model_channels} as its first side"))),
    }
}

fn middle(names: &TensorShapes) -> Middle {
    match (names.count("middle_block.1.transformer_blocks."), names.any("middle_block.0.")) {
        (0, true) => Middle::Residual,
        (0, false) => Middle::Nothing,
        (depth, _) => Middle::Transformer(depth),
    }
}

fn context(names: &TensorShapes) -> Option<usize> {
    names.iter().find(|(name, _)| name.ends_with("attn2.to_k.weight")).and_then(|(_, shape)| shape.get(1).copied())
}

fn projection_is_linear(names: &TensorShapes) -> bool {
    names.iter().find(|(name, _)| name.ends_with(".proj_in.weight")).is_some_and(|(_, shape)| shape.len() == 2)
}

fn lacks(name: &str) -> ModelError {
    ModelError::Unrecognised { what: "a UNet".into(), detail: format!("`{name}` is missing") }
}

fn odd(name: &str, found: &[usize], wanted: &str) -> ModelError {
    ModelError::Unrecognised { what: "a UNet".into(), detail: format!("`{name}` is {found:?}, expected {wanted}") }
}
