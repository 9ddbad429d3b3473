//! The CLIP text encoder: chunks of tokens in, hidden states and a pooled vector out.
//!
//! Knows nothing of prompts, weights of words, or which layer a family wants: the caller chooses.

use burn::tensor::{Device, Tensor};
use kiln_memory::{TensorShapes, Weight};

use super::{
    config::TextConfig,
    layer::{Layer, LayerShape},
};
use crate::{
    error::ModelError,
    nets::layers::{LayerNorm, Linear, Token, TokenTable},
    ops::Mask,
    weights::{ModelWeights, WeightBuilder},
};

/// Which hidden state a caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hidden {
    /// Counted from the end: -1 is the last layer, -2 the one before. Beyond the first layer it means the last one,
    /// with the final normalisation.
    pub layer: i32,
    /// Whether the final layer normalisation is applied to it.
    pub norm: bool,
}

impl Hidden {
    /// The last layer with the final normalisation.
    pub const LAST: Self = Self { layer: -1, norm: true };

    /// Index of the layer and whether it is normalised, for an encoder of `layers` layers and `dropped` more that its
    /// file lacks: their state is that of the last one that is there.
    fn resolve(self, layers: usize, dropped: usize) -> (usize, bool) {
        let all = layers + dropped;
        let index = if self.layer < 0 { all as i64 + i64::from(self.layer) } else { i64::from(self.layer) };
        match usize::try_from(index) {
            Ok(index) if index < all => (index.min(layers.saturating_sub(1)), self.norm),
            _ => (layers.saturating_sub(1), true),
        }
    }
}

/// What a text encoder returns.
#[derive(Debug, Clone)]
pub struct TextOutput {
    /// The chosen hidden state, `[chunks, tokens, width]`.
    pub hidden: Tensor<3>,
    /// Row of each chunk's first end token in the normalised last layer, `[chunks, width]`.
    pub pooled: Tensor<2>,
    /// `pooled` through the projection, `[chunks, projection]`, where the encoder has one.
    pub projected: Option<Tensor<2>>,
}

/// A CLIP text encoder over weight handles.
///
/// Source: OpenAI CLIP `model.py`; layer choice and pooling as in ComfyUI's `sd1_clip.py`.
#[derive(Debug)]
pub struct TextModel {
    config: TextConfig,
    tokens: TokenTable,
    positions: Weight,
    layers: Vec<Layer>,
    norm: LayerNorm,
    projection: Option<Linear>,
}

impl TextConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<TextModel, ModelError> {
        WeightBuilder::build("text encoder", weights, |wb| TextModel::new(self, wb))
    }

    /// Name and shape of every tensor of this network, in Hugging Face's names.
    ///
    /// # Errors
    /// When the sizes contradict each other.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| TextModel::new(self, wb))
    }
}

impl TextModel {
    fn new(config: &TextConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let TextConfig { vocabulary, positions, width, mlp, heads, activation, .. } = *config;
        let shape = LayerShape { width, mlp, heads, activation, mask: Mask::Causal };
        let layer = |i| Layer::new(shape, wb, &format!("text_model.encoder.layers.{i}"));
        let projection = |outputs| Linear::without_bias(wb, "text_projection", width, outputs);
        Ok(Self {
            tokens: TokenTable::new(
                wb,
                "text_model.embeddings.token_embedding.weight",
                [vocabulary, width],
                config.pad,
            )?,
            positions: wb.get("text_model.embeddings.position_embedding.weight", &[positions, width])?,
            layers: (0..config.layers).map(layer).collect::<Result<_, _>>()?,
            norm: LayerNorm::new(wb, "text_model.final_layer_norm", width)?,
            projection: config.projection.map(projection).transpose()?,
            config: config.clone(),
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &TextConfig {
        &self.config
    }

    /// Encodes chunks of equal length as one batch.
    ///
    /// Vectors of another width than the encoder's are left out; each is made up for by one pad at the end of its
    /// chunk, so that lengths stay equal.
    ///
    /// # Errors
    /// `ModelError::Input` when there are no chunks, their lengths differ or exceed the table of positions, or an id
    /// is outside of the vocabulary; an error of memory when weights can't be had.
    pub fn forward(&self, chunks: &[Vec<Token>], hidden: Hidden, device: &Device) -> Result<TextOutput, ModelError> {
        let rows: Vec<Vec<Token>> = chunks.iter().map(|chunk| self.tokens.fitting(chunk)).collect();
        let length = self.common_length(&rows)?;
        let mut x = self.embed(&rows, length, device)?;
        let (chosen, normed) = hidden.resolve(self.layers.len(), self.config.dropped);
        let mut kept = None;
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x)?;
            if i == chosen {
                kept = Some(x.clone());
            }
        }
        let last = self.norm.forward(x)?;
        let hidden = match kept {
            Some(_) if normed && chosen + 1 == self.layers.len() => last.clone(),
            Some(state) if normed => self.norm.forward(state)?,
            Some(state) => state,
            None => last.clone(),
        };
        let pooled = pool(&last, &rows);
        let projected = self.projection.as_ref().map(|projection| projection.forward2(pooled.clone())).transpose()?;
        Ok(TextOutput { hidden, pooled, projected })
    }

    fn common_length(&self, rows: &[Vec<Token>]) -> Result<usize, ModelError> {
        let length = rows.first().map_or(0, Vec::len);
        let even = rows.iter().all(|row| row.len() == length);
        if length == 0 || length > self.config.positions || !even {
            let expected = format!("chunks of one length, 1 to {}", self.config.positions);
            return Err(tokens(expected, rows.iter().map(Vec::len).collect()));
        }
        Ok(length)
    }

    /// Vectors of the tokens plus positions.
    fn embed(&self, rows: &[Vec<Token>], length: usize, device: &Device) -> Result<Tensor<3>, ModelError> {
        let width = self.config.width;
        let x = self.tokens.look_up(&rows.concat(), device)?.reshape([rows.len(), length, width]);
        let positions = self.positions.acquire_rows::<2>(0..length, device)?;
        Ok(x + positions.tensor().reshape([1, length, width]))
    }
}

fn tokens(expected: String, found: Vec<usize>) -> ModelError {
    ModelError::Input { network: "text encoder", what: "tokens", expected, found }
}

/// Row of the first end token of each chunk; the last row where there is none.
fn pool(last: &Tensor<3>, rows: &[Vec<Token>]) -> Tensor<2> {
    let [_, length, width] = last.dims();
    let row = |(n, row): (usize, &Vec<Token>)| {
        let end = row.iter().position(|token| matches!(token, Token::Id(Token::END))).unwrap_or(length - 1);
        last.clone().slice([n..n + 1, end..end + 1, 0..width]).reshape([1, width])
    };
    Tensor::cat(rows.iter().enumerate().map(row).collect(), 0)
}
