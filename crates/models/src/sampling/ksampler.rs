//! KSampler's path: noise, conditioning and a list of noise levels to a latent.

use std::sync::Mutex;

use burn::tensor::{Tensor, TensorData};

use super::evaluate::{EvalRequest, evaluate};
use super::guidance::{Guidance, Mixing};
use super::hooked::HookRun;
use super::inpaint::{DifferentialMask, InpaintMask, Inpainting, fitted_mask};
use super::patches::{ModelPatches, skip};
use super::predictor::Predictor;
use super::prepare::{PrepareContext, Prepared, prepare};
use super::start::StartLatent;
use crate::latent::LatentFormat;
use crate::nets::hooks::AttentionRecorder;
use crate::nets::hooks::MiddleAttention;
use crate::random::{TorchGenerator, initial_noise};
use crate::sampler::SamplingError;
use crate::sampler::{Denoised, Denoiser, Options, SamplerContext, SamplerKind, Step, StepFn};
use crate::sampling::patches::apply::PatchMemory;
use crate::sampling::reuse::{ReuseOf, StepCall, StepMemory, WHOLE};
use crate::schedule::ModelSampling;
use crate::schedule::scaling;

/// A sampling run. The levels come from [`schedule`](crate::schedule), the noise from [`noise_for`].
#[derive(Clone)]
pub struct SamplingRun<'a> {
    /// The model.
    pub model: &'a dyn Predictor,
    /// Its noise schedule.
    pub sampling: &'a ModelSampling,
    /// How its latents are scaled.
    pub format: &'a LatentFormat,
    /// Conditionings and their mixture.
    pub guidance: &'a Guidance,
    /// The sampler.
    pub sampler: SamplerKind,
    /// Its options.
    pub options: Options,
    /// The noise levels to visit; none leaves the latent as it is.
    pub sigmas: &'a [f32],
    /// Seed of step noise.
    pub seed: u64,
    /// Noise to start from, of the latent's shape.
    pub noise: Tensor<4>,
    /// The latent to start from, fitted to the model.
    pub latent: StartLatent,
    /// 1 where the latent is drawn anew, `[B', 1, H, W]`.
    pub mask: Option<Tensor<4>>,
    /// How many conditions may go through the network together.
    pub max_batch: usize,
}

/// What a run leaves.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The latent, scaled as the autoencoder wants it.
    pub latent: Tensor<4>,
    /// The last step's idea of the finished latent, scaled alike; the latent itself if there was no step.
    pub denoised: Tensor<4>,
}

/// The noise that KSampler starts from: torch's, of the latent's shape, in the order of `batch_index`.
///
/// # Errors
/// When `batch_index` has another length than the batch.
pub fn noise_for(latent: &Tensor<4>, seed: u64, batch_index: Option<&[usize]>) -> Result<Tensor<4>, SamplingError> {
    let shape = latent.dims();
    if let Some(index) = batch_index.filter(|index| index.len() != shape[0]) {
        let expected = format!("{} numbers, one per latent of the batch", shape[0]);
        return Err(SamplingError::Shape { what: "batch_index", expected, found: vec![index.len()] });
    }
    let values = initial_noise(seed, shape[0], shape[1..].iter().product(), batch_index);
    Ok(Tensor::from_data(TensorData::new(values, shape), &latent.device()))
}

