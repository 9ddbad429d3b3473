//! Samplers whose parts are nodes of their own.

use kiln_exec::{Cx, Execute, Node, NodeError};

use super::passes::denoising;
use super::run::{Run, Sampled};
use crate::payload::{Conditioning, Guider, Latent, Model, Noise, Sampler, Sigmas};

/// Denoises a latent with a sampler and noise levels from other nodes.
#[derive(Node)]
#[node(
    unnamed,
    category = "sampling/custom_sampling",
    module = "comfy_extras.nodes_custom_sampler",
    outputs("output", "denoised_output")
)]
pub struct SamplerCustom {
    /// The model that denoises.
    #[input(uses = denoising)]
    model: Model,
    /// Whether to begin by adding noise.
    #[input(default = true)]
    add_noise: bool,
    /// Where the noise comes from.
    #[input(default = 0, min = 0, max = u64::MAX, control_after_generate)]
    noise_seed: u64,
    /// How closely to follow the prompts.
    #[input(default = 8.0, min = 0.0, max = 100.0, step = 0.1, round = 0.01)]
    cfg: f64,
    /// What to draw.
    #[input(uses = denoising)]
    positive: Conditioning,
    /// What to move away from.
    #[input(uses = denoising)]
    negative: Conditioning,
    /// The way of taking steps.
    sampler: Sampler,
    /// The noise levels.
    sigmas: Sigmas,
    /// The latent to start from.
    latent_image: Latent,
}

impl Execute for SamplerCustom {
    type Output = (Latent, Latent);

    fn execute(self, cx: &mut Cx) -> Result<(Latent, Latent), NodeError> {
        let guidance = self.model.guidance(&self.positive, &self.negative, self.cfg);
        let run = Run {
            model: &self.model,
            guidance: &guidance,
            sampler: &self.sampler,
            sigmas: &self.sigmas.0,
            noise: Noise { seed: self.noise_seed, enabled: self.add_noise },
            latent: &self.latent_image,
        };
        let Sampled { latent, denoised } = run.sample(cx)?;
        Ok((latent, denoised))
    }
}

/// Denoises a latent with noise, guidance, a sampler and noise levels from other nodes.
#[derive(Node)]
#[node(
    unnamed,
    category = "sampling/custom_sampling",
    module = "comfy_extras.nodes_custom_sampler",
    outputs("output", "denoised_output")
)]
pub struct SamplerCustomAdvanced {
    /// Where the noise comes from.
    noise: Noise,
    /// The model and its conditions.
    #[input(uses = denoising)]
    guider: Guider,
    /// The way of taking steps.
    sampler: Sampler,
    /// The noise levels.
    sigmas: Sigmas,
    /// The latent to start from.
    latent_image: Latent,
}

impl Execute for SamplerCustomAdvanced {
    type Output = (Latent, Latent);

    fn execute(self, cx: &mut Cx) -> Result<(Latent, Latent), NodeError> {
        let run = Run {
            model: &self.guider.model,
            guidance: &self.guider.guidance,
            sampler: &self.sampler,
            sigmas: &self.sigmas.0,
            noise: self.noise,
            latent: &self.latent_image,
        };
        let Sampled { latent, denoised } = run.sample(cx)?;
        Ok((latent, denoised))
    }
}
