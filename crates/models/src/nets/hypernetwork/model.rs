//! The network of a hypernetwork, and its use on keys and values.

use std::sync::Arc;

use burn::tensor::Tensor;
use indexmap::IndexMap;
use kiln_memory::TensorShapes;

use super::{
    activation::Nonlinearity,
    config::{HypernetworkConfig, LayerConfig},
};
use crate::{
    error::ModelError,
    nets::{
        hooks::{KeyValueChange, KeyValueSources},
        layers::{LayerNorm, Linear},
    },
    weights::{ModelWeights, WeightBuilder},
};

/// A hypernetwork over weight handles.
#[derive(Debug)]
pub struct Hypernetwork {
    nonlinearity: Nonlinearity,
    /// Layers for keys and for values, by width.
    widths: IndexMap<usize, [Vec<Layer>; 2]>,
}

#[derive(Debug)]
enum Layer {
    Linear { linear: Linear, bends: bool },
    Norm(LayerNorm),
}

impl HypernetworkConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<Hypernetwork, ModelError> {
        WeightBuilder::build("hypernetwork", weights, |wb| Hypernetwork::new(self, wb))
    }

    /// Name and shape of every tensor of this network.
    ///
    /// # Errors
    /// Never for a configuration that was read off a file.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| Hypernetwork::new(self, wb))
    }
}

impl Hypernetwork {
    fn new(config: &HypernetworkConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let layers = |configs: &[LayerConfig]| {
            configs.iter().map(|config| Layer::new(config, wb)).collect::<Result<Vec<_>, _>>()
        };
        let side =
            |(width, [keys, values]): (&usize, &[Vec<LayerConfig>; 2])| Ok((*width, [layers(keys)?, layers(values)?]));
        let widths = config.widths.iter().map(side).collect::<Result<_, ModelError>>()?;
        Ok(Self { nonlinearity: config.nonlinearity, widths })
    }

    /// What is added to keys' (`side` 0) or values' (1) sources; `None` where it has nothing for their width.
    ///
    /// # Shapes
    /// `x` `[batch, keys, width]`, kept.
    /// # Errors
    /// When weights can't be had.
    pub fn forward(&self, side: usize, x: &Tensor<3>) -> Result<Option<Tensor<3>>, ModelError> {
        let Some(layers) = self.widths.get(&x.dims()[2]).and_then(|sides| sides.get(side)) else { return Ok(None) };
        let run = |x, layer: &Layer| layer.forward(x, self.nonlinearity);
        layers.iter().try_fold(x.clone(), run).map(Some)
    }
}

impl Layer {
    fn new(config: &LayerConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        Ok(match config {
            LayerConfig::Norm { name, width } => Self::Norm(LayerNorm::new(wb, name, *width)?),
            LayerConfig::Linear { name, inputs, outputs, bends } => {
                Self::Linear { linear: Linear::new(wb, name, *inputs, *outputs)?, bends: *bends }
            }
        })
    }

    fn forward(&self, x: Tensor<3>, nonlinearity: Nonlinearity) -> Result<Tensor<3>, ModelError> {
        match self {
            Self::Norm(norm) => norm.forward(x),
            Self::Linear { linear, bends: false } => linear.forward(x),
            Self::Linear { linear, bends: true } => Ok(nonlinearity.forward(linear.forward(x)?)),
        }
    }
}

/// A hypernetwork at work: by how much.
#[derive(Debug)]
pub struct HypernetworkChange {
    /// The network.
    pub net: Arc<Hypernetwork>,
    /// Factor on what it adds.
    pub strength: f32,
}

impl KeyValueChange for HypernetworkChange {
    fn changed(&self, pair: KeyValueSources) -> Result<KeyValueSources, ModelError> {
        let more = |side, x: Tensor<3>| match self.net.forward(side, &x)? {
            Some(more) => Ok::<_, ModelError>(x + more * self.strength),
            None => Ok(x),
        };
        Ok(KeyValueSources { keys: more(0, pair.keys)?, values: more(1, pair.values)? })
    }
}
