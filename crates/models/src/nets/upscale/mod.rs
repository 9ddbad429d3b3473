//! Networks that enlarge images: ESRGAN's RRDB and the compact one of Real-ESRGAN, of any depth and width.

mod compact;
mod config;
mod keys;
mod rrdb;

use burn::tensor::Tensor;
use kiln_memory::TensorShapes;

pub use config::{CompactConfig, RrdbConfig, UpscaleConfig};

use crate::{
    error::ModelError,
    nets::vae::{Tiles, tiled},
    weights::{ModelWeights, WeightBuilder},
};
use compact::Compact;
pub(crate) use keys::canonical;
use rrdb::Rrdb;

/// A network that enlarges images by a fixed factor.
#[derive(Debug)]
pub struct Upscaler {
    config: UpscaleConfig,
    network: Network,
}

#[derive(Debug)]
enum Network {
    Rrdb(Box<Rrdb>),
    Compact(Box<Compact>),
}

impl UpscaleConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<Upscaler, ModelError> {
        let network = WeightBuilder::build("upscaler", weights, |wb| Network::new(self, wb))?;
        Ok(Upscaler { config: self.clone(), network })
    }

    /// Name and shape of every tensor of this network, in its own names.
    ///
    /// # Errors
    /// Never for a configuration that was read off a file.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| Network::new(self, wb))
    }
}

impl Network {
    fn new(config: &UpscaleConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        Ok(match config {
            UpscaleConfig::Rrdb(config) => Self::Rrdb(Box::new(Rrdb::new(config, wb)?)),
            UpscaleConfig::Compact(config) => Self::Compact(Box::new(Compact::new(config, wb)?)),
        })
    }
}

impl Upscaler {
    /// The sizes of this network.
    pub fn config(&self) -> &UpscaleConfig {
        &self.config
    }

    /// How many times larger the result is, on each side.
    pub fn scale(&self) -> usize {
        self.config.scale()
    }

    /// The enlarged image, not clamped.
    ///
    /// # Shapes
    /// `[batch, 3, h, w]` in 0..1 to `[batch, 3, h · scale, w · scale]`.
    /// # Errors
    /// `ModelError::Input` for other channels, or when weights can't be had.
    pub fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let ([batch, channels, height, width], wanted) = (x.dims(), self.config.image_channels());
        if channels != wanted || batch == 0 || height == 0 || width == 0 {
            return Err(input(format!("[batch, {wanted}, h, w]"), &x.dims()));
        }
        match &self.network {
            Network::Rrdb(network) => network.forward(x),
            Network::Compact(network) => network.forward(x),
        }
    }

    /// An image enlarged in overlapping tiles, clamped.
    ///
    /// # Shapes
    /// `[batch, h, w, 3 or more]` in 0..1 to `[batch, h · scale, w · scale, 3]`.
    /// # Errors
    /// As [`Upscaler::forward`].
    pub fn upscale(&self, image: Tensor<4>, tiles: Tiles) -> Result<Tensor<4>, ModelError> {
        let ([batch, height, width, channels], wanted) = (image.dims(), self.config.image_channels());
        if channels < wanted {
            return Err(input(format!("[batch, h, w, {wanted}]"), &image.dims()));
        }
        let x = image.slice([0..batch, 0..height, 0..width, 0..wanted]).permute([0, 3, 1, 2]);
        let y = tiled(x, tiles, self.scale() as f64, |tile| self.forward(tile))?;
        Ok(y.clamp(0.0, 1.0).permute([0, 2, 3, 1]))
    }
}

fn input(expected: String, found: &[usize]) -> ModelError {
    ModelError::Input { network: "upscaler", what: "image", expected, found: found.to_vec() }
}
