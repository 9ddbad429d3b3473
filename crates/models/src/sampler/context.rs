//! What a sampler is given: the model, its schedule, options, step noise, and the callback.

use burn::tensor::Tensor;

use super::error::SamplingError;
use super::math::Latent;
use super::noise::{Brownian, StepNoise};
use crate::image::Method;
use crate::schedule::ModelSampling;

/// A model as samplers see it: a noisy latent at a noise level to a denoised one.
pub trait Denoiser {
    /// One evaluation, guidance included.
    ///
    /// # Errors
    /// Whatever goes wrong in the model.
    fn denoise(&mut self, x: &Tensor<4>, sigma: f32) -> Result<Denoised, SamplingError>;
}

/// What a model returns.
#[derive(Debug, Clone)]
pub struct Denoised {
    /// The denoised latent.
    pub guided: Tensor<4>,
    /// The same from the negative conditioning alone, where it was evaluated.
    pub uncond: Option<Tensor<4>>,
}

/// Numbers that samplers take beside the noise levels. The defaults are KSampler's.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How much of the noise an ancestral or stochastic step puts back (0: none).
    pub eta: f32,
    /// Factor on step noise.
    pub s_noise: f32,
    /// Place of the midpoint of dpmpp_sde and seeds_2.
    pub r: f32,
    /// Highest order of lms.
    pub order: usize,
    /// Relative tolerance of dpm_adaptive.
    pub rtol: f32,
    /// Absolute tolerance of dpm_adaptive.
    pub atol: f32,
    /// First step of dpm_adaptive, in log sigma.
    pub h_init: f32,
    /// Error of a step of dpm_adaptive that is still accepted (1: none above the tolerance).
    pub accept_safety: f32,
    /// Orders of sa_solver's predictor and corrector.
    pub orders: (usize, usize),
    /// The part of the run, in percentages, in which sa_solver adds noise.
    pub noisy_range: (f64, f64),
    /// Whether sa_solver takes the short formulas where its order is 2.
    pub simple_order_2: bool,
    /// Highest order of er_sde, 1 to 3.
    pub max_stage: usize,
    /// The exponent by which er_sde scales noise as a reverse-time SDE (0: an ODE); its own function without.
    pub reverse_time: Option<f32>,
    /// How lcm_upscale enlarges the latent.
    pub upscale: ProgressiveUpscale,
    /// Independent step noise from `seed + 1`, as ComfyUI after 0.3.75 draws it on the CPU.
    pub noise_seed_plus_one: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            eta: 1.0,
            s_noise: 1.0,
            r: 0.5,
            order: 4,
            rtol: 0.05,
            atol: 0.0078,
            h_init: 0.05,
            accept_safety: 0.81,
            orders: (3, 4),
            noisy_range: (0.2, 0.8),
            simple_order_2: false,
            max_stage: 3,
            reverse_time: None,
            upscale: ProgressiveUpscale::default(),
            noise_seed_plus_one: false,
        }
    }
}

/// How a latent grows over a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProgressiveUpscale {
    /// How many times as large it is at the end, along each side.
    pub ratio: f64,
    /// In how many steps; half of the run's without.
    pub steps: Option<usize>,
    /// How it is resized.
    pub method: Method,
}

impl Default for ProgressiveUpscale {
    fn default() -> Self {
        Self { ratio: 1.0, steps: None, method: Method::Bislerp }
    }
}

/// What the callback is shown after an evaluation.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Which step, from 0.
    pub index: usize,
    /// How many there will be.
    pub total: usize,
    /// The step's latent, before its update unless noted at the sampler, in model space.
    pub x: &'a Tensor<4>,
    /// The model's idea of the finished latent, in model space.
    pub denoised: &'a Tensor<4>,
}

/// Called once per step; an error ends the run.
pub type StepFn<'a> = dyn FnMut(Step<'_>) -> Result<(), SamplingError> + 'a;

/// One run of a sampler.
pub struct SamplerContext<'a> {
    model: &'a mut dyn Denoiser,
    sampling: &'a ModelSampling,
    options: &'a Options,
    on_step: &'a mut StepFn<'a>,
    noise: StepNoise,
    seed: u64,
}

impl<'a> SamplerContext<'a> {
    /// A run over `model` whose step noise comes from `seed`.
    pub fn new(
        model: &'a mut dyn Denoiser,
        sampling: &'a ModelSampling,
        options: &'a Options,
        seed: u64,
        on_step: &'a mut StepFn<'a>,
    ) -> Self {
        let noise = StepNoise::new(seed.wrapping_add(u64::from(options.noise_seed_plus_one)));
        Self { model, sampling, options, on_step, noise, seed }
    }

    pub(super) fn options(&self) -> &'a Options {
        self.options
    }

    pub(super) fn is_flow(&self) -> bool {
        self.sampling.prediction.is_flow()
    }

    pub(super) fn sampling(&self) -> &'a ModelSampling {
        self.sampling
    }

    /// The denoised latent.
    pub(super) fn denoise(&mut self, x: &Latent, sigma: f32) -> Result<Latent, SamplingError> {
        Ok(self.model.denoise(x, sigma)?.guided)
    }

    /// The denoised latent and the negative conditioning's. Without guidance they are the same.
    pub(super) fn denoise_both(&mut self, x: &Latent, sigma: f32) -> Result<(Latent, Latent), SamplingError> {
        let Denoised { guided, uncond } = self.model.denoise(x, sigma)?;
        let uncond = uncond.unwrap_or_else(|| guided.clone());
        Ok((guided, uncond))
    }

    /// Calls the callback with a step.
    pub(super) fn report_step(
        &mut self,
        index: usize,
        sigmas: &[f32],
        x: &Latent,
        denoised: &Latent,
    ) -> Result<(), SamplingError> {
        (self.on_step)(Step { index, total: sigmas.len().saturating_sub(1), x, denoised })
    }

    /// One draw of independent normal noise.
    pub(super) fn noise(&mut self, like: &Latent) -> Latent {
        self.noise.draw(like)
    }

    /// Noise of torch's global generator, which has drawn the initial noise of this shape.
    pub(super) fn global_noise(&self, initial: [usize; 4]) -> StepNoise {
        StepNoise::after(self.seed, initial.iter().product())
    }

    /// Noise from one Brownian path over the run's levels.
    pub(super) fn brownian(&self, sigmas: &[f32], like: &Latent) -> Brownian {
        Brownian::new(sigmas, self.seed, like)
    }

    /// Half the logarithm of the signal-to-noise ratio.
    pub(super) fn lambda(&self, sigma: f32) -> f32 {
        self.sampling.half_log_snr(sigma)
    }

    /// The level with that half log-SNR.
    pub(super) fn sigma(&self, lambda: f32) -> f32 {
        self.sampling.sigma_of_half_log_snr(lambda)
    }

    /// The share of the image in a latent at a level.
    pub(super) fn alpha(&self, sigma: f32) -> f32 {
        if self.is_flow() { 1.0 - sigma } else { 1.0 }
    }

    /// The levels, the first one lowered a little on flow models that start at 1, where the log-SNR has no value.
    pub(super) fn nudge_first_sigma(&self, sigmas: &[f32]) -> Vec<f32> {
        let mut sigmas = sigmas.to_vec();
        if let Some(first) = sigmas.first_mut().filter(|first| self.is_flow() && **first >= 1.0) {
            *first = self.sampling.levels.percent_to_sigma(1e-4) as f32;
        }
        sigmas
    }
}

impl std::fmt::Debug for SamplerContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk").field("options", &self.options).field("seed", &self.seed).finish_non_exhaustive()
    }
}
