//! Whole sampler runs on the tiny networks.

use burn::tensor::Tensor;
use kiln_models::{
    LatentFormat, Network, ReferenceMethod,
    conditioning::Conditioning,
    hooks::SkippedBlocks,
    sampler::{Options, SamplerKind, Step},
    sampling::{
        BlockSkips, Guidance, GuidancePatch, LevelRange, ModelPatches, NetworkPredictor, SamplingRun, StartLatent,
        noise_for,
    },
    schedule::{ModelSampling, steps},
};
use serde_json::Value;

use super::nets::{tiny_mmdit, tiny_qwen};
use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::families::common::{sizes, text};
use crate::nets::recipe::{device, stored, values};

const SIGMAS: f64 = 1e-6;
const RUN: f64 = 1e-4;

/// A family's tiny network with what its runs need.
struct Bench<'a> {
    network: Box<dyn Network>,
    sampling: ModelSampling,
    format: LatentFormat,
    tensors: &'a Tensors,
}

/// `run_sd3*`.
pub fn mmdit(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let network = Box::new(tiny_mmdit(folder, text(&params, "prefix")?)?);
    let sampling = ModelSampling::flow(3.0, 1000.0);
    Bench { network, sampling, format: LatentFormat::SD3, tensors: &tensors }.all(&params)
}

/// `run_qwen`.
pub fn qwen_image(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let network = Box::new(tiny_qwen(folder, &params)?);
    Bench { network, sampling: ModelSampling::flux(1.15), format: LatentFormat::WAN, tensors: &tensors }.all(&params)
}

fn number(run: &Value, key: &str) -> Option<f64> {
    run.get(key).and_then(Value::as_f64)
}

fn names<'a>(run: &'a Value, key: &str) -> Vec<&'a str> {
    run.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A latent without its axis of one frame, if it has one.
fn latent(tensors: &Tensors, name: &str) -> Result<Tensor<4>, Trouble> {
    if tensors.shape(name)?.len() == 4 {
        return stored(tensors, name);
    }
    let clip: Tensor<5> = stored(tensors, name)?;
    let [batch, channels, frames, height, width] = clip.dims();
    Ok(clip.reshape([batch, channels * frames, height, width]))
}

/// What changes how the model is sampled, by a run's parameters.
fn patches(run: &Value, sampling: &ModelSampling) -> ModelPatches {
    let mut patches = ModelPatches::default();
    let blocks =
        |slg: &Value| SkippedBlocks { double: sizes(slg.get("layers").unwrap_or(&Value::Null)), single: Vec::new() };
    let range = |slg: &Value| {
        let level = |key: &str| sampling.levels.percent_to_sigma(number(slg, key).unwrap_or_default());
        LevelRange { start: level("start"), end: level("end") }
    };
    if let Some(strength) = number(run, "cfg_norm") {
        patches.guidance.push(GuidancePatch::Norm { strength: strength as f32 });
    }
    if let Some(slg) = run.get("slg") {
        let part = |key: &str| number(slg, key).unwrap_or_default() as f32;
        let (scale, rescale) = (part("scale"), part("rescaling"));
        let skips = BlockSkips { blocks: blocks(slg), scale, rescale, range: range(slg) };
        patches.guidance.push(GuidancePatch::BlockSkips(skips));
    }
    if let Some(slg) = run.get("slg_simple") {
        patches.guidance.push(GuidancePatch::NegativeSkips { blocks: blocks(slg), range: range(slg) });
    }
    patches
}