impl SamplingRun<'_> {
    /// Runs it. The callback sees every step in model space and may end the run with an error.
    ///
    /// # Errors
    /// [`SamplingError`] for inputs that don't fit, before anything is computed; afterwards errors of the model or
    /// the callback.
    pub fn run(&self, on_step: &mut StepFn<'_>) -> Result<Outcome, SamplingError> {
        self.check_shapes()?;
        let latent = self.latent.tensor().clone();
        self.guidance.check()?;
        self.model.patches().map_or(Ok(()), ModelPatches::check)?;
        let Some(&first) = self.sigmas.first() else {
            return Ok(Outcome { latent: latent.clone(), denoised: latent });
        };
        let latent = if self.latent.is_empty() { latent } else { self.format.process_in(latent) };
        let inpaint = self.inpaint_mask(&latent)?;
        let cx = PrepareContext {
            model: self.model,
            sampling: self.sampling,
            format: self.format,
            latent: &latent,
            mask: inpaint.as_ref().map(|inpaint| &inpaint.mask),
            seed: self.seed,
        };
        let lists = prepare(&cx, &self.guidance.lists())?;
        let maximal = self.sampling.starts_maximal(first);
        let x = scaling::noisy(self.sampling, self.noise.clone(), latent.clone(), first, maximal);
        let hooks = HookRun::new(self.model, self.sampling, self.sigmas, lists.iter().flatten())?;
        let mut guided = Guided {
            model: self.model,
            hooks,
            guidance: self.guidance,
            lists,
            wanted: self.guidance.wanted(self.sampler.needs_uncond() || self.wants_negative()),
            max_batch: self.max_batch,
            frames: self.latent.frames(),
            sampling: self.sampling,
            rng: self.rng(),
            memory: PatchMemory::default(),
            steps: self
                .model
                .patches()
                .and_then(|patches| patches.reuse)
                .map(|reuse| StepMemory::new(reuse, self.sampling)),
            last_uncond: None,
            places: None,
        };
        let [_, _, height, width] = latent.dims();
        let placed = inpaint.is_some() || guided.lists.iter().flatten().any(Prepared::has_places);
        guided.places = placed.then_some([height, width]);
        let mut last = None;
        let x = self.sample(&mut guided, inpaint.as_ref(), x, &mut last, on_step)?;
        let end = self.sampler.last_sigma(self.sigmas);
        let finished = self.format.process_out(scaling::without_noise(self.sampling, x, end));
        let denoised = last.map_or_else(|| finished.clone(), |denoised| self.format.process_out(denoised));
        Ok(Outcome { latent: finished, denoised })
    }

    fn sample(
        &self,
        guided: &mut Guided<'_>,
        inpaint: Option<&InpaintMask>,
        x: Tensor<4>,
        last: &mut Option<Tensor<4>>,
        on_step: &mut StepFn<'_>,
    ) -> Result<Tensor<4>, SamplingError> {
        let mut observe = |step: Step<'_>| {
            *last = Some(step.denoised.clone());
            on_step(step)
        };
        let mut inpainting;
        let model: &mut dyn Denoiser = match inpaint {
            Some(inpaint) => {
                let differential = self.model.patches().and_then(|patches| patches.differential);
                let differential = differential.map(|degree| DifferentialMask::new(degree, self.sampling, self.sigmas));
                inpainting = Inpainting { inner: guided, sampling: self.sampling, inpaint, differential };
                &mut inpainting
            }
            None => guided,
        };
        let mut cx = SamplerContext::new(model, self.sampling, &self.options, self.seed, &mut observe);
        self.sampler.run(&mut cx, x, self.sigmas)
    }

    /// The latent must have the model's channels, the noise the latent's shape.
    fn check_shapes(&self) -> Result<(), SamplingError> {
        let (latent, noise, channels) = (self.latent.tensor().dims(), self.noise.dims(), self.model.channels());
        if latent[1] != channels * self.latent.frames() {
            let expected = format!("[B, {channels}, H/8, W/8], fitted to this model");
            return Err(SamplingError::Shape { what: "latent_image", expected, found: latent.to_vec() });
        }
        if noise != latent {
            let expected = format!("{latent:?}, the latent's shape");
            return Err(SamplingError::Shape { what: "noise", expected, found: noise.to_vec() });
        }
        Ok(())
    }

    fn wants_negative(&self) -> bool {
        self.model.patches().is_some_and(ModelPatches::want_negative)
    }

    /// torch's global generator after it drew the initial noise, where a change of the network draws random numbers.
    fn rng(&self) -> Option<Mutex<TorchGenerator>> {
        self.model.patches().filter(|patches| patches.hooks.needs_rng())?;
        let mut generator = TorchGenerator::new(self.seed);
        generator.randn(self.noise.dims().iter().product());
        Some(Mutex::new(generator))
    }

    fn inpaint_mask(&self, latent: &Tensor<4>) -> Result<Option<InpaintMask>, SamplingError> {
        let Some(mask) = &self.mask else { return Ok(None) };
        let mask = fitted_mask(mask, latent.dims())?;
        let noise = if self.sampler.renews_inpaint_noise() {
            let shape = latent.dims();
            let values = TorchGenerator::new(self.seed.wrapping_add(1)).randn(shape.iter().product());
            Tensor::from_data(TensorData::new(values, shape), &latent.device())
        } else {
            self.noise.clone()
        };
        Ok(Some(InpaintMask { mask, latent: latent.clone(), noise }))
    }
}

