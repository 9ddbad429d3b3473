//! The shape of an autoencoder as plain data, and how it is read off tensor names and shapes.
//!
//! Knows the original (LDM) names only; diffusers' are renamed before they come here.

use crate::error::ModelError;
use kiln_memory::TensorShapes;

/// The sizes of an `AutoencoderKL`, enough to name and shape every tensor of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each says whether a part is there")]
pub struct VaeConfig {
    /// Width of level 0; a multiple of 32.
    pub channels: usize,
    /// Width of each level as a multiple of `channels`; each level but the last halves the sides.
    pub mult: Vec<usize>,
    /// Residual blocks per level of the encoder. The decoder has one more. May be 0.
    pub res_blocks: usize,
    /// Channels of images.
    pub image_channels: usize,
    /// Channels between encoder or decoder and the 1x1 convolutions beside them.
    pub z_channels: usize,
    /// Channels of latents, after `quant_conv` and before `post_quant_conv`.
    pub embed_dim: usize,
    /// Whether the encoder is there, with its number of output channels (twice `z_channels`: mean and log variance).
    pub encoder: Option<usize>,
    /// Whether `quant_conv` is there.
    pub quant: bool,
    /// Whether `post_quant_conv` is there.
    pub post_quant: bool,
    /// Levels with an attention after each residual block, encoder side.
    pub encoder_attention: Vec<bool>,
    /// The same for the decoder.
    pub decoder_attention: Vec<bool>,
    /// Whether the middle has its attention (all Stable Diffusion models do).
    pub middle_attention: bool,
    /// Whether the decoder has layers over frames: it decodes a video's latents together (SVD).
    pub frames: bool,
    /// Whether latents are squares of 2x2 cells in one, normalised by stored statistics (Flux.2).
    pub packed: bool,
}

impl VaeConfig {
    /// About how many bytes decoding or encoding an image of `[height, width]` pixels holds beside the weights: 6 maps of
    /// the first level, which is what Stable Diffusion's autoencoder takes at 512x512 (805 MB).
    pub fn activations(&self, [height, width]: [usize; 2]) -> u64 {
        6 * 4 * (self.channels * height * width) as u64
    }

    /// Reads the configuration off names and shapes in original names, without prefix.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` naming what is missing or odd.
    pub fn from_names(names: &TensorShapes) -> Result<Self, ModelError> {
        let input = shape4(names, "decoder.conv_in.weight")?;
        let levels = names.count("decoder.up.");
        if levels == 0 {
            return Err(lacks("decoder.up.0.block.0.conv1.weight"));
        }
        let decoder_blocks = names.count("decoder.up.0.block.");
        let encoder = names.side("encoder.conv_out.weight", 0);
        let channels = match names.side("encoder.conv_in.weight", 0) {
            Some(channels) => channels,
            None => shape4(names, "decoder.up.0.block.0.conv1.weight")?[0],
        };
        if channels == 0 || channels % 32 != 0 {
            return Err(ModelError::Unrecognised {
                what: "a VAE".into(),
                detail: format!("its width is {channels}, which is no multiple of 32"),
            });
        }
        let z_channels = input[1];
        Ok(Self {
            channels,
            mult: (0..levels).map(|level| multiple(names, level, channels)).collect::<Result<_, _>>()?,
            res_blocks: decoder_blocks.saturating_sub(1),
            image_channels: names.side("decoder.conv_out.weight", 0).unwrap_or(3),
            z_channels,
            embed_dim: names
                .side("post_quant_conv.weight", 1)
                .or_else(|| names.side("quant_conv.weight", 0).map(|twice| twice / 2))
                .unwrap_or(z_channels),
            encoder,
            quant: names.has("quant_conv.weight"),
            post_quant: names.has("post_quant_conv.weight"),
            encoder_attention: (0..levels).map(|l| names.any(&format!("encoder.down.{l}.attn."))).collect(),
            decoder_attention: (0..levels).map(|l| names.any(&format!("decoder.up.{l}.attn."))).collect(),
            middle_attention: names.any("decoder.mid.attn_1."),
            frames: names.has("decoder.mid.block_1.mix_factor"),
            packed: names.has("bn.running_mean"),
        })
    }

    /// Number of levels.
    pub fn levels(&self) -> usize {
        self.mult.len()
    }

    /// Pixels per latent cell, on each side.
    pub fn scale(&self) -> usize {
        let cell = 1 << self.levels().saturating_sub(1);
        if self.packed { 2 * cell } else { cell }
    }

    /// Channels of latents as they travel.
    pub fn latent_channels(&self) -> usize {
        let channels = if self.post_quant { self.embed_dim } else { self.z_channels };
        if self.packed { 4 * channels } else { channels }
    }

    /// Channels of level `level`.
    pub fn width(&self, level: usize) -> usize {
        self.channels * self.mult.get(level).copied().unwrap_or(1)
    }
}

fn multiple(names: &TensorShapes, level: usize, channels: usize) -> Result<usize, ModelError> {
    let name = format!("decoder.up.{level}.block.0.conv1.weight");
    let width = shape4(names, &name)?[0];
    if width == 0 || width % channels != 0 {
        return Err(ModelError::Unrecognised {
            what: "a VAE".into(),
            detail: format!("`{name}` has {width} outputs, which is no multiple of {channels}"),
        });
    }
    Ok(width / channels)
}

fn shape4(names: &TensorShapes, name: &str) -> Result<[usize; 4], ModelError> {
    let shape = names.shape(name).ok_or_else(|| lacks(name))?;
    shape.try_into().map_err(|_| ModelError::Unrecognised {
        what: "a VAE".into(),
        detail: format!("`{name}` is {shape:?}, expected four sides"),
    })
}

fn lacks(name: &str) -> ModelError {
    ModelError::Unrecognised { what: "a VAE".into(), detail: format!("`{name}` is missing") }
}
