//! A language model that reads prompts: tokens in, hidden states of some of its blocks out.
//!
//! Knows nothing of templates, or of which states a family takes: the caller chooses.

use burn::tensor::{Device, Tensor};
use kiln_memory::TensorShapes;

use super::{config::LlmConfig, layer::Layer, positions::Positions};
use crate::{
    error::ModelError,
    nets::layers::{RmsNorm, Token, TokenTable},
    ops,
    weights::{ModelWeights, WeightBuilder},
};

/// Which states of a run are wanted.
#[derive(Debug, Clone, Copy)]
pub enum States<'a> {
    /// The last block's, normalised.
    Normalised,
    /// Those after so many blocks each, in rising order, as they are. Later blocks don't run.
    After(&'a [usize]),
}

/// A language model over weight handles.
#[derive(Debug)]
pub struct LlmModel {
    config: LlmConfig,
    tokens: TokenTable,
    layers: Vec<Layer>,
    norm: Option<RmsNorm>,
}

impl LlmConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<LlmModel, ModelError> {
        WeightBuilder::build(self.kind.name(), weights, |wb| LlmModel::new(self, wb))
    }

    /// Name and shape of every tensor of this network, in Hugging Face's names.
    ///
    /// # Errors
    /// Never for a configuration that was read off a file.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| LlmModel::new(self, wb))
    }
}

impl LlmModel {
    fn new(config: &LlmConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let sides = [config.vocabulary, config.width];
        let norm = || RmsNorm::new(wb, "model.norm.weight", config.width, config.kind.eps());
        Ok(Self {
            tokens: TokenTable::new(wb, "model.embed_tokens.weight", sides, config.kind.pad())?,
            layers: (0..config.layers).map(|index| Layer::new(config, wb, index)).collect::<Result<_, _>>()?,
            norm: config.final_norm.then(norm).transpose()?,
            config: config.clone(),
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &LlmConfig {
        &self.config
    }

    /// The row without vectors that are none of this model's width, as long as before.
    pub fn fitting(&self, row: &[Token]) -> Vec<Token> {
        self.tokens.fitting(row)
    }

    /// The vectors of tokens, `[tokens, width]`.
    ///
    /// # Errors
    /// `ModelError::Input` when there are none, or an id is outside of the vocabulary; when rows can't be had.
    pub fn embed(&self, tokens: &[Token], device: &Device) -> Result<Tensor<2>, ModelError> {
        self.tokens.look_up(tokens, device)
    }

    /// Runs the blocks over embedded tokens. `hidden`: which of them no other may look at, if there are any; none looks at
    /// a later one.
    ///
    /// # Shapes
    /// `x` `[tokens, width]`; returns `[1, tokens, width]` per state.
    /// # Errors
    /// `ModelError::Input` when positions, `hidden` and `x` differ in their number of tokens or a state is wanted of a
    /// block that the model lacks; when weights can't be had.
    pub fn forward(
        &self,
        x: Tensor<2>,
        positions: &Positions,
        hidden: Option<&[bool]>,
        states: States<'_>,
    ) -> Result<Vec<Tensor<3>>, ModelError> {
        let tokens = x.dims()[0];
        let mut x = x.unsqueeze::<3>();
        let counts = [positions.places().len(), hidden.map_or(tokens, <[bool]>::len)];
        if counts != [tokens; 2] {
            return Err(self.input("positions and mask", format!("{tokens} of each"), counts.to_vec()));
        }
        let rotary = positions.rotary(self.config.kind, self.config.head_width);
        let bias = hidden.filter(|hidden| hidden.contains(&true)).map(bias);
        let mut found = Vec::new();
        for (done, layer) in (1..).zip(&self.layers[..self.depth(states)?]) {
            x = layer.forward(x, &rotary, bias.as_deref())?;
            if matches!(states, States::After(after) if after.contains(&done)) {
                found.push(x.clone());
            }
        }
        if let (States::Normalised, Some(norm)) = (states, &self.norm) {
            found.push(norm.forward(x)?);
        }
        Ok(found)
    }

    /// How many blocks run.
    fn depth(&self, states: States<'_>) -> Result<usize, ModelError> {
        let all = self.layers.len();
        match states {
            States::Normalised if self.norm.is_none() => {
                Err(self.input("norm behind the last block", "one in the file".to_owned(), vec![0]))
            }
            States::Normalised => Ok(all),
            States::After(after) => match after.iter().copied().max() {
                Some(last) if last <= all => Ok(last),
                last => Err(self.input("blocks", format!("at least {}", last.unwrap_or(1)), vec![all])),
            },
        }
    }

    fn input(&self, what: &'static str, expected: String, found: Vec<usize>) -> ModelError {
        ModelError::Input { network: self.config.kind.name(), what, expected, found }
    }
}

/// What is added to the scores of each query, `[tokens, tokens]`: later tokens and hidden ones count nothing.
fn bias(hidden: &[bool]) -> Vec<f32> {
    let tokens = hidden.len();
    let place = |i: usize| (i / tokens, i % tokens);
    let seen = |(query, key): (usize, usize)| key <= query && !hidden[key];
    (0..tokens * tokens).map(|i| if seen(place(i)) { 0.0 } else { ops::HIDDEN }).collect()
}
