//! `AutoencoderKL`: images to latents and back.
//!
//! Works on `[batch, channels, height, width]`, images in -1..1 and unclamped, latents unscaled. Ranges, tiles and
//! cropping are the business of [`super::image`].

use burn::tensor::Tensor;
use kiln_memory::TensorShapes;

use super::{
    autoencoder::Autoencoder,
    block::{Level, LevelPlan, Middle, norm},
    config::VaeConfig,
    packing::Packing,
};
use crate::{
    error::ModelError,
    nets::{
        frames::{FrameConv, to_clips, to_frames},
        layers::{Conv2d, GroupNorm},
    },
    weights::{ModelWeights, WeightBuilder},
};

/// Stable Diffusion's autoencoder over weight handles.
///
/// Source: CompVis latent-diffusion, `models/autoencoder.py`, `diffusionmodules/model.py`.
#[derive(Debug)]
pub struct Vae {
    config: VaeConfig,
    /// Where its weights come from; nothing in a survey.
    weights: Option<ModelWeights>,
    encoder: Option<Encoder>,
    quant: Option<Conv2d>,
    post_quant: Option<Conv2d>,
    decoder: Decoder,
    packing: Option<Packing>,
}

#[derive(Debug)]
struct Encoder {
    conv_in: Conv2d,
    levels: Vec<Level>,
    middle: Middle,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

#[derive(Debug)]
struct Decoder {
    conv_in: Conv2d,
    middle: Middle,
    /// In order of execution: the highest level first.
    levels: Vec<Level>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    /// Over frames, behind all of it.
    mix_out: Option<FrameConv>,
}

impl VaeConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<Vae, ModelError> {
        let vae = WeightBuilder::build("VAE", weights, |wb| Vae::new(self, wb))?;
        Ok(Vae { weights: Some(weights.clone()), ..vae })
    }

    /// Name and shape of every tensor of this network, in original names without prefix.
    ///
    /// # Errors
    /// When the sizes contradict each other.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| Vae::new(self, wb))
    }
}

