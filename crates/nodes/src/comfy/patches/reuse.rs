//! What makes sampling cheaper without another network: steps that are guessed, and compilation.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::sampling::{ReuseOf, StepReuse};

use crate::payload::Model;

/// Guesses the network's output in steps that change little (EasyCache, arXiv 2507.02860).
#[derive(Node)]
#[node(category = "advanced/debug/model", module = "comfy_extras.nodes_easycache", experimental)]
pub struct EasyCache {
    /// The model.
    model: Model,
    /// How far changes may add up before a step is computed again.
    #[input(default = 0.2, min = 0.0, max = 3.0, step = 0.01)]
    reuse_threshold: f32,
    /// From this part of the run on steps may be guessed.
    #[input(default = 0.15, min = 0.0, max = 1.0, step = 0.01)]
    start_percent: f64,
    /// Up to this part of the run.
    #[input(default = 0.95, min = 0.0, max = 1.0, step = 0.01)]
    end_percent: f64,
    /// Whether to log what is guessed; it changes nothing.
    #[allow(dead_code, reason = "it is about the log of another program")]
    #[input(default = false)]
    verbose: bool,
}

impl Execute for EasyCache {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, reuse_threshold: threshold, start_percent: start, end_percent: end, .. } = self;
        Ok(reusing(model, StepReuse { of: ReuseOf::Network, threshold, start, end }))
    }
}

/// Guesses the guided prediction in steps that change little.
#[derive(Node)]
#[node(category = "advanced/debug/model", module = "comfy_extras.nodes_easycache", experimental)]
pub struct LazyCache {
    /// The model.
    model: Model,
    /// How far changes may add up before a step is computed again.
    #[input(default = 0.2, min = 0.0, max = 3.0, step = 0.01)]
    reuse_threshold: f32,
    /// From this part of the run on steps may be guessed.
    #[input(default = 0.15, min = 0.0, max = 1.0, step = 0.01)]
    start_percent: f64,
    /// Up to this part of the run.
    #[input(default = 0.95, min = 0.0, max = 1.0, step = 0.01)]
    end_percent: f64,
    /// Whether to log what is guessed; it changes nothing.
    #[allow(dead_code, reason = "it is about the log of another program")]
    #[input(default = false)]
    verbose: bool,
}

impl Execute for LazyCache {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, reuse_threshold: threshold, start_percent: start, end_percent: end, .. } = self;
        Ok(reusing(model, StepReuse { of: ReuseOf::Prediction, threshold, start, end }))
    }
}

fn reusing(model: Model, reuse: StepReuse) -> Model {
    model.patched(|patches| patches.reuse = Some(reuse))
}

/// Passes the model on as it is: Kiln's networks are compiled already, and compiling changes no image.
#[derive(Node)]
#[node(unnamed, category = "_for_testing", module = "comfy_extras.nodes_torch_compile", experimental)]
pub struct TorchCompileModel {
    /// The model.
    model: Model,
    /// The compiler of another program.
    #[allow(dead_code, reason = "there is nothing to compile")]
    #[input(options = ["inductor", "cudagraphs"], option("multiselect" = false))]
    backend: String,
}

impl Execute for TorchCompileModel {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        tracing::warn!("TorchCompileModel has no effect: the networks are compiled already");
        Ok(self.model)
    }
}

/// Passes the model on as it is: which layers wait outside of the device's memory is planned without it.
#[derive(Node)]
#[node(unnamed, class = "wanBlockSwap", category = "", module = "comfy_extras.nodes_nop", deprecated)]
pub struct WanBlockSwap {
    /// The model.
    model: Model,
}

impl Execute for WanBlockSwap {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        Ok(self.model)
    }
}
