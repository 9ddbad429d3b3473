//! A tiny autoencoder of clips in a VAE's place: the scale of its latents, and the range of its images.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::model::{Taehv, wrong};
use crate::{error::ModelError, nets::vae::Autoencoder};

/// A tiny autoencoder of clips in a VAE's place. Latents have their frames folded into the channels; the images of all
/// clips follow each other.
#[derive(Debug, Clone)]
pub struct TaehvVae {
    /// The network.
    pub net: Arc<Taehv>,
    /// Factor on a VAE's latents that makes them the network's.
    pub scale: f32,
    /// Whether its images go from -1 to 1; else from 0.
    pub signed: bool,
}

impl Autoencoder for TaehvVae {
    fn decode(&self, latent: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let (dims, channels) = (latent.dims(), self.net.config().latent);
        let [clips, folded, height, width] = dims;
        if folded == 0 || !folded.is_multiple_of(channels) {
            return Err(wrong("latent", dims, format!("[batch, {channels} for each frame, h, w]")));
        }
        let clip = |i: usize| {
            let clip = latent.clone().narrow(0, i, 1).reshape([channels, folded / channels, height, width]);
            self.net.decode(clip.swap_dims(0, 1) * self.scale)
        };
        let images = Tensor::cat((0..clips).map(clip).collect::<Result<Vec<_>, _>>()?, 0);
        Ok(if self.signed { images } else { images * 2.0 - 1.0 })
    }

    fn encode(&self, image: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let image = if self.signed { image } else { (image + 1.0) / 2.0 };
        let latent = self.net.encode(image)? / self.scale;
        let [frames, channels, height, width] = latent.dims();
        Ok(latent.swap_dims(0, 1).reshape([1, channels * frames, height, width]))
    }

    fn scale(&self) -> usize {
        self.net.scale()
    }

    fn image_channels(&self) -> usize {
        3
    }

    /// Three maps of 64 channels at the image's size, for the frames that one of the latent's becomes.
    fn activations(&self, [height, width]: [usize; 2]) -> u64 {
        let patch = self.net.config().patch;
        (3 * 64 * 4 * self.net.config().decoder.stride() * height * width / (patch * patch)) as u64
    }
}