impl Vae {
    fn new(config: &VaeConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let moments = config.encoder.unwrap_or(config.z_channels * 2);
        let quant = || Conv2d::new(wb, "quant_conv", moments, config.embed_dim * 2, 1);
        let post_quant = || Conv2d::new(wb, "post_quant_conv", config.embed_dim, config.z_channels, 1);
        Ok(Self {
            encoder: config.encoder.map(|moments| Encoder::new(config, wb, moments)).transpose()?,
            quant: config.quant.then(quant).transpose()?,
            post_quant: config.post_quant.then(post_quant).transpose()?,
            decoder: Decoder::new(config, wb)?,
            packing: config.packed.then(|| Packing::new(wb, config.latent_channels())).transpose()?,
            config: config.clone(),
            weights: None,
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    /// A latent's image, not clamped. A video's decoder takes the batch as the frames of one clip.
    ///
    /// # Shapes
    /// `[batch, latent_channels, h, w]` to `[batch, 3, h · scale, w · scale]`.
    /// # Errors
    /// `ModelError::Input` for other channels, or when weights can't be had.
    pub fn decode(&self, latent: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        check("latent", &latent, self.config.latent_channels())?;
        let latent = match &self.packing {
            Some(packing) => packing.unpack(latent)?,
            None => latent,
        };
        let z = match &self.post_quant {
            Some(conv) => conv.forward(latent)?,
            None => latent,
        };
        self.decoder.forward(z)
    }

    /// Mean and log variance of an image's latent, one after the other along the channels.
    ///
    /// # Shapes
    /// `[batch, 3, h, w]` to `[batch, 2 · embed_dim, h / scale, w / scale]`.
    /// # Errors
    /// `ModelError::Input` for other channels, `ModelError::Unrecognised` when the file has no encoder.
    pub fn moments(&self, image: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let h = self.encoder_output(image)?;
        match &self.quant {
            Some(conv) => conv.forward(h),
            None => Ok(h),
        }
    }

    /// The mean of an image's latent: what encoding means here, never a random sample.
    ///
    /// # Shapes
    /// `[batch, 3, h, w]` to `[batch, embed_dim, h / scale, w / scale]`.
    /// # Errors
    /// As [`Vae::moments`].
    pub fn encode(&self, image: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let moments = self.moments(image)?;
        let [batch, channels, height, width] = moments.dims();
        let mean = moments.slice([0..batch, 0..channels / 2, 0..height, 0..width]);
        match &self.packing {
            Some(packing) => packing.pack(mean),
            None => Ok(mean),
        }
    }

    /// The encoder alone, without `quant_conv`.
    ///
    /// # Errors
    /// As [`Vae::moments`].
    pub fn encoder_output(&self, image: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        check("image", &image, self.config.image_channels)?;
        let side = self.config.scale();
        let [_, _, height, width] = image.dims();
        if height < side || width < side {
            return Err(input("image", format!("at least {side} x {side} pixels"), &image.dims()));
        }
        let encoder = self.encoder.as_ref().ok_or_else(|| ModelError::Unrecognised {
            what: "a VAE that can encode".into(),
            detail: "`encoder.conv_in.weight` is missing: this one only decodes".into(),
        })?;
        encoder.forward(image)
    }

    /// The attention in the middle of the decoder alone, for comparisons.
    ///
    /// # Errors
    /// When weights can't be had.
    pub fn middle_attention(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        match self.decoder.middle.attention() {
            Some(attention) => attention.forward(x),
            None => Ok(x),
        }
    }
}

impl Autoencoder for Vae {
    fn decode(&self, latent: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        self.decode(latent)
    }

    fn encode(&self, image: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        self.encode(image)
    }

    fn scale(&self) -> usize {
        self.config.scale()
    }

    fn image_channels(&self) -> usize {
        self.config.image_channels
    }

    fn activations(&self, image: [usize; 2]) -> u64 {
        self.config.activations(image)
    }

    fn decodes_together(&self) -> bool {
        self.config.frames
    }

    fn weights(&self) -> Option<&ModelWeights> {
        self.weights.as_ref()
    }
}

impl Encoder {
    fn new(config: &VaeConfig, wb: &WeightBuilder<'_>, moments: usize) -> Result<Self, ModelError> {
        let last = config.levels().saturating_sub(1);
        let level = |l: usize| {
            let plan = LevelPlan {
                inputs: if l == 0 { config.channels } else { config.width(l - 1) },
                outputs: config.width(l),
                blocks: config.res_blocks,
                attention: config.encoder_attention.get(l).copied().unwrap_or(false),
                frames: false,
                resize: l < last,
            };
            Level::down(wb, &format!("encoder.down.{l}"), &plan)
        };
        let top = config.width(last);
        Ok(Self {
            conv_in: Conv2d::new(wb, "encoder.conv_in", config.image_channels, config.channels, 3)?,
            levels: (0..=last).map(level).collect::<Result<_, _>>()?,
            middle: Middle::new(wb, "encoder.mid", top, config.middle_attention, false)?,
            norm_out: norm(wb, "encoder.norm_out", top)?,
            conv_out: Conv2d::new(wb, "encoder.conv_out", top, moments, 3)?,
        })
    }

    fn forward(&self, image: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let h = self.conv_in.forward(image)?;
        let h = self.levels.iter().try_fold(h, |h, level| level.forward(h))?;
        let h = self.middle.forward(h)?;
        self.conv_out.forward(self.norm_out.forward_silu(h)?)
    }
}

impl Decoder {
    fn new(config: &VaeConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let last = config.levels().saturating_sub(1);
        let level = |l: usize| {
            let plan = LevelPlan {
                inputs: config.width((l + 1).min(last)),
                outputs: config.width(l),
                blocks: config.res_blocks + 1,
                attention: config.decoder_attention.get(l).copied().unwrap_or(false),
                frames: config.frames,
                resize: l > 0,
            };
            Level::up(wb, &format!("decoder.up.{l}"), &plan)
        };
        let top = config.width(last);
        let image = config.image_channels;
        let mix_out = || FrameConv::new(wb, "decoder.conv_out.time_mix_conv", image, image);
        Ok(Self {
            mix_out: config.frames.then(mix_out).transpose()?,
            conv_in: Conv2d::new(wb, "decoder.conv_in", config.z_channels, top, 3)?,
            middle: Middle::new(wb, "decoder.mid", top, config.middle_attention, config.frames)?,
            levels: (0..=last).rev().map(level).collect::<Result<_, _>>()?,
            norm_out: norm(wb, "decoder.norm_out", config.width(0))?,
            conv_out: Conv2d::new(wb, "decoder.conv_out", config.width(0), image, 3)?,
        })
    }

    fn forward(&self, z: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let h = self.middle.forward(self.conv_in.forward(z)?)?;
        let h = self.levels.iter().try_fold(h, |h, level| level.forward(h))?;
        let h = self.conv_out.forward(self.norm_out.forward_silu(h)?)?;
        let Some(mix) = &self.mix_out else { return Ok(h) };
        let [frames, _, height, width] = h.dims();
        Ok(to_frames(mix.forward(to_clips(h, frames))?, [height, width]))
    }
}

fn check(what: &'static str, x: &Tensor<4>, channels: usize) -> Result<(), ModelError> {
    let [batch, found, height, width] = x.dims();
    if found != channels || batch == 0 || height == 0 || width == 0 {
        return Err(input(what, format!("[batch, {channels}, h, w]"), &x.dims()));
    }
    Ok(())
}

fn input(what: &'static str, expected: String, found: &[usize]) -> ModelError {
    ModelError::Input { network: "VAE", what, expected, found: found.to_vec() }
}
