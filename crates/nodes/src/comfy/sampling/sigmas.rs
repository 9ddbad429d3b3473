//! Nodes that change lists of noise levels.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::schedule::edit::{self, Spacing};

use crate::payload::{Model, Sigmas};

/// Cuts a list of noise levels in two at a step.
#[derive(Node)]
#[node(
    unnamed,
    category = "sampling/custom_sampling/sigmas",
    module = "comfy_extras.nodes_custom_sampler",
    outputs("high_sigmas", "low_sigmas")
)]
pub struct SplitSigmas {
    /// The noise levels.
    sigmas: Sigmas,
    /// The step at which to cut; its level stands in both parts.
    #[input(default = 0, min = 0, max = 10000)]
    step: usize,
}

impl Execute for SplitSigmas {
    type Output = (Sigmas, Sigmas);

    fn execute(self, _: &mut Cx) -> Result<(Sigmas, Sigmas), NodeError> {
        let (high, low) = edit::split(&self.sigmas.0, self.step);
        Ok((high.into(), low.into()))
    }
}

/// Cuts a list of noise levels in two so that the second part denoises so much.
#[derive(Node)]
#[node(
    unnamed,
    category = "sampling/custom_sampling/sigmas",
    module = "comfy_extras.nodes_custom_sampler",
    outputs("high_sigmas", "low_sigmas")
)]
pub struct SplitSigmasDenoise {
    /// The noise levels.
    sigmas: Sigmas,
    /// The share of steps in the second part.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    denoise: f64,
}

impl Execute for SplitSigmasDenoise {
    type Output = (Sigmas, Sigmas);

    fn execute(self, _: &mut Cx) -> Result<(Sigmas, Sigmas), NodeError> {
        let (high, low) = edit::split_denoise(&self.sigmas.0, self.denoise);
        Ok((high.into(), low.into()))
    }
}

/// Turns a list of noise levels around, for adding noise step by step.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/sigmas", module = "comfy_extras.nodes_custom_sampler")]
pub struct FlipSigmas {
    /// The noise levels.
    sigmas: Sigmas,
}

impl Execute for FlipSigmas {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        Ok(edit::flip(&self.sigmas.0).into())
    }
}

/// Replaces the first noise level.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/sigmas", module = "comfy_extras.nodes_custom_sampler")]
pub struct SetFirstSigma {
    /// The noise levels.
    sigmas: Sigmas,
    /// The level to begin with.
    #[input(default = 136.0, min = 0.0, max = 20000.0, step = 0.001, round = false)]
    sigma: f32,
}

impl Execute for SetFirstSigma {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        Ok(edit::set_first(&self.sigmas.0, self.sigma).into())
    }
}

/// Puts more noise levels between those of a range.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/sigmas", module = "comfy_extras.nodes_custom_sampler")]
pub struct ExtendIntermediateSigmas {
    /// The noise levels.
    sigmas: Sigmas,
    /// How many steps each step of the range becomes.
    #[input(default = 2, min = 1, max = 100)]
    steps: usize,
    /// The highest level of the range; negative for no limit.
    #[input(default = -1.0, min = -1.0, max = 20000.0, step = 0.01, round = false)]
    start_at_sigma: f32,
    /// The lowest level of the range.
    #[input(default = 12.0, min = 0.0, max = 20000.0, step = 0.01, round = false)]
    end_at_sigma: f32,
    /// How they are spread.
    #[input(options = ["linear", "cosine", "sine"], option("multiselect" = false))]
    spacing: String,
}

impl Execute for ExtendIntermediateSigmas {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        let spacing = match self.spacing.as_str() {
            "cosine" => Spacing::Cosine,
            "sine" => Spacing::Sine,
            _ => Spacing::Linear,
        };
        let Self { sigmas, steps, start_at_sigma, end_at_sigma, .. } = self;
        Ok(edit::extend(&sigmas.0, steps, start_at_sigma, end_at_sigma, spacing).into())
    }
}

/// The noise level at a part of the run.
#[derive(Node)]
#[node(
    unnamed,
    category = "sampling/custom_sampling/sigmas",
    module = "comfy_extras.nodes_custom_sampler",
    outputs("sigma_value")
)]
pub struct SamplingPercentToSigma {
    /// The model whose schedule counts.
    model: Model,
    /// The part of the run, 0 for its start.
    #[input(default = 0.0, min = 0.0, max = 1.0, step = 0.0001)]
    sampling_percent: f64,
    /// Whether both ends give the model's own limits instead of the numbers used for comparing.
    #[input(default = false)]
    return_actual_sigma: bool,
}

impl Execute for SamplingPercentToSigma {
    type Output = f64;

    fn execute(self, _: &mut Cx) -> Result<f64, NodeError> {
        let levels = &self.model.sampling.levels;
        Ok(match self.sampling_percent {
            p if self.return_actual_sigma && p <= 0.0 => levels.sigma_max().into(),
            p if self.return_actual_sigma && p >= 1.0 => levels.sigma_min().into(),
            p => levels.percent_to_sigma(p),
        })
    }
}
