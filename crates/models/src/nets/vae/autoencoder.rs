//! The trait of autoencoders, whatever their network.
//!
//! Works on `[batch, channels, height, width]`, images in -1..1 and unclamped, latents unscaled. Ranges, tiles and
//! cropping are the business of [`super::image`].

use burn::tensor::Tensor;

use crate::{error::ModelError, weights::ModelWeights};

/// A network between images and latents.
pub trait Autoencoder: std::fmt::Debug + Send + Sync {
    /// A latent's image, not clamped.
    ///
    /// # Shapes
    /// `[batch, channels, h, w]` to `[batch, image_channels, h · scale, w · scale]`.
    /// # Errors
    /// For other channels, or when weights can't be had.
    fn decode(&self, latent: Tensor<4>) -> Result<Tensor<4>, ModelError>;

    /// An image's latent.
    ///
    /// # Shapes
    /// `[batch, image_channels, h, w]` to `[batch, channels, h / scale, w / scale]`.
    /// # Errors
    /// For other channels, or when the network only decodes.
    fn encode(&self, image: Tensor<4>) -> Result<Tensor<4>, ModelError>;

    /// Pixels along a side of a latent's cell.
    fn scale(&self) -> usize;

    /// Channels of images.
    fn image_channels(&self) -> usize;

    /// About how many bytes decoding or encoding an image of `[height, width]` pixels holds beside the weights.
    fn activations(&self, image: [usize; 2]) -> u64;

    /// Whether it decodes a batch as the frames of one clip, each with its neighbours.
    fn decodes_together(&self) -> bool {
        false
    }

    /// Its weights under the names that checkpoints have for them, if they have a place there.
    fn weights(&self) -> Option<&ModelWeights> {
        None
    }
}