impl Bench<'_> {
    fn all(&self, params: &Value) -> Result<Vec<CaseResult>, Trouble> {
        let runs = params.get("runs").and_then(Value::as_object).ok_or("no runs among the parameters")?;
        let mut results = Vec::new();
        for (name, run) in runs {
            match self.one(name, run) {
                Ok(found) => results.extend(found),
                Err(trouble) => results.push(CaseResult::broken(name.as_str(), trouble)),
            }
        }
        Ok(results)
    }

    fn conditioning(&self, name: &str) -> Result<Conditioning, Trouble> {
        let pooled = format!("in.{name}.y");
        let pooled = self.tensors.has(&pooled).then(|| stored::<2>(self.tensors, &pooled)).transpose()?;
        Ok(Conditioning::new(stored(self.tensors, &format!("in.{name}"))?, pooled))
    }

    fn with_references(&self, run: &Value, key: &str, to: Conditioning) -> Result<Conditioning, Trouble> {
        let add = |to: Conditioning, name: &str| Ok::<_, Trouble>(to.add_reference(&latent(self.tensors, name)?));
        let with = names(run, key).into_iter().try_fold(to, add)?;
        let method = run.get("reference_latents_method").and_then(Value::as_str);
        Ok(match method.map(|method| ReferenceMethod::from_name(method).ok_or("an unknown method")).transpose()? {
            Some(method) => with.set_reference_method(method),
            None => with,
        })
    }

    fn guidance(&self, run: &Value) -> Result<Guidance, Trouble> {
        let positive = self.with_references(run, "reference_latents", self.conditioning(text(run, "cond")?)?)?;
        let Some(negative) = run.get("negative").and_then(Value::as_str) else {
            return Ok(Guidance::Basic(positive));
        };
        // A negative may be described in words behind its name.
        let plain = self.conditioning(negative.split(' ').next().unwrap_or(negative))?;
        let negative = match number(run, "split") {
            Some(split) => plain.set_range(0.0, split).combine(&plain.zero_out().set_range(split, 1.0)),
            None => plain,
        };
        let negative = self.with_references(run, "negative_reference_latents", negative)?;
        Ok(Guidance::Cfg { positive, negative, scale: number(run, "cfg").unwrap_or(1.0), rescale: None })
    }

    fn start(&self, run: &Value) -> Result<Tensor<4>, Trouble> {
        if let Some(name) = run.get("latent").and_then(Value::as_str) {
            return latent(self.tensors, name);
        }
        let shape = sizes(run.get("empty_latent").ok_or("no latent")?);
        let shape: [usize; 4] = shape.try_into().map_err(|shape| format!("four sides, found {shape:?}"))?;
        Ok(Tensor::zeros(shape, &device()))
    }

    fn one(&self, name: &str, run: &Value) -> Result<Vec<CaseResult>, Trouble> {
        let sampling = match (number(run, "model_sampling_aura_flow"), number(run, "model_sampling_sd3")) {
            (Some(shift), _) => ModelSampling::flow(shift, 1.0),
            (_, Some(shift)) => ModelSampling::flow(shift, 1000.0),
            _ => self.sampling.clone(),
        };
        let patches = patches(run, &sampling);
        let sampler = SamplerKind::named(text(run, "sampler")?)?;
        let (scheduler, denoise) = (text(run, "scheduler")?.parse()?, number(run, "denoise").unwrap_or(1.0));
        let (count, seed) = (number(run, "steps").ok_or("no steps")?, number(run, "seed").unwrap_or_default());
        let discard = sampler.discards_penultimate();
        let sigmas = steps::sigmas(&sampling.levels, scheduler, count as usize, denoise, discard)?;
        let start = self.start(run)?;
        let start = StartLatent::new(start, self.network.channels())?;
        let noise = noise_for(start.tensor(), seed as u64, None)?;
        let compare = |what: &str, found: &[f32], tolerance| {
            let name = format!("{name}.{what}");
            let expected = self.tensors.floats(&name)?;
            Ok::<_, Trouble>(CaseResult::near(name, found, &expected, tolerance))
        };
        let mut results = vec![compare("noise", &values(noise.clone())?, 0.0)?, compare("sigmas", &sigmas, SIGMAS)?];
        let mask = run.get("noise_mask").and_then(Value::as_str);
        let sampled = SamplingRun {
            model: &NetworkPredictor { network: &*self.network, sampling: &sampling, patches: Some(&patches) },
            sampling: &sampling,
            format: &self.format,
            guidance: &self.guidance(run)?,
            sampler,
            options: Options::default(),
            sigmas: &sigmas,
            seed: seed as u64,
            noise,
            latent: start,
            mask: mask.map(|mask| stored::<4>(self.tensors, mask)).transpose()?,
            max_batch: usize::MAX,
        };
        let (mut x, mut denoised) = (Vec::new(), Vec::new());
        let outcome = sampled.run(&mut |step: Step<'_>| {
            for (seen, tensor) in [(&mut x, step.x), (&mut denoised, step.denoised)] {
                seen.extend(tensor.clone().narrow(0, 0, 1).to_data().iter::<f32>());
            }
            Ok(())
        })?;
        results.push(compare("x", &x, RUN)?);
        results.push(compare("denoised", &denoised, RUN)?);
        results.push(compare("latent", &values(outcome.latent)?, RUN)?);
        Ok(results)
    }
}
