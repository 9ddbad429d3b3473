//! Tiny autoencoders (TAESD): one short row of convolutions for each direction. For previews, and as a VAE of its own.
//!
//! Source: madebyollin/taesd, `taesd.py`. Layers are numbered as in its `nn.Sequential`.

mod block;
mod keys;
mod tiny_vae;

use burn::tensor::Tensor;
use kiln_memory::TensorShapes;

pub(crate) use keys::canonical;
pub use keys::{TaesdConfig, TaesdHalf};
pub use tiny_vae::TinyVae;

use crate::{
    error::ModelError,
    nets::layers::Conv2d,
    ops,
    weights::{ModelWeights, WeightBuilder},
};
use block::Block;

/// How a family's latents are scaled for its tiny autoencoder: `z' = (z - shift) · scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TaesdScale {
    /// Factor.
    pub scale: f32,
    /// Taken off first.
    pub shift: f32,
}

impl TaesdScale {
    /// SD1 and SD2.
    pub const SD1: Self = Self { scale: 0.18215, shift: 0.0 };
    /// SDXL.
    pub const SDXL: Self = Self { scale: 0.13025, shift: 0.0 };
    /// Stable Diffusion 3.
    pub const SD3: Self = Self { scale: 1.5305, shift: 0.0609 };
    /// Flux.
    pub const FLUX: Self = Self { scale: 0.3611, shift: 0.1159 };
}

/// A tiny autoencoder, or one half of it.
#[derive(Debug)]
pub struct Taesd {
    encoder: Option<Vec<Step>>,
    decoder: Option<Vec<Step>>,
}

#[derive(Debug)]
enum Step {
    /// `tanh(x / 3) · 3`.
    Clamp,
    Conv(Conv2d),
    Relu,
    Double,
    Block(Box<Block>),
}

impl TaesdConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<Taesd, ModelError> {
        WeightBuilder::build("tiny autoencoder", weights, |wb| Taesd::new(self, wb))
    }

    /// Name and shape of every tensor of this network.
    ///
    /// # Errors
    /// Never for a configuration that was read off a file.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| Taesd::new(self, wb))
    }
}

impl Taesd {
    fn new(config: &TaesdConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let encoder = |half: &TaesdHalf| half.encoder(wb);
        let decoder = |half: &TaesdHalf| half.decoder(wb);
        Ok(Self {
            encoder: config.encoder.as_ref().map(encoder).transpose()?,
            decoder: config.decoder.as_ref().map(decoder).transpose()?,
        })
    }

    /// Whether it has a way from images to latents.
    pub(crate) fn encodes(&self) -> bool {
        self.encoder.is_some()
    }

    /// Whether it has a way from latents to images.
    pub(crate) fn decodes(&self) -> bool {
        self.decoder.is_some()
    }

    /// A latent's image in 0..1 (not clamped). The latent is in the model's space, as a sampler's callback sees it.
    ///
    /// # Shapes
    /// `[batch, z, h, w]` to `[batch, 3, 8h, 8w]`.
    /// # Errors
    /// When there is no decoder, or for other channels.
    pub fn decode(&self, latent: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        run(self.decoder.as_ref(), "taesd_decoder.1.weight", latent)
    }

    /// An image's latent, in the model's space.
    ///
    /// # Shapes
    /// `[batch, 3, h, w]` in 0..1 to `[batch, z, h / 8, w / 8]`.
    /// # Errors
    /// When there is no encoder, or for other channels.
    pub fn encode(&self, image: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        run(self.encoder.as_ref(), "taesd_encoder.0.weight", image)
    }

    /// [`decode`](Self::decode) in place of a VAE: unscaled latents to images in -1..1.
    ///
    /// # Errors
    /// As `decode`.
    pub fn decode_as_vae(&self, latent: Tensor<4>, scale: TaesdScale) -> Result<Tensor<4>, ModelError> {
        Ok(self.decode((latent - scale.shift) * scale.scale)? * 2.0 - 1.0)
    }

    /// [`encode`](Self::encode) in place of a VAE: images in -1..1 to unscaled latents.
    ///
    /// # Errors
    /// As `encode`.
    pub fn encode_as_vae(&self, image: Tensor<4>, scale: TaesdScale) -> Result<Tensor<4>, ModelError> {
        Ok(self.encode((image + 1.0) / 2.0)? / scale.scale + scale.shift)
    }
}

fn run(steps: Option<&Vec<Step>>, missing: &str, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
    let steps = steps.ok_or_else(|| ModelError::Unrecognised {
        what: "a tiny autoencoder for this direction".into(),
        detail: format!("`{missing}` is missing"),
    })?;
    steps.iter().try_fold(x, |x, step| step.forward(x))
}

impl Step {
    fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        match self {
            Self::Clamp => Ok((x / 3.0).tanh() * 3.0),
            Self::Conv(conv) => conv.forward(x),
            Self::Relu => Ok(x.clamp_min(0.0)),
            Self::Block(block) => block.forward(x),
            Self::Double => {
                let [_, _, height, width] = x.dims();
                Ok(ops::upsample_nearest(x, height * 2, width * 2)?)
            }
        }
    }
}

impl TaesdHalf {
    fn decoder(&self, wb: &WeightBuilder<'_>) -> Result<Vec<Step>, ModelError> {
        let (z, mid, out) = (self.latent, self.channels, self.image);
        let conv = |n, inputs, outputs| Conv2d::new(wb, &format!("decoder.{n}"), inputs, outputs, 3).map(Step::Conv);
        let bare = |n| Conv2d::without_bias(wb, &format!("decoder.{n}"), mid, mid, 3).map(Step::Conv);
        let block = |n| Block::new(wb, &format!("decoder.{n}"), mid, self.pool && n < 6).map(Box::new).map(Step::Block);
        let mut steps = vec![Step::Clamp, conv(1, z, mid)?, Step::Relu];
        for first in [3, 8, 13] {
            for n in first..first + 3 {
                steps.push(block(n)?);
            }
            steps.push(Step::Double);
            steps.push(bare(first + 4)?);
        }
        steps.push(block(18)?);
        steps.push(conv(19, mid, out)?);
        Ok(steps)
    }

    fn encoder(&self, wb: &WeightBuilder<'_>) -> Result<Vec<Step>, ModelError> {
        let (z, mid, image) = (self.latent, self.channels, self.image);
        let conv = |n, inputs, outputs| Conv2d::new(wb, &format!("encoder.{n}"), inputs, outputs, 3).map(Step::Conv);
        let halve = |n| {
            let conv = Conv2d::without_bias(wb, &format!("encoder.{n}"), mid, mid, 3)?;
            Ok::<_, ModelError>(Step::Conv(conv.with_stride(2)))
        };
        let block =
            |n| Block::new(wb, &format!("encoder.{n}"), mid, self.pool && n > 10).map(Box::new).map(Step::Block);
        let mut steps = vec![conv(0, image, mid)?, block(1)?];
        for first in [2, 6, 10] {
            steps.push(halve(first)?);
            for n in first + 1..first + 4 {
                steps.push(block(n)?);
            }
        }
        steps.push(conv(14, mid, z)?);
        Ok(steps)
    }
}
