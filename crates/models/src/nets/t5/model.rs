//! T5's encoder: rows of tokens in, hidden states out.

use burn::tensor::{Device, Tensor};
use kiln_memory::TensorShapes;

use super::{
    config::T5Config,
    distance::Distances,
    layer::{EPS, Layer},
};
use crate::{
    error::ModelError,
    nets::layers::{RmsNorm, Token, TokenTable},
    ops,
    weights::{ModelWeights, WeightBuilder},
};

/// T5's encoder over weight handles.
///
/// Source: transformers, `T5EncoderModel`.
#[derive(Debug)]
pub struct T5Model {
    config: T5Config,
    tokens: TokenTable,
    layers: Vec<Layer>,
    norm: RmsNorm,
}

impl T5Config {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<T5Model, ModelError> {
        WeightBuilder::build("T5 text encoder", weights, |wb| T5Model::new(self, wb))
    }

    /// Name and shape of every tensor of this network, in Hugging Face's names.
    ///
    /// # Errors
    /// Never for a configuration that was read off a file.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| T5Model::new(self, wb))
    }
}

impl T5Model {
    fn new(config: &T5Config, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        Ok(Self {
            tokens: TokenTable::new(wb, "shared.weight", [config.vocabulary, config.width], 0)?,
            layers: (0..config.layers).map(|index| Layer::new(config, wb, index)).collect::<Result<_, _>>()?,
            norm: RmsNorm::new(wb, "encoder.final_layer_norm.weight", config.width, EPS)?,
            config: config.clone(),
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &T5Config {
        &self.config
    }

    /// Encodes rows of one length as one batch. `layer`: after which block, counted from the end (-1: the last); beyond
    /// the first it means the last. `hidden_keys`: tokens that no other may look at, if there are any.
    ///
    /// # Shapes
    /// Returns `[rows, tokens, width]`, with the final norm.
    /// # Errors
    /// `ModelError::Input` when there are no rows, their lengths differ, or an id is outside of the vocabulary; when
    /// weights can't be had.
    pub fn forward(
        &self,
        rows: &[Vec<Token>],
        layer: i32,
        hidden_keys: Option<&[bool]>,
        device: &Device,
    ) -> Result<Tensor<3>, ModelError> {
        let length = rows.first().map_or(0, Vec::len);
        if length == 0 || rows.iter().any(|row| row.len() != length) {
            let found = rows.iter().map(Vec::len).collect();
            let expected = "rows of one length, at least 1".to_owned();
            return Err(ModelError::Input { network: "T5 text encoder", what: "tokens", expected, found });
        }
        let all: Vec<Token> = rows.iter().flat_map(|row| self.tokens.fitting(row)).collect();
        let mut x = self.tokens.look_up(&all, device)?.reshape([rows.len(), length, self.config.width]);
        let mut distances = None;
        for layer in &self.layers[..self.depth(layer)] {
            if let Some(table) = &layer.distances {
                let table = table.read()?;
                let keys =
                    hidden_keys.map(|hidden| hidden.iter().map(|hidden| if *hidden { ops::HIDDEN } else { 0.0 }));
                distances = Some(Distances::new(&table, self.config.heads, length, keys.map(Iterator::collect)));
            }
            if let Some(distances) = &distances {
                x = layer.forward(x, distances)?;
            }
        }
        self.norm.forward(x)
    }

    /// How many blocks run.
    fn depth(&self, layer: i32) -> usize {
        let all = self.layers.len();
        let skipped = usize::try_from(-1 - i64::from(layer)).unwrap_or(0);
        if skipped < all { all - skipped } else { all }
    }
}
