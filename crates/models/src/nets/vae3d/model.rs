//! The autoencoder of clips: chunk by chunk, so that a long clip takes no more memory than a short one.
//!
//! Works on `[frames, channels, height, width]` of one clip, images in -1..1 and unclamped, latents unscaled.

use burn::tensor::Tensor;
use kiln_memory::TensorShapes;

use super::{
    block::{Attention, Block, ChannelNorm, Residual, Resize},
    config::{Entry, HalfConfig, VideoVaeConfig},
    conv::{CausalConv, PlaceConv},
    past::Past,
};
use crate::{
    error::ModelError,
    nets::{activations::ActivationTap, vae::Autoencoder},
    ops,
    weights::{ModelWeights, WeightBuilder},
};

/// Wan 2.1's autoencoder over weight handles; Qwen-Image's, with its own weights and clips of one frame.
///
/// Source: Wan 2.1, `vae.py`, `WanVAE_`.
#[derive(Debug)]
pub struct VideoVae {
    config: VideoVaeConfig,
    /// Where its weights come from; nothing in a survey.
    weights: Option<ModelWeights>,
    /// The encoder and the convolution behind it.
    encoder: Option<(Half, PlaceConv)>,
    /// The convolution before the decoder.
    post_quant: PlaceConv,
    decoder: Half,
}

/// One direction, without the convolution beside the latent.
#[derive(Debug)]
struct Half {
    name: &'static str,
    conv_in: CausalConv,
    /// With their names.
    blocks: Vec<(String, Block)>,
    norm_out: ChannelNorm,
    conv_out: CausalConv,
}

impl VideoVaeConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<VideoVae, ModelError> {
        let vae = WeightBuilder::build("VAE of videos", weights, |wb| VideoVae::new(self, wb))?;
        Ok(VideoVae { weights: Some(weights.clone()), ..vae })
    }

    /// Name and shape of every tensor of this network, in original names without prefix.
    ///
    /// # Errors
    /// When the sizes contradict each other.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| VideoVae::new(self, wb))
    }
}

