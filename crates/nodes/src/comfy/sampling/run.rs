//! One sampling run as a node makes it: from a latent and its noise, through all steps, with progress and previews.

use burn::tensor::Tensor;
use kiln_exec::{Cx, NodeError, Progress};
use kiln_models::LatentFormat;
use kiln_models::image::{Planes, linear_preview};
use kiln_models::sampler::{SamplingError, Step};
use kiln_models::sampling::{Guidance, NetworkPredictor, SamplingRun, StartLatent, noise_for};
use kiln_models::taesd::Taesd;

use crate::payload::{Latent, Model, Noise, Sampler, values};
use crate::runtime::environment::{CxExt, Environment};

/// How many conditions go through the network together: positive and negative.
const TOGETHER: usize = 2;

/// What a step looks like, roughly: one pixel per latent cell, or eight by eight from a tiny decoder. Travels with
/// progress events.
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
        let (channels, frames) = (network.network.channels(), self.latent.frames);
        let latent = StartLatent::with_frames(self.latent.tensor(), frames.unwrap_or(1), channels)?;
        let noise = self.noise_for(latent.tensor())?;
        let run = SamplingRun {
            model: &NetworkPredictor { network: &*network.network, sampling, patches: Some(patches) },
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
        let _room =
            cx.room("sampling", self.activations(run.latent.tensor()), "A smaller image or batch takes less")?;
        let mut bar = cx.progress((self.sigmas.len() - 1) as f64);
        bar.set(0.0)?;
        let painter = Painter::new(&*cx.environment()?, &bar, &network.latent)?;
        let mut stopped = None;
        let outcome = run.run(&mut |step| {
            report(&mut bar, painter.as_ref(), &step).map_err(|error| {
                stopped = Some(error);
                SamplingError::Cancelled
            })
        });
        if let Some(error) = stopped {
            return Err(error);
        }
        let outcome = outcome?;
        check_finite(&outcome.latent, self.sampler.kind.name())?;
        let frames = frames.or(network.network.has_frames().then_some(1));
        let of = |samples| Latent { frames, ..self.latent.with_samples(samples) };
        Ok(Sampled { latent: of(outcome.latent), denoised: of(outcome.denoised) })
    }

    /// Positive and negative go through the network together.
    fn activations(&self, latent: &Tensor<4>) -> u64 {
        let [batch, _, height, width] = latent.dims();
        self.model.network.network.activations([batch * TOGETHER, height, width])
    }

    fn noise_for(&self, latent: &Tensor<4>) -> Result<Tensor<4>, NodeError> {
        if !self.noise.enabled {
            return Ok(latent.zeros_like());
        }
        Ok(noise_for(latent, self.noise.seed, self.latent.batch_index.as_deref())?)
    }
}

fn report(bar: &mut Progress, painter: Option<&Painter>, step: &Step<'_>) -> Result<(), NodeError> {
    match painter.and_then(|painter| painter.preview(step.denoised)) {
        Some(preview) => bar.step_with(preview),
        None => bar.step(),
    }
}

/// Makes small images of a run's steps.
struct Painter {
    format: LatentFormat,
    tiny: Option<Taesd>,
}

impl Painter {
    /// `None` when nobody looks, or previews are off.
    fn new(environment: &Environment, bar: &Progress, format: &LatentFormat) -> Result<Option<Self>, NodeError> {
        if !(environment.previews() && bar.is_watched()) {
            return Ok(None);
        }
        let wanted = format.tiny.filter(|_| environment.tiny_previews()).map(|tiny| format!("{tiny}_decoder."));
        let names = if wanted.is_some() { environment.folders().models("vae_approx") } else { Vec::new() };
        let found = wanted.and_then(|wanted| names.iter().find(|name| name.starts_with(&wanted)));
        let open = |name: &String| -> Result<Taesd, NodeError> {
            Ok(Taesd::open(&environment.folders().model("vae_approx", name)?, environment.budget())?)
        };
        Ok(Some(Self { format: *format, tiny: found.map(open).transpose()? }))
    }

    /// The first latent of the batch.
    fn preview(&self, denoised: &Tensor<4>) -> Option<StepPreview> {
        let first = denoised.clone().narrow(0, 0, 1);
        if let Some(tiny) = &self.tiny {
            return painted(tiny, first);
        }
        let [height, width] = [first.dims()[2], first.dims()[3]].map(|cells| cells * self.format.packed);
        let rgb = linear_preview(&Planes::from_tensor(&first).ok()?, &self.format)?;
        Some(StepPreview { width, height, rgb })
    }
}

/// A latent in the model's space through a tiny decoder.
fn painted(tiny: &Taesd, latent: Tensor<4>) -> Option<StepPreview> {
    let image = tiny.decode(latent).ok()?.permute([0, 2, 3, 1]);
    let [_, height, width, _] = image.dims();
    let rgb = values(image).ok()?.into_iter().map(|v| (v.clamp(0.0, 1.0) * 255.0) as u8).collect();
    Some(StepPreview { width, height, rgb })
}

/// NaN and infinity would become a black image; they are told instead.
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
