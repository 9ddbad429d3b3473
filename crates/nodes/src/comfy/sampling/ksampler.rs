//! KSampler and KSamplerAdvanced.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::sampler::{Options, SamplerKind};
use kiln_models::schedule::{Scheduler, steps};

use super::names::{sampler_names, scheduler_names};
use super::passes::denoising;
use super::run::Run;
use crate::payload::{Conditioning, Latent, Model, Noise, Sampler};

/// Denoises a latent: draws what the positive prompt says and moves away from what the negative one says.
#[derive(Node)]
#[node(display_name = "KSampler", category = "sampling", aliases("sampler", "denoise", "generate"))]
pub struct KSampler {
    /// The model that denoises.
    #[input(uses = denoising)]
    model: Model,
    /// Where the noise comes from: the same seed gives the same image.
    #[input(default = 0, min = 0, max = u64::MAX, control_after_generate)]
    seed: u64,
    /// How many steps to take.
    #[input(default = 20, min = 1, max = 10000)]
    steps: usize,
    /// How closely to follow the prompts; 1 leaves the negative one out.
    #[input(default = 8.0, min = 0.0, max = 100.0, step = 0.1, round = 0.01)]
    cfg: f64,
    /// The way of taking steps.
    #[input(combo = sampler_names())]
    sampler_name: String,
    /// How noise falls from step to step.
    #[input(combo = scheduler_names())]
    scheduler: String,
    /// What to draw.
    #[input(uses = denoising)]
    positive: Conditioning,
    /// What to move away from.
    #[input(uses = denoising)]
    negative: Conditioning,
    /// The latent to start from.
    latent_image: Latent,
    /// How much of it to draw anew: 1 draws everything, less keeps more of it.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    denoise: f64,
}

impl Execute for KSampler {
    type Output = Latent;

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        let common = Common {
            model: &self.model,
            cfg: self.cfg,
            positive: &self.positive,
            negative: &self.negative,
            latent: &self.latent_image,
        };
        let kind = SamplerKind::named(&self.sampler_name)?;
        let levels = &self.model.sampling.levels;
        let scheduler: Scheduler = self.scheduler.parse()?;
        let sigmas = steps::sigmas(levels, scheduler, self.steps, self.denoise, kind.discards_penultimate())?;
        common.run(cx, kind, &sigmas, Noise { seed: self.seed, enabled: true })
    }
}

/// Denoises a part of a run, so that several samplers can share one.
#[derive(Node)]
#[node(display_name = "KSampler (Advanced)", category = "sampling", aliases("sampler", "denoise"))]
pub struct KSamplerAdvanced {
    /// The model that denoises.
    #[input(uses = denoising)]
    model: Model,
    /// Whether to begin by adding noise; the second part of a run does not.
    #[input(combo = ["enable", "disable"])]
    add_noise: String,
    /// Where the noise comes from.
    #[input(default = 0, min = 0, max = u64::MAX, control_after_generate)]
    noise_seed: u64,
    /// How many steps the whole run has.
    #[input(default = 20, min = 1, max = 10000)]
    steps: usize,
    /// How closely to follow the prompts.
    #[input(default = 8.0, min = 0.0, max = 100.0, step = 0.1, round = 0.01)]
    cfg: f64,
    /// The way of taking steps.
    #[input(combo = sampler_names())]
    sampler_name: String,
    /// How noise falls from step to step.
    #[input(combo = scheduler_names())]
    scheduler: String,
    /// What to draw.
    #[input(uses = denoising)]
    positive: Conditioning,
    /// What to move away from.
    #[input(uses = denoising)]
    negative: Conditioning,
    /// The latent to start from.
    latent_image: Latent,
    /// The first step of this part.
    #[input(default = 0, min = 0, max = 10000)]
    start_at_step: usize,
    /// The step before which this part ends.
    #[input(default = 10000, min = 0, max = 10000)]
    end_at_step: usize,
    /// Whether the noise that is left at the end stays, for another part to go on.
    #[input(combo = ["disable", "enable"])]
    return_with_leftover_noise: String,
}

impl Execute for KSamplerAdvanced {
    type Output = Latent;

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        let common = Common {
            model: &self.model,
            cfg: self.cfg,
            positive: &self.positive,
            negative: &self.negative,
            latent: &self.latent_image,
        };
        let kind = SamplerKind::named(&self.sampler_name)?;
        let levels = &self.model.sampling.levels;
        let scheduler: Scheduler = self.scheduler.parse()?;
        let whole = steps::sigmas(levels, scheduler, self.steps, 1.0, kind.discards_penultimate())?;
        let finish = self.return_with_leftover_noise == "disable";
        let part = steps::range(whole, Some(self.start_at_step), Some(self.end_at_step), finish);
        common.run(cx, kind, &part, Noise { seed: self.noise_seed, enabled: self.add_noise == "enable" })
    }
}

/// What both samplers take.
struct Common<'a> {
    model: &'a Model,
    cfg: f64,
    positive: &'a Conditioning,
    negative: &'a Conditioning,
    latent: &'a Latent,
}

impl Common<'_> {
    fn run(&self, cx: &Cx, kind: SamplerKind, sigmas: &[f32], noise: Noise) -> Result<Latent, NodeError> {
        let guidance = self.model.guidance(self.positive, self.negative, self.cfg);
        let sampler = Sampler { kind, options: Options::default() };
        let Self { model, latent, .. } = self;
        Ok(Run { model, guidance: &guidance, sampler: &sampler, sigmas, noise, latent }.sample(cx)?.latent)
    }
}
