//! Models mixed weight by weight. Nothing is computed until a weight is used.

use std::sync::Arc;

use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::payload::{Clip, Model};

crate::comfy::classes::classes! {
    ModelMergeSimple, ModelMergeBlocks, ModelMergeAdd, ModelMergeSubtract, ModelMergeSD1, ModelMergeSD2,
    ModelMergeSDXL, CLIPMergeSimple, CLIPMergeAdd, CLIPMergeSubtract,
}

fn merged(first: &Model, second: &Model, share: impl Fn(&str) -> (f32, f32)) -> Result<Model, NodeError> {
    let network = first.network.merged(&second.network, share)?;
    Ok(Model { network: Arc::new(network), ..first.clone() })
}

fn merged_clip(first: &Clip, second: &Clip, share: impl Fn(&str) -> (f32, f32)) -> Result<Clip, NodeError> {
    Ok(first.clone().with_text(first.text()?.merged(second.text()?, share)?))
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

/// Mixes two models, each weight by the share of the longest name that it begins with; others by the first share.
fn merged_by_blocks(first: &Model, second: &Model, shares: &[(&str, f32)]) -> Result<Model, NodeError> {
    merged(first, second, |key| {
        let fitting = shares.iter().filter(|(name, _)| key.starts_with(name));
        let ratio = fitting.max_by_key(|(name, _)| name.len()).or(shares.first()).map_or(1.0, |(_, ratio)| *ratio);
        (ratio, 1.0 - ratio)
    })
}

/// A node that mixes two models with a share for each block.
macro_rules! merge_by_blocks {
    ($(#[doc = $doc:literal])* $class:ident { $($field:ident: $name:literal = $tooltip:literal,)* }) => {
        $(#[doc = $doc])*
        #[derive(Node)]
        #[node(
            category = "advanced/model_merging/model_specific",
            module = "comfy_extras.nodes_model_merging_model_specific"
        )]
        pub struct $class {
            /// The first model.
            model1: Model,
            /// The second model.
            model2: Model,
            $(
                #[doc = $tooltip]
                #[input(name = $name, default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
                $field: f32,
            )*
        }

        impl Execute for $class {
            type Output = Model;

            fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
                merged_by_blocks(&self.model1, &self.model2, &[$(($name, self.$field)),*])
            }
        }
    };
}

merge_by_blocks! {
    /// Mixes two models of Stable Diffusion 1, with a share of the first for each block.
    ModelMergeSD1 {
        time_embed: "time_embed." = "Its share in the embedding of time.",
        label_emb: "label_emb." = "Its share in the embedding of sizes.",
        input_blocks_0: "input_blocks.0." = "Its share in input block 0.",
        input_blocks_1: "input_blocks.1." = "Its share in input block 1.",
        input_blocks_2: "input_blocks.2." = "Its share in input block 2.",
        input_blocks_3: "input_blocks.3." = "Its share in input block 3.",
        input_blocks_4: "input_blocks.4." = "Its share in input block 4.",
        input_blocks_5: "input_blocks.5." = "Its share in input block 5.",
        input_blocks_6: "input_blocks.6." = "Its share in input block 6.",
        input_blocks_7: "input_blocks.7." = "Its share in input block 7.",
        input_blocks_8: "input_blocks.8." = "Its share in input block 8.",
        input_blocks_9: "input_blocks.9." = "Its share in input block 9.",
        input_blocks_10: "input_blocks.10." = "Its share in input block 10.",
        input_blocks_11: "input_blocks.11." = "Its share in input block 11.",
        middle_block_0: "middle_block.0." = "Its share in middle block 0.",
        middle_block_1: "middle_block.1." = "Its share in middle block 1.",
        middle_block_2: "middle_block.2." = "Its share in middle block 2.",
        output_blocks_0: "output_blocks.0." = "Its share in output block 0.",
        output_blocks_1: "output_blocks.1." = "Its share in output block 1.",
        output_blocks_2: "output_blocks.2." = "Its share in output block 2.",
        output_blocks_3: "output_blocks.3." = "Its share in output block 3.",
        output_blocks_4: "output_blocks.4." = "Its share in output block 4.",
        output_blocks_5: "output_blocks.5." = "Its share in output block 5.",
        output_blocks_6: "output_blocks.6." = "Its share in output block 6.",
        output_blocks_7: "output_blocks.7." = "Its share in output block 7.",
        output_blocks_8: "output_blocks.8." = "Its share in output block 8.",
        output_blocks_9: "output_blocks.9." = "Its share in output block 9.",
        output_blocks_10: "output_blocks.10." = "Its share in output block 10.",
        output_blocks_11: "output_blocks.11." = "Its share in output block 11.",
        out: "out." = "Its share in the end.",
    }
}

