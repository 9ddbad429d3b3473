//! Models mixed weight by weight. Nothing is computed until a weight is used.

use std::sync::Arc;

use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::payload::{Clip, Model};

fn merged(first: &Model, second: &Model, share: impl Fn(&str) -> (f32, f32)) -> Result<Model, NodeError> {
    let network = first.network.merged(&second.network, share)?;
    Ok(Model { network: Arc::new(network), ..first.clone() })
}

fn merged_clip(first: &Clip, second: &Clip, share: impl Fn(&str) -> (f32, f32)) -> Result<Clip, NodeError> {
    Ok(Clip { text: Arc::new(first.text.merged(&second.text, share)?), ..first.clone() })
}

/// Mixes two models.
#[derive(Node)]
#[node(category = "advanced/model_merging", module = "comfy_extras.nodes_model_merging")]
pub struct ModelMergeSimple {
    /// The first model.
    model1: Model,
    /// The second model.
    model2: Model,
    /// The share of the first.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    ratio: f32,
}

impl Execute for ModelMergeSimple {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        merged(&self.model1, &self.model2, |_| (self.ratio, 1.0 - self.ratio))
    }
}

/// Mixes two models, with a share for each third of the network.
#[derive(Node)]
#[node(category = "advanced/model_merging", module = "comfy_extras.nodes_model_merging")]
pub struct ModelMergeBlocks {
    /// The first model.
    model1: Model,
    /// The second model.
    model2: Model,
    /// The share of the first in the blocks on the way down, and in whatever is no block.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    input: f32,
    /// Its share in the middle.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    middle: f32,
    /// Its share in the blocks on the way up and at the end.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    out: f32,
}

impl Execute for ModelMergeBlocks {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        // A part counts for the weights whose names begin with it; the rest follows the first part.
        merged(&self.model1, &self.model2, |key| {
            let ratio = match key {
                key if key.starts_with("middle") => self.middle,
                key if key.starts_with("out") => self.out,
                _ => self.input,
            };
            (ratio, 1.0 - ratio)
        })
    }
}

/// Adds the second model's weights to the first's.
#[derive(Node)]
#[node(category = "advanced/model_merging", module = "comfy_extras.nodes_model_merging")]
pub struct ModelMergeAdd {
    /// The first model.
    model1: Model,
    /// What is added to it.
    model2: Model,
}

impl Execute for ModelMergeAdd {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        merged(&self.model1, &self.model2, |_| (1.0, 1.0))
    }
}

/// The difference of two models, times a number.
#[derive(Node)]
#[node(category = "advanced/model_merging", module = "comfy_extras.nodes_model_merging")]
pub struct ModelMergeSubtract {
    /// The first model.
    model1: Model,
    /// What is taken from it.
    model2: Model,
    /// The factor.
    #[input(default = 1.0, min = -10.0, max = 10.0, step = 0.01)]
    multiplier: f32,
}

impl Execute for ModelMergeSubtract {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        merged(&self.model1, &self.model2, |_| (self.multiplier, -self.multiplier))
    }
}

/// Mixes two models' text encoders.
#[derive(Node)]
#[node(category = "advanced/model_merging", module = "comfy_extras.nodes_model_merging")]
pub struct CLIPMergeSimple {
    /// The first text encoders.
    clip1: Clip,
    /// The second text encoders.
    clip2: Clip,
    /// The share of the first.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    ratio: f32,
}

impl Execute for CLIPMergeSimple {
    type Output = Clip;

    fn execute(self, _: &mut Cx) -> Result<Clip, NodeError> {
        merged_clip(&self.clip1, &self.clip2, |_| (self.ratio, 1.0 - self.ratio))
    }
}

/// Adds the second text encoders' weights to the first's.
#[derive(Node)]
#[node(category = "advanced/model_merging", module = "comfy_extras.nodes_model_merging")]
pub struct CLIPMergeAdd {
    /// The first text encoders.
    clip1: Clip,
    /// What is added to them.
    clip2: Clip,
}

impl Execute for CLIPMergeAdd {
    type Output = Clip;

    fn execute(self, _: &mut Cx) -> Result<Clip, NodeError> {
        merged_clip(&self.clip1, &self.clip2, |_| (1.0, 1.0))
    }
}

/// The difference of two models' text encoders, times a number.
#[derive(Node)]
#[node(category = "advanced/model_merging", module = "comfy_extras.nodes_model_merging")]
pub struct CLIPMergeSubtract {
    /// The first text encoders.
    clip1: Clip,
    /// What is taken from them.
    clip2: Clip,
    /// The factor.
    #[input(default = 1.0, min = -10.0, max = 10.0, step = 0.01)]
    multiplier: f32,
}

impl Execute for CLIPMergeSubtract {
    type Output = Clip;

    fn execute(self, _: &mut Cx) -> Result<Clip, NodeError> {
        merged_clip(&self.clip1, &self.clip2, |_| (self.multiplier, -self.multiplier))
    }
}
