//! Guidance away from what a transformer predicts without some of its blocks.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::hooks::SkippedBlocks;
use kiln_models::sampling::{BlockSkips, GuidancePatch, LevelRange};

use crate::payload::Model;

/// Every run of digits in a text as a number; one too large for any network is left out.
fn numbers(text: &str) -> Vec<usize> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// When a change holds: between these parts of a run, by the model's levels as they are now.
fn range(model: &Model, [start, end]: [f64; 2]) -> LevelRange {
    let level = |percent| model.sampling.levels.percent_to_sigma(percent);
    LevelRange { start: level(start), end: level(end) }
}

/// The model with a change; without blocks to skip, as it is.
fn skipping(model: Model, blocks: SkippedBlocks, patch: impl FnOnce(SkippedBlocks) -> GuidancePatch) -> Model {
    if blocks.is_empty() {
        return model;
    }
    model.patched(|patches| patches.guidance.push(patch(blocks)))
}

/// Moves away from what Stable Diffusion 3's network draws without some of its blocks: fewer broken bodies and hands.
#[derive(Node)]
#[node(unnamed, category = "advanced/guidance", module = "comfy_extras.nodes_sd3", experimental)]
pub struct SkipLayerGuidanceSD3 {
    /// The model.
    model: Model,
    /// Numbers of the blocks, from 0.
    #[input(default = "7, 8, 9", option("multiline" = false))]
    layers: String,
    /// How far.
    #[input(default = 3.0, min = 0.0, max = 10.0, step = 0.1)]
    scale: f32,
    /// From which part of the run on.
    #[input(default = 0.01, min = 0.0, max = 1.0, step = 0.001)]
    start_percent: f64,
    /// Until which part of it.
    #[input(default = 0.15, min = 0.0, max = 1.0, step = 0.001)]
    end_percent: f64,
}

impl Execute for SkipLayerGuidanceSD3 {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, layers, scale, start_percent, end_percent } = self;
        let range = range(&model, [start_percent, end_percent]);
        let blocks = SkippedBlocks { double: numbers(&layers), single: Vec::new() };
        let patch = |blocks| GuidancePatch::BlockSkips(BlockSkips { blocks, scale, rescale: 0.0, range });
        Ok(skipping(model, blocks, patch))
    }
}

/// Moves away from what a transformer draws without some of its blocks.
#[derive(Node)]
#[node(unnamed, category = "advanced/guidance", module = "comfy_extras.nodes_slg", experimental)]
pub struct SkipLayerGuidanceDiT {
    /// The model.
    model: Model,
    /// Numbers of blocks with weights of their own for prompt and image, from 0.
    #[input(default = "7, 8, 9", option("multiline" = false))]
    double_layers: String,
    /// Numbers of blocks that treat both alike, from 0.
    #[input(default = "7, 8, 9", option("multiline" = false))]
    single_layers: String,
    /// How far.
    #[input(default = 3.0, min = 0.0, max = 10.0, step = 0.1)]
    scale: f32,
    /// From which part of the run on.
    #[input(default = 0.01, min = 0.0, max = 1.0, step = 0.001)]
    start_percent: f64,
    /// Until which part of it.
    #[input(default = 0.15, min = 0.0, max = 1.0, step = 0.001)]
    end_percent: f64,
    /// How much of the result is drawn back to the positive prediction's spread.
    #[input(default = 0.0, min = 0.0, max = 10.0, step = 0.01)]
    rescaling_scale: f32,
}

impl Execute for SkipLayerGuidanceDiT {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, double_layers, single_layers, scale, start_percent, end_percent, rescaling_scale } = self;
        let range = range(&model, [start_percent, end_percent]);
        let blocks = SkippedBlocks { double: numbers(&double_layers), single: numbers(&single_layers) };
        let patch = |blocks| GuidancePatch::BlockSkips(BlockSkips { blocks, scale, rescale: rescaling_scale, range });
        Ok(skipping(model, blocks, patch))
    }
}

/// Lets the negative prompt be drawn without some of a transformer's blocks. Takes no further evaluation.
#[derive(Node)]
#[node(unnamed, category = "advanced/guidance", module = "comfy_extras.nodes_slg", experimental)]
pub struct SkipLayerGuidanceDiTSimple {
    /// The model.
    model: Model,
    /// Numbers of blocks with weights of their own for prompt and image, from 0.
    #[input(default = "7, 8, 9", option("multiline" = false))]
    double_layers: String,
    /// Numbers of blocks that treat both alike, from 0.
    #[input(default = "7, 8, 9", option("multiline" = false))]
    single_layers: String,
    /// From which part of the run on.
    #[input(default = 0.0, min = 0.0, max = 1.0, step = 0.001)]
    start_percent: f64,
    /// Until which part of it.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.001)]
    end_percent: f64,
}

impl Execute for SkipLayerGuidanceDiTSimple {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, double_layers, single_layers, start_percent, end_percent } = self;
        let range = range(&model, [start_percent, end_percent]);
        let blocks = SkippedBlocks { double: numbers(&double_layers), single: numbers(&single_layers) };
        Ok(skipping(model, blocks, |blocks| GuidancePatch::NegativeSkips { blocks, range }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_runs_of_digits_whatever_lies_between() {
        assert_eq!(numbers("7, 8,9"), [7, 8, 9]);
        assert_eq!(numbers("layers 1-3; 12."), [1, 3, 12]);
        assert_eq!(numbers("99999999999999999999999 4"), [4]);
        assert!(numbers(" none ").is_empty());
    }
}