merge_by_blocks! {
    /// Mixes two models of Stable Diffusion 2, with a share of the first for each block.
    ModelMergeSD2 {
        time_embed: "time_embed." = "Its share in the embedding of time.",
        label_emb: "label_emb." = "Its share in the embedding of sizes.",
        input_blocks_0: "input_blocks.0." = "Its share in input block 0.",
        input_blocks_1: "input_blocks.1." = "Its share in input block 1.",
        input_blocks_2: "input_blocks.2." = "Its share in input block 2.",
        input_blocks_3: "input_blocks.3." = "Its share in input block 3.",
        input_blocks_4: "input_blocks.4." = "Its share in input block 4.",
        input_blocks_5: "input_blocks.5." = "Its share in input block 5.",
        input_blocks_6: "input_blocks.6." = "Its share in input block 6.",
        input_blocks_7: "input_blocks.7." = "Its share in input block 7.",
        input_blocks_8: "input_blocks.8." = "Its share in input block 8.",
        input_blocks_9: "input_blocks.9." = "Its share in input block 9.",
        input_blocks_10: "input_blocks.10." = "Its share in input block 10.",
        input_blocks_11: "input_blocks.11." = "Its share in input block 11.",
        middle_block_0: "middle_block.0." = "Its share in middle block 0.",
        middle_block_1: "middle_block.1." = "Its share in middle block 1.",
        middle_block_2: "middle_block.2." = "Its share in middle block 2.",
        output_blocks_0: "output_blocks.0." = "Its share in output block 0.",
        output_blocks_1: "output_blocks.1." = "Its share in output block 1.",
        output_blocks_2: "output_blocks.2." = "Its share in output block 2.",
        output_blocks_3: "output_blocks.3." = "Its share in output block 3.",
        output_blocks_4: "output_blocks.4." = "Its share in output block 4.",
        output_blocks_5: "output_blocks.5." = "Its share in output block 5.",
        output_blocks_6: "output_blocks.6." = "Its share in output block 6.",
        output_blocks_7: "output_blocks.7." = "Its share in output block 7.",
        output_blocks_8: "output_blocks.8." = "Its share in output block 8.",
        output_blocks_9: "output_blocks.9." = "Its share in output block 9.",
        output_blocks_10: "output_blocks.10." = "Its share in output block 10.",
        output_blocks_11: "output_blocks.11." = "Its share in output block 11.",
        out: "out." = "Its share in the end.",
    }
}

merge_by_blocks! {
    /// Mixes two models of SDXL, with a share of the first for each block.
    ModelMergeSDXL {
        time_embed: "time_embed." = "Its share in the embedding of time.",
        label_emb: "label_emb." = "Its share in the embedding of sizes.",
        input_blocks_0: "input_blocks.0" = "Its share in input block 0.",
        input_blocks_1: "input_blocks.1" = "Its share in input block 1.",
        input_blocks_2: "input_blocks.2" = "Its share in input block 2.",
        input_blocks_3: "input_blocks.3" = "Its share in input block 3.",
        input_blocks_4: "input_blocks.4" = "Its share in input block 4.",
        input_blocks_5: "input_blocks.5" = "Its share in input block 5.",
        input_blocks_6: "input_blocks.6" = "Its share in input block 6.",
        input_blocks_7: "input_blocks.7" = "Its share in input block 7.",
        input_blocks_8: "input_blocks.8" = "Its share in input block 8.",
        middle_block_0: "middle_block.0" = "Its share in middle block 0.",
        middle_block_1: "middle_block.1" = "Its share in middle block 1.",
        middle_block_2: "middle_block.2" = "Its share in middle block 2.",
        output_blocks_0: "output_blocks.0" = "Its share in output block 0.",
        output_blocks_1: "output_blocks.1" = "Its share in output block 1.",
        output_blocks_2: "output_blocks.2" = "Its share in output block 2.",
        output_blocks_3: "output_blocks.3" = "Its share in output block 3.",
        output_blocks_4: "output_blocks.4" = "Its share in output block 4.",
        output_blocks_5: "output_blocks.5" = "Its share in output block 5.",
        output_blocks_6: "output_blocks.6" = "Its share in output block 6.",
        output_blocks_7: "output_blocks.7" = "Its share in output block 7.",
        output_blocks_8: "output_blocks.8" = "Its share in output block 8.",
        out: "out." = "Its share in the end.",
    }
}
