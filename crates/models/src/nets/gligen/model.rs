//! The network of a GLIGEN: a placing network, and a fuser for each transformer. Knows no conditions.

use burn::tensor::{Device, Tensor};
use kiln_memory::TensorShapes;

use super::{
    config::{FuserConfig, GligenConfig},
    fuser::Fuser,
    position::PositionNet,
};
use crate::{
    error::ModelError,
    weights::{ModelWeights, WeightBuilder},
};

/// So many boxes there may be at most: the network was trained with as many slots.
pub const MOST_BOXES: usize = 30;

/// A GLIGEN over weight handles.
#[derive(Debug)]
pub struct Gligen {
    config: GligenConfig,
    position: PositionNet,
    fusers: Vec<Fuser>,
}

impl GligenConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<Gligen, ModelError> {
        WeightBuilder::build("GLIGEN", weights, |wb| Gligen::new(self, wb))
    }

    /// Name and shape of every tensor of this network.
    ///
    /// # Errors
    /// Never for a configuration that was read off a file.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| Gligen::new(self, wb))
    }
}

impl Gligen {
    fn new(config: &GligenConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let fuser = |(number, sizes): (usize, &FuserConfig)| Fuser::new(wb, number, *sizes, config.token);
        Ok(Self {
            position: PositionNet::new(wb, config)?,
            fusers: config.fusers.iter().enumerate().map(fuser).collect::<Result<_, _>>()?,
            config: config.clone(),
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &GligenConfig {
        &self.config
    }

    /// Texts at their places, in [`MOST_BOXES`] slots.
    ///
    /// # Shapes
    /// `texts` one `[1, text]` for each of `boxes` (left, top, right, bottom in parts of the image); returns
    /// `[1, MOST_BOXES, token]`.
    /// # Errors
    /// `ModelError::Input` for too many boxes or texts of another width, or when weights can't be had.
    pub fn placed(&self, boxes: &[[f32; 4]], texts: Vec<Tensor<2>>, device: &Device) -> Result<Tensor<3>, ModelError> {
        if boxes.len() > MOST_BOXES || texts.len() != boxes.len() {
            let expected = format!("one for each of at most {MOST_BOXES} boxes");
            return Err(input("texts", expected, vec![texts.len(), boxes.len()]));
        }
        if let Some(odd) = texts.iter().find(|text| text.dims() != [1, self.config.text]) {
            let expected = format!("[1, {}], as the text encoder of this GLIGEN's family gives it", self.config.text);
            return Err(input("text", expected, odd.dims().to_vec()));
        }
        self.position.forward(boxes, texts, MOST_BOXES, device)
    }

    /// Tokens of a transformer after its fuser.
    ///
    /// # Shapes
    /// `x` `[batch, tokens, channels]`, kept; `placed` as [`placed`](Self::placed) gives it.
    /// # Errors
    /// `ModelError::Input` when there is no fuser for that transformer, or one of another width.
    pub fn fused(&self, transformer: usize, x: Tensor<3>, placed: &Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let Some(fuser) = self.fusers.get(transformer) else {
            let expected = format!("one of {}: this GLIGEN is for another model", self.fusers.len());
            return Err(input("transformer", expected, vec![transformer]));
        };
        fuser.forward(x, placed)
    }
}

fn input(what: &'static str, expected: String, found: Vec<usize>) -> ModelError {
    ModelError::Input { network: "GLIGEN", what, expected, found }
}
