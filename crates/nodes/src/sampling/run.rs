//! One sampling run as a node makes it: from a latent and its noise, through all steps, with progress and previews.

use burn::tensor::Tensor;
use kiln_exec::{Cx, NodeError, Progress};
use kiln_models::LatentFormat;
use kiln_models::image::{Planes, linear_preview};
use kiln_models::sampler::Step;
use kiln_models::sampling::{Guidance, Job, NetworkPredictor, SamplingError, noise_for};

use crate::payload::{Latent, Model, Noise, Sampler, values};
use crate::studio::InStudio;

/// How many conditions go through the network together: positive and negative.
const TOGETHER: usize = 2;

/// What a step looks like, roughly: one pixel per latent cell. Travels with progress events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepPreview {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Rows from the top, three bytes per pixel.
    pub rgb: Vec<u8>,
}

/// A run about to start.
pub(super) struct Run<'a> {
    pub(super) model: &'a Model,
    pub(super) guidance: &'a Guidance,
    pub(super) sampler: &'a Sampler,
    pub(super) sigmas: &'a [f32],
    pub(super) noise: Noise,
    pub(super) latent: &'a Latent,
}

/// What a run leaves.
pub(super) struct Sampled {
    pub(super) latent: Latent,
    /// The last step's idea of the finished latent.
    pub(super) denoised: Latent,
}

impl Run<'_> {
    /// Runs all steps. Cancelling stops it within one of them.
    pub(super) fn sample(&self, cx: &Cx) -> Result<Sampled, NodeError> {
        if self.sigmas.len() < 2 {
            return Ok(Sampled { latent: self.latent.clone(), denoised: self.latent.clone() });
        }
        let Model { network, sampling, patches, .. } = self.model;
        let latent = fitting(self.latent.tensor(), network.unet.config().out_channels)?;
        let noise = self.noise_for(&latent)?;
        let job = Job {
            model: &NetworkPredictor { network: &*network.unet, sampling, patches: Some(patches) },
            sampling,
            format: &network.latent,
            guidance: self.guidance,
            sampler: self.sampler.kind,
            options: self.sampler.options.clone(),
            sigmas: self.sigmas,
            seed: self.noise.seed,
            noise,
            latent,
            mask: self.latent.noise_mask.as_deref().cloned(),
            max_batch: TOGETHER,
        };
        let previews = cx.studio()?.previews();
        let mut bar = cx.progress((self.sigmas.len() - 1) as f64);
        bar.set(0.0)?;
        let mut stopped = None;
        let outcome = job.run(&mut |step| {
            report(&mut bar, previews, &step, &network.latent).map_err(|error| {
                stopped = Some(error);
                SamplingError::Cancelled
            })
        });
        if let Some(error) = stopped {
            return Err(error);
        }
        let outcome = outcome?;
        check_finite(&outcome.latent, self.sampler.kind.name())?;
        let of = |samples| self.latent.with_samples(samples);
        Ok(Sampled { latent: of(outcome.latent), denoised: of(outcome.denoised) })
    }

    fn noise_for(&self, latent: &Tensor<4>) -> Result<Tensor<4>, NodeError> {
        if !self.noise.enabled {
            return Ok(latent.zeros_like());
        }
        Ok(noise_for(latent, self.noise.seed, self.latent.batch_index.as_deref())?)
    }
}

/// An empty latent with the model's channels; any other must have them.
fn fitting(latent: Tensor<4>, channels: usize) -> Result<Tensor<4>, NodeError> {
    let [batch, found, height, width] = latent.dims();
    if found == channels {
        return Ok(latent);
    }
    if values(latent.clone())?.iter().all(|v| *v == 0.0) {
        return Ok(Tensor::zeros([batch, channels, height, width], &latent.device()));
    }
    Err(NodeError::new(format!(
        "input `latent_image` wants [B, {channels}, H/8, W/8], got {:?} (a latent of another kind of model: encode \
         with the VAE of this one)",
        latent.dims()
    )))
}

fn report(bar: &mut Progress, previews: bool, step: &Step<'_>, format: &LatentFormat) -> Result<(), NodeError> {
    if !(previews && bar.is_watched()) {
        return bar.step();
    }
    match preview(step.denoised, format) {
        Some(preview) => bar.step_with(preview),
        None => bar.step(),
    }
}

fn preview(denoised: &Tensor<4>, format: &LatentFormat) -> Option<StepPreview> {
    let [_, _, height, width] = denoised.dims();
    let rgb = linear_preview(&Planes::from_tensor(&denoised.clone().narrow(0, 0, 1)).ok()?, format)?;
    Some(StepPreview { width, height, rgb })
}

/// NaN and infinity would become a black picture; they are told instead.
fn check_finite(latent: &Tensor<4>, sampler: &str) -> Result<(), NodeError> {
    let values = values(latent.clone())?;
    let broken = values.iter().filter(|v| !v.is_finite()).count();
    if broken == 0 {
        return Ok(());
    }
    Err(NodeError::new(format!(
        "sampler `{sampler}` ended in {broken} of {} values that are not finite; lower `cfg`, or take another sampler \
         or scheduler",
        values.len()
    )))
}
