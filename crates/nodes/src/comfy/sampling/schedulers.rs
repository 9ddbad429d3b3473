//! Schedules of noise levels as nodes.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::schedule::{Scheduler, levels, steps};

use super::names::scheduler_names;
use crate::payload::{Model, Sigmas};

/// A schedule of a model by its name.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/schedulers", module = "comfy_extras.nodes_custom_sampler")]
pub struct BasicScheduler {
    /// The model whose noise levels count.
    model: Model,
    /// The name.
    #[input(options = scheduler_names(), option("multiselect" = false))]
    scheduler: String,
    /// How many steps.
    #[input(default = 20, min = 1, max = 10000)]
    steps: usize,
    /// How much is denoised: less than 1 leaves out the first part.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    denoise: f64,
}

impl Execute for BasicScheduler {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        let scheduler: Scheduler = self.scheduler.parse()?;
        Ok(steps::basic(&self.model.sampling.levels, scheduler, self.steps, self.denoise)?.into())
    }
}

/// The schedule of Karras et al. 2022.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/schedulers", module = "comfy_extras.nodes_custom_sampler")]
pub struct KarrasScheduler {
    /// How many steps.
    #[input(default = 20, min = 1, max = 10000)]
    steps: usize,
    /// The highest noise level.
    #[input(default = 14.614642, min = 0.0, max = 5000.0, step = 0.01, round = false)]
    sigma_max: f64,
    /// The lowest noise level but 0.
    #[input(default = 0.0291675, min = 0.0, max = 5000.0, step = 0.01, round = false)]
    sigma_min: f64,
    /// How strongly levels gather at the low end.
    #[input(default = 7.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    rho: f64,
}

impl Execute for KarrasScheduler {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        Ok(levels::karras(self.steps, self.sigma_min, self.sigma_max, self.rho)?.into())
    }
}

/// Noise levels that fall by a constant factor.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/schedulers", module = "comfy_extras.nodes_custom_sampler")]
pub struct ExponentialScheduler {
    /// How many steps.
    #[input(default = 20, min = 1, max = 10000)]
    steps: usize,
    /// The highest noise level.
    #[input(default = 14.614642, min = 0.0, max = 5000.0, step = 0.01, round = false)]
    sigma_max: f64,
    /// The lowest noise level but 0.
    #[input(default = 0.0291675, min = 0.0, max = 5000.0, step = 0.01, round = false)]
    sigma_min: f64,
}

impl Execute for ExponentialScheduler {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        Ok(levels::exponential(self.steps, self.sigma_min, self.sigma_max)?.into())
    }
}

/// Noise levels whose logarithm falls as a power.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/schedulers", module = "comfy_extras.nodes_custom_sampler")]
pub struct PolyexponentialScheduler {
    /// How many steps.
    #[input(default = 20, min = 1, max = 10000)]
    steps: usize,
    /// The highest noise level.
    #[input(default = 14.614642, min = 0.0, max = 5000.0, step = 0.01, round = false)]
    sigma_max: f64,
    /// The lowest noise level but 0.
    #[input(default = 0.0291675, min = 0.0, max = 5000.0, step = 0.01, round = false)]
    sigma_min: f64,
    /// The power; 1 is the exponential schedule.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    rho: f64,
}

impl Execute for PolyexponentialScheduler {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        Ok(levels::polyexponential(self.steps, self.sigma_min, self.sigma_max, self.rho)?.into())
    }
}

/// Noise levels spread as Laplace's distribution.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/schedulers", module = "comfy_extras.nodes_custom_sampler")]
pub struct LaplaceScheduler {
    /// How many steps.
    #[input(default = 20, min = 1, max = 10000)]
    steps: usize,
    /// The highest noise level.
    #[input(default = 14.614642, min = 0.0, max = 5000.0, step = 0.01, round = false)]
    sigma_max: f64,
    /// The lowest noise level.
    #[input(default = 0.0291675, min = 0.0, max = 5000.0, step = 0.01, round = false)]
    sigma_min: f64,
    /// Where levels gather, as a logarithm.
    #[input(default = 0.0, min = -10.0, max = 10.0, step = 0.1, round = false)]
    mu: f64,
    /// How widely they spread.
    #[input(default = 0.5, min = 0.0, max = 10.0, step = 0.1, round = false)]
    beta: f64,
}

impl Execute for LaplaceScheduler {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        Ok(levels::laplace(self.steps, self.sigma_min, self.sigma_max, self.mu, self.beta)?.into())
    }
}

/// The variance-preserving schedule of Song et al. 2021.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/schedulers", module = "comfy_extras.nodes_custom_sampler")]
pub struct VPScheduler {
    /// How many steps.
    #[input(default = 20, min = 1, max = 10000)]
    steps: usize,
    /// How fast the noise rate grows.
    #[input(default = 19.9, min = 0.0, max = 5000.0, step = 0.01, round = false)]
    beta_d: f64,
    /// The noise rate at the clean end.
    #[input(default = 0.1, min = 0.0, max = 5000.0, step = 0.01, round = false)]
    beta_min: f64,
    /// The last time before the clean end.
    #[input(default = 0.001, min = 0.0, max = 1.0, step = 0.0001, round = false)]
    eps_s: f64,
}

impl Execute for VPScheduler {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        Ok(levels::vp(self.steps, self.beta_d, self.beta_min, self.eps_s)?.into())
    }
}

/// The schedule of models that were distilled to a few steps (SD Turbo, SDXL Turbo).
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/schedulers", module = "comfy_extras.nodes_custom_sampler")]
pub struct SDTurboScheduler {
    /// The model whose noise levels count.
    model: Model,
    /// How many steps.
    #[input(default = 1, min = 1, max = 10)]
    steps: usize,
    /// How much is denoised, in tenths.
    #[input(default = 1.0, min = 0, max = 1.0, step = 0.01)]
    denoise: f64,
}

impl Execute for SDTurboScheduler {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        Ok(levels::sd_turbo(&self.model.sampling.levels, self.steps, self.denoise)?.into())
    }
}

/// Time steps spread as a beta distribution (Lee et al. 2024).
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/schedulers", module = "comfy_extras.nodes_custom_sampler")]
pub struct BetaSamplingScheduler {
    /// The model whose noise levels count.
    model: Model,
    /// How many steps.
    #[input(default = 20, min = 1, max = 10000)]
    steps: usize,
    /// The distribution's first parameter.
    #[input(default = 0.6, min = 0.0, max = 50.0, step = 0.01, round = false)]
    alpha: f64,
    /// Its second parameter.
    #[input(default = 0.6, min = 0.0, max = 50.0, step = 0.01, round = false)]
    beta: f64,
}

impl Execute for BetaSamplingScheduler {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        Ok(levels::beta(&self.model.sampling.levels, self.steps, self.alpha, self.beta)?.into())
    }
}

/// "Align Your Steps": levels found best for few steps, by family (Sabour et al. 2024).
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/schedulers", module = "comfy_extras.nodes_align_your_steps")]
pub struct AlignYourStepsScheduler {
    /// The family.
    #[input(options = ["SD1", "SDXL", "SVD"], option("multiselect" = false))]
    model_type: String,
    /// How many steps.
    #[input(default = 10, min = 1, max = 10000)]
    steps: usize,
    /// How much is denoised: the last part of the steps.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    denoise: f64,
}

impl Execute for AlignYourStepsScheduler {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        Ok(levels::align_your_steps(&self.model_type, self.steps, self.denoise)?.into())
    }
}
