//! The network of a T2I-Adapter. Knows nothing of strength, ranges or other controls.

use burn::tensor::Tensor;
use kiln_memory::TensorShapes;

use super::{
    block::{Extractor, Residual, Shape},
    config::{AdapterConfig, AdapterKind},
};
use crate::{
    error::ModelError,
    nets::{layers::Conv2d, residuals::Residuals},
    ops,
    weights::{ModelWeights, WeightBuilder},
};

/// A T2I-Adapter over weight handles.
#[derive(Debug)]
pub struct Adapter {
    config: AdapterConfig,
    levels: Levels,
}

#[derive(Debug)]
enum Levels {
    Full { entrance: Conv2d, levels: Vec<Vec<Residual>> },
    Light(Vec<Extractor>),
}

impl AdapterConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<Adapter, ModelError> {
        WeightBuilder::build("T2I-Adapter", weights, |wb| Adapter::new(self, wb))
    }

    /// Name and shape of every tensor of this network, in original names.
    ///
    /// # Errors
    /// Never for a configuration that was read off a file.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| Adapter::new(self, wb))
    }
}

impl Adapter {
    fn new(config: &AdapterConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let inputs = config.image * config.shuffle * config.shuffle;
        let before = |level: usize, first| level.checked_sub(1).map_or(first, |level| config.channels[level]);
        let levels = config.channels.iter().enumerate();
        let levels = match config.kind {
            AdapterKind::Light { blocks } => {
                let level = |(n, channels): (usize, &usize)| {
                    let sides = [before(n, inputs), *channels];
                    Extractor::new(wb, &format!("body.{n}"), sides, blocks, config.halves(n))
                };
                Levels::Light(levels.map(level).collect::<Result<_, _>>()?)
            }
            AdapterKind::Full { blocks, kernel, halves_by_conv } => {
                let first = config.channels.first().copied().unwrap_or(0);
                let block = |level: usize, n: usize| {
                    let outputs = config.channels[level];
                    let inputs = if n == 0 { before(level, first) } else { outputs };
                    let halves = (n == 0 && config.halves(level)).then_some(halves_by_conv);
                    let shape = Shape { inputs, outputs, kernel, halves };
                    Residual::new(wb, &format!("body.{}", level * blocks + n), shape)
                };
                let level = |(level, _): (usize, &usize)| (0..blocks).map(|n| block(level, n)).collect();
                Levels::Full {
                    entrance: Conv2d::new(wb, "conv_in", inputs, first, 3)?,
                    levels: levels.map(level).collect::<Result<_, ModelError>>()?,
                }
            }
        };
        Ok(Self { config: config.clone(), levels })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &AdapterConfig {
        &self.config
    }

    /// What it adds to the UNet's way down and, for SDXL, to its middle.
    ///
    /// # Shapes
    /// `image` `[batch, channels, h, w]` in 0..1, sides multiples of [`shuffle`](AdapterConfig::shuffle).
    /// # Errors
    /// `ModelError::Input` when the shape doesn't fit, or when weights can't be had.
    pub fn forward(&self, image: Tensor<4>) -> Result<Residuals, ModelError> {
        let ([batch, channels, height, width], side) = (image.dims(), self.config.shuffle);
        let fits = height.is_multiple_of(side) && width.is_multiple_of(side) && height * width > 0;
        if channels != self.config.image || !fits {
            let expected = format!("[{batch}, {}, {side} n, {side} m]", self.config.image);
            let found = image.dims().to_vec();
            return Err(ModelError::Input { network: "T2I-Adapter", what: "image", expected, found });
        }
        let mut residuals = Residuals::default();
        for (place, map) in self.config.places().into_iter().zip(self.maps(ops::pixel_unshuffle(image, side)?)?) {
            match place {
                None => residuals.middle = Some(map),
                Some(block) => {
                    residuals.input.resize(block, None);
                    residuals.input.push(Some(map));
                }
            }
        }
        Ok(residuals)
    }

    /// The result of each level.
    fn maps(&self, x: Tensor<4>) -> Result<Vec<Tensor<4>>, ModelError> {
        match &self.levels {
            Levels::Light(levels) => {
                let mut h = x;
                levels.iter().map(|level| level.forward(h.clone()).inspect(|map| h = map.clone())).collect()
            }
            Levels::Full { entrance, levels } => {
                let mut h = entrance.forward(x)?;
                let run = |level: &Vec<Residual>| {
                    h = level.iter().try_fold(h.clone(), |h, block| block.forward(h))?;
                    Ok(h.clone())
                };
                levels.iter().map(run).collect()
            }
        }
    }
}