/// A model under guidance, as samplers see it.
struct Guided<'a> {
    model: &'a dyn Predictor,
    hooks: HookRun<'a>,
    guidance: &'a Guidance,
    lists: Vec<Vec<Prepared>>,
    wanted: Vec<bool>,
    max_batch: usize,
    /// How many frames are folded into the channels of latents.
    frames: usize,
    sampling: &'a ModelSampling,
    rng: Option<Mutex<TorchGenerator>>,
    memory: PatchMemory,
    /// What was computed in earlier steps, if steps may be guessed.
    steps: Option<StepMemory>,
    /// The negative's prediction of the last step that was computed.
    last_uncond: Option<Tensor<4>>,
    /// The size that conditions or a mask were prepared for, if they have places.
    places: Option<[usize; 2]>,
}

impl Denoiser for Guided<'_> {
    fn denoise(&mut self, x: &Tensor<4>, sigma: f32) -> Result<Denoised, SamplingError> {
        if let Some(cells) = self.places.filter(|cells| x.dims()[2..] != *cells) {
            let expected = format!("{cells:?} cells throughout where areas, masks or images are set to them");
            return Err(SamplingError::Shape { what: "latent", expected, found: x.dims()[2..].to_vec() });
        }
        let Some(memory) = self.steps.take() else { return self.compute(x, sigma, None) };
        memory.begin();
        let denoised = self.remembered(x, sigma, &memory);
        self.steps = Some(memory);
        denoised
    }
}

impl Guided<'_> {
    /// Guesses the whole step, or lets the network's calls be guessed.
    fn remembered(&mut self, x: &Tensor<4>, sigma: f32, memory: &StepMemory) -> Result<Denoised, SamplingError> {
        if memory.of() == ReuseOf::Network {
            return self.compute(x, sigma, Some(memory));
        }
        let call = StepCall { x: x.clone(), sigma, conditions: &[WHOLE] };
        let guided = memory.output(call, || {
            let Denoised { guided, uncond } = self.compute(x, sigma, None)?;
            self.last_uncond = uncond;
            Ok(guided)
        })?;
        Ok(Denoised { guided, uncond: self.last_uncond.clone() })
    }

    fn compute(&mut self, x: &Tensor<4>, sigma: f32, memory: Option<&StepMemory>) -> Result<Denoised, SamplingError> {
        let lists: Vec<Option<&[Prepared]>> =
            self.lists.iter().zip(&self.wanted).map(|(list, wanted)| wanted.then_some(list.as_slice())).collect();
        let patches = self.model.patches();
        let recorder = AttentionRecorder::default();
        let recording = patches.is_some_and(ModelPatches::records_attention);
        let plain = EvalRequest {
            model: self.model,
            hooks: &self.hooks,
            x,
            frames: self.frames,
            sigma,
            max_batch: self.max_batch,
            middle: MiddleAttention::Plain,
            skipped: None,
            rng: self.rng.as_ref(),
            memory: None,
        };
        let middle = if recording { MiddleAttention::Recorded(&recorder) } else { MiddleAttention::Plain };
        let request = EvalRequest { middle, memory, ..plain };
        let predictions = match patches.and_then(|patches| patches.skipped_by_negatives(sigma)) {
            Some(skipped) => skip::evaluate_apart(&request, &lists, skipped)?,
            None => evaluate(&request, &lists)?,
        };
        let mut mixing = Mixing {
            patches,
            request: plain,
            sampling: self.sampling,
            lists: &self.lists,
            record: recorder.take(),
            memory: &mut self.memory,
        };
        self.guidance.mix(&mut mixing, predictions)?.ok_or(SamplingError::NoConditioning("positive"))
    }
}
