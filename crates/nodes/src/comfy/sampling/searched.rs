//! Schedules that were searched for, and schedules of flow models that follow the size of the image.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::schedule::searched::{gits, optimal_steps};
use kiln_models::schedule::shifted::{LtxvShift, flux2, ltxv};

use crate::payload::{Latent, Sigmas};

/// "Optimal Stepsize for Diffusion Sampling": levels found best for few steps, by family (Pei et al. 2025).
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/schedulers", module = "comfy_extras.nodes_optimalsteps")]
pub struct OptimalStepsScheduler {
    /// The family.
    #[input(options = ["FLUX", "Wan", "Chroma"], option("multiselect" = false))]
    model_type: String,
    /// How many steps.
    #[input(default = 20, min = 3, max = 1000)]
    steps: usize,
    /// How much is denoised: the last part of the steps.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    denoise: f64,
}

impl Execute for OptimalStepsScheduler {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        Ok(optimal_steps(&self.model_type, self.steps, self.denoise)?.into())
    }
}

/// GITS: levels along which the trajectories of SD1 bend least (Chen et al. 2024).
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/schedulers", module = "comfy_extras.nodes_gits")]
pub struct GITSScheduler {
    /// How much of the steps goes to low noise.
    #[input(default = 1.2, min = 0.8, max = 1.5, step = 0.05)]
    coeff: f64,
    /// How many steps.
    #[input(default = 10, min = 2, max = 1000)]
    steps: usize,
    /// How much is denoised: the last part of the steps.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    denoise: f64,
}

impl Execute for GITSScheduler {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        Ok(gits(self.coeff, self.steps, self.denoise)?.into())
    }
}

/// LTX-Video's schedule: shifted by the number of tokens, and ending where it says.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/schedulers", module = "comfy_extras.nodes_lt")]
pub struct LTXVScheduler {
    /// How many steps.
    #[input(default = 20, min = 1, max = 10000)]
    steps: usize,
    /// The shift for 4096 tokens.
    #[input(default = 2.05, min = 0.0, max = 100.0, step = 0.01)]
    max_shift: f64,
    /// The shift for 1024 tokens.
    #[input(default = 0.95, min = 0.0, max = 100.0, step = 0.01)]
    base_shift: f64,
    /// Whether the levels are stretched to end where the next input says.
    #[input(default = true)]
    stretch: bool,
    /// The lowest level but 0.
    #[input(default = 0.1, min = 0.0, max = 0.99, step = 0.01)]
    terminal: f64,
    /// What is sampled; its size decides on the shift. Without it 4096 tokens count.
    latent: Option<Latent>,
}

impl Execute for LTXVScheduler {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        let tokens = self.latent.map_or(4096, |latent| latent.samples.dims()[2..].iter().product());
        let terminal = self.stretch.then_some(self.terminal);
        Ok(ltxv(self.steps, tokens, LtxvShift { max: self.max_shift, base: self.base_shift, terminal })?.into())
    }
}

/// FLUX.2's schedule: shifted by the size of the image and the number of steps.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/schedulers", module = "comfy_extras.nodes_flux")]
pub struct Flux2Scheduler {
    /// How many steps.
    #[input(default = 20, min = 1, max = 4096)]
    steps: usize,
    /// The image's width in pixels.
    #[input(default = 1024, min = 16, max = 16384, step = 1)]
    width: usize,
    /// The image's height in pixels.
    #[input(default = 1024, min = 16, max = 16384, step = 1)]
    height: usize,
}

impl Execute for Flux2Scheduler {
    type Output = Sigmas;

    fn execute(self, _: &mut Cx) -> Result<Sigmas, NodeError> {
        Ok(flux2(self.steps, self.width, self.height)?.into())
    }
}
