//! A tiny autoencoder in a VAE's place: both directions, and the scale of its family's latents.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{Taesd, TaesdScale};
use crate::{error::ModelError, nets::vae::Autoencoder};

/// A tiny autoencoder in a VAE's place.
#[derive(Debug, Clone)]
pub struct TinyVae {
    /// Images to latents.
    pub encoder: Arc<Taesd>,
    /// Latents to images.
    pub decoder: Arc<Taesd>,
    /// Between its latents and a VAE's.
    pub scale: TaesdScale,
}

impl Autoencoder for TinyVae {
    fn decode(&self, latent: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        self.decoder.decode_as_vae(latent, self.scale)
    }

    fn encode(&self, image: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        self.encoder.encode_as_vae(image, self.scale)
    }

    fn scale(&self) -> usize {
        8
    }

    fn image_channels(&self) -> usize {
        3
    }

    /// Four maps of 64 channels at the image's size.
    fn activations(&self, [height, width]: [usize; 2]) -> u64 {
        4 * 64 * 4 * (height * width) as u64
    }
}