impl VideoVae {
    fn new(config: &VideoVaeConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let encoder = config.encoder.as_ref().map(|half| {
            let moments = half.output[1];
            let quant = PlaceConv::new(wb, "conv1", [moments, moments], 3)?;
            Ok::<_, ModelError>((Half::encoder(half, wb)?, quant))
        });
        Ok(Self {
            encoder: encoder.transpose()?,
            post_quant: PlaceConv::new(wb, "conv2", [config.channels, config.channels], 3)?,
            decoder: Half::decoder(&config.decoder, wb)?,
            config: config.clone(),
            weights: None,
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &VideoVaeConfig {
        &self.config
    }

    /// The images of one clip's latent, not clamped.
    ///
    /// # Shapes
    /// `[n, channels, h, w]` to `[1 + (n - 1) · 4, 3, 8 h, 8 w]` (4 and 8: frames and scale of the configuration).
    /// # Errors
    /// `ModelError::Input` for other channels, or when weights can't be had.
    pub fn decode_clip(&self, latent: Tensor<4>, tap: ActivationTap<'_>) -> Result<Tensor<4>, ModelError> {
        check("latent", &latent, self.config.channels)?;
        let (frames, mut past) = (latent.dims()[0], Past::default());
        let frame = |i: usize| {
            past.start_chunk(i + 1 == frames);
            let z = self.post_quant.forward(latent.clone().narrow(0, i, 1))?;
            self.decoder.forward(z, &mut past, tap)
        };
        Ok(Tensor::cat((0..frames).map(frame).collect::<Result<Vec<_>, _>>()?, 0))
    }

    /// The latent of one clip. Images after the last that fills a latent's frame are left out.
    ///
    /// # Shapes
    /// `[n, 3, height, width]` to `[1 + (n - 1) / 4, channels, height / 8, width / 8]`.
    /// # Errors
    /// `ModelError::Input` for other channels or images smaller than a cell, `ModelError::Unrecognised` when the file has
    /// no encoder.
    pub fn encode_clip(&self, images: Tensor<4>, tap: ActivationTap<'_>) -> Result<Tensor<4>, ModelError> {
        let (encoder, quant) = self.encoder.as_ref().ok_or_else(|| ModelError::Unrecognised {
            what: "a VAE that can encode".into(),
            detail: "`encoder.conv1.weight` is missing: this one only decodes".into(),
        })?;
        check("image", &images, encoder_channels(&self.config))?;
        let ([images_there, _, height, width], side) = (images.dims(), self.config.scale());
        if height < side || width < side {
            return Err(input("image", format!("at least {side} x {side} pixels"), &images.dims()));
        }
        let (each, mut past) = (self.config.frames(), Past::default());
        let chunks = 1 + (images_there - 1) / each;
        let chunk = |i: usize| {
            past.start_chunk(i + 1 == chunks);
            let (first, count) = if i == 0 { (0, 1) } else { (1 + (i - 1) * each, each) };
            encoder.forward(images.clone().narrow(0, first, count), &mut past, tap)
        };
        let moments = Tensor::cat((0..chunks).map(chunk).collect::<Result<Vec<_>, ModelError>>()?, 0);
        Ok(quant.forward(moments)?.narrow(1, 0, self.config.channels))
    }
}

/// Latents of clips have their frames folded into the channels; the images of all clips follow each other.
impl Autoencoder for VideoVae {
    fn decode(&self, latent: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let ([clips, folded, height, width], channels) = (latent.dims(), self.config.channels);
        if folded == 0 || !folded.is_multiple_of(channels) {
            return Err(input("latent", format!("[batch, {channels} for each frame, h, w]"), &latent.dims()));
        }
        let frames = folded / channels;
        let clip = |i: usize| {
            let clip = latent.clone().narrow(0, i, 1).reshape([channels, frames, height, width]);
            self.decode_clip(clip.swap_dims(0, 1), ActivationTap::default())
        };
        Ok(Tensor::cat((0..clips).map(clip).collect::<Result<Vec<_>, _>>()?, 0))
    }

    fn encode(&self, image: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let latent = self.encode_clip(image, ActivationTap::default())?;
        let [frames, channels, height, width] = latent.dims();
        Ok(latent.swap_dims(0, 1).reshape([1, channels * frames, height, width]))
    }

    fn scale(&self) -> usize {
        self.config.scale()
    }

    fn image_channels(&self) -> usize {
        encoder_channels(&self.config)
    }

    fn activations(&self, image: [usize; 2]) -> u64 {
        self.config.activations(image)
    }

    fn weights(&self) -> Option<&ModelWeights> {
        self.weights.as_ref()
    }
}

impl Half {
    fn encoder(config: &HalfConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let mut blocks = entries(config, wb, "encoder.downsamples")?;
        blocks.extend(middle(config, wb, "encoder")?);
        Self::new(config, wb, "encoder", blocks)
    }

    fn decoder(config: &HalfConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let mut blocks = middle(config, wb, "decoder")?;
        blocks.extend(entries(config, wb, "decoder.upsamples")?);
        Self::new(config, wb, "decoder", blocks)
    }

    fn new(
        config: &HalfConfig,
        wb: &WeightBuilder<'_>,
        name: &'static str,
        blocks: Vec<(String, Block)>,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            conv_in: CausalConv::new(wb, &format!("{name}.conv1"), config.input, 3)?,
            blocks,
            norm_out: ChannelNorm::new(wb, &format!("{name}.head.0"), config.output[0], 3)?,
            conv_out: CausalConv::new(wb, &format!("{name}.head.2"), config.output, 3)?,
            name,
        })
    }

    fn forward(&self, x: Tensor<4>, past: &mut Past, tap: ActivationTap<'_>) -> Result<Tensor<4>, ModelError> {
        let mut h = self.conv_in.forward(x, past)?;
        tap.record_part(self.name, "conv1", &h);
        for (name, block) in &self.blocks {
            h = block.forward(h, past)?;
            tap.record(name, &h);
        }
        let h = if tap.is_on() {
            let h = self.norm_out.forward(h, false)?;
            tap.record_part(self.name, "head.0", &h);
            ops::silu(h)?
        } else {
            self.norm_out.forward(h, true)?
        };
        tap.record_part(self.name, "head.1", &h);
        let h = self.conv_out.forward(h, past)?;
        tap.record_part(self.name, "head.2", &h);
        Ok(h)
    }
}

fn entries(config: &HalfConfig, wb: &WeightBuilder<'_>, list: &str) -> Result<Vec<(String, Block)>, ModelError> {
    let shrinks = list.starts_with("encoder");
    let entry = |(i, entry): (usize, &Entry)| {
        let path = format!("{list}.{i}");
        let block = match *entry {
            Entry::Residual(sides) => Block::Residual(Residual::new(wb, &path, sides)?),
            Entry::Resize { channels, time } if shrinks => Block::Shrink(Resize::down(wb, &path, channels[0], time)?),
            Entry::Resize { channels, time } => Block::Grow(Resize::up(wb, &path, channels, time)?),
        };
        Ok((path, block))
    };
    config.entries.iter().enumerate().map(entry).collect()
}

fn middle(config: &HalfConfig, wb: &WeightBuilder<'_>, half: &str) -> Result<Vec<(String, Block)>, ModelError> {
    let (path, width) = (|i: usize| format!("{half}.middle.{i}"), config.middle);
    let residual = |i| Ok::<_, ModelError>(Block::Residual(Residual::new(wb, &path(i), [width, width])?));
    let attention = Block::Attention(Attention::new(wb, &path(1), width)?);
    Ok(vec![(path(0), residual(0)?), (path(1), attention), (path(2), residual(2)?)])
}

fn encoder_channels(config: &VideoVaeConfig) -> usize {
    config.encoder.as_ref().map_or(config.decoder.output[1], |half| half.input[0])
}

fn check(what: &'static str, x: &Tensor<4>, channels: usize) -> Result<(), ModelError> {
    let [frames, found, height, width] = x.dims();
    if found == channels && frames > 0 && height > 0 && width > 0 {
        return Ok(());
    }
    Err(input(what, format!("[frames, {channels}, height, width], none of them 0"), &x.dims()))
}

fn input(what: &'static str, expected: String, found: &[usize]) -> ModelError {
    ModelError::Input { network: "VAE of videos", what, expected, found: found.to_vec() }
}
