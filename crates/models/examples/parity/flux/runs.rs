//! `run_*`: whole runs of the tiny networks, from noise to the latent, every step of them.

use burn::tensor::Tensor;
use kiln_models::{
    LatentFormat, Network,
    conditioning::{Concat, Conditioning, DistilledGuidance},
    detect::families,
    family::Family,
    sampler::{Options, SamplerKind, Step},
    sampling::{Guidance, NetworkPredictor, SamplingRun, StartLatent, noise_for},
    schedule::{ModelSampling, shifted, steps},
};
use serde_json::Value;

use super::common::{flux_config, zimage_config};
use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::families::common::tiny_weights;
use crate::nets::recipe::{device, stored, values};

const LEVELS: f64 = 1e-6;
const STEPS: f64 = 1e-4;

/// A tiny network with what its family says of it.
struct Model {
    network: std::sync::Arc<dyn Network>,
    sampling: ModelSampling,
    format: LatentFormat,
}

impl Model {
    fn new(folder: &Folder, params: &Value) -> Result<Self, Trouble> {
        let weights = tiny_weights(folder, params["prefix"].as_str().ok_or("params has no prefix")?)?;
        let names = weights.map().names();
        let (kind, found) = families().network(&names)?.ok_or("no family has this network")?;
        let family: Family = families().family(kind, &*found.config, &[]).ok_or("no family has this network")?;
        let network: std::sync::Arc<dyn Network> = if names.has("cap_embedder.1.weight") {
            std::sync::Arc::new(zimage_config(&names, &params["config"])?.init(&weights)?)
        } else {
            std::sync::Arc::new(flux_config(&names, &params["config"])?.init(&weights)?)
        };
        // What a file says of its prediction these families don't look at.
        let prediction = (family.prediction)(&found, &**weights.weights().source())?;
        Ok(Self { network, sampling: prediction.sampling(), format: (family.latent)(prediction) })
    }
}

/// One run as its parameters have it.
struct Run<'a> {
    name: &'a str,
    params: &'a Value,
    tensors: &'a Tensors,
}

pub fn all(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let model = Model::new(folder, &params)?;
    let mut results = Vec::new();
    for (name, params) in params["runs"].as_object().ok_or("params has no runs")? {
        let run = Run { name, params, tensors: &tensors };
        match run.judge(&model) {
            Ok(found) => results.extend(found),
            Err(trouble) => results.push(CaseResult::broken(name, trouble)),
        }
    }
    // Conditions that no run of this file takes.
    tensors.names().iter().filter(|name| name.starts_with("in.")).for_each(|name| tensors.note(name));
    Ok(results)
}

impl Run<'_> {
    fn number(&self, key: &str) -> Option<f64> {
        self.params.get(key).and_then(Value::as_f64)
    }

    fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        self.params.get(key)?.as_array()?.iter().map(Value::as_f64).collect()
    }

    fn named<const D: usize>(&self, key: &str) -> Result<Option<Tensor<D>>, Trouble> {
        let name = self.params.get(key).and_then(Value::as_str);
        name.map(|name| stored(self.tensors, name)).transpose()
    }

    fn mask(&self, key: &str) -> Result<Option<Tensor<4>>, Trouble> {
        let Some(name) = self.params.get(key).and_then(Value::as_str) else { return Ok(None) };
        let shape = self.tensors.shape(name)?;
        let [.., height, width] = shape[..] else { return Err("a mask has two sides".into()) };
        let batch = shape.iter().product::<usize>() / (height * width).max(1);
        let values = self.tensors.floats(name)?;
        let data = burn::tensor::TensorData::new(values, [batch, 1, height, width]);
        Ok(Some(Tensor::from_data(data, &device())))
    }

    fn condition(&self, key: &str, guidance: &str) -> Result<Conditioning, Trouble> {
        let name = self.params.get(key).and_then(Value::as_str).ok_or("no such condition")?;
        let (zeroed, name) = name.strip_prefix("zeroed ").map_or((false, name), |name| (true, name));
        let factor = if zeroed { 0.0 } else { 1.0 };
        let context = stored::<3>(self.tensors, &format!("in.{name}"))? * factor;
        let pooled = super::common::maybe::<2>(self.tensors, &format!("in.{name}.y"))?.map(|pooled| pooled * factor);
        let mut condition = Conditioning::new(context, pooled);
        if let Some(guidance) = self.params.get(guidance) {
            let guidance = guidance.as_f64().map_or(DistilledGuidance::Off, |at| DistilledGuidance::At(at as f32));
            condition = condition.set_guidance(guidance);
        }
        for name in self.params.get("reference_latents").and_then(Value::as_array).into_iter().flatten() {
            condition = condition.add_reference(&stored(self.tensors, name.as_str().unwrap_or_default())?);
        }
        if let Some(latent) = self.named("concat_latent")? {
            let concat = Concat { latent, mask: self.mask("concat_mask")? };
            condition.entries.iter_mut().for_each(|entry| entry.concat = Some(concat.clone()));
        }
        Ok(condition)
    }

    fn guidance(&self) -> Result<Guidance, Trouble> {
        let positive = self.condition("cond", "guidance")?;
        match (self.number("cfg"), self.params.get("negative")) {
            (Some(scale), Some(_)) => {
                let negative = self.condition("negative", "negative_guidance")?;
                Ok(Guidance::Cfg { positive, negative, scale, rescale: None })
            }
            _ => Ok(Guidance::Basic(positive)),
        }
    }

    fn sampling(&self, model: &Model) -> ModelSampling {
        if let Some([max, base, width, height]) = self.numbers("model_sampling_flux").as_deref() {
            return ModelSampling::flux(shifted::flux_shift(*max, *base, *width as usize, *height as usize));
        }
        match self.number("model_sampling_aura_flow") {
            Some(shift) => ModelSampling::flow(shift, 1.0),
            None => model.sampling.clone(),
        }
    }

    fn sigmas(&self, sampling: &ModelSampling, sampler: SamplerKind) -> Result<Vec<f32>, Trouble> {
        if let Some([count, width, height]) = self.numbers("flux2_scheduler").as_deref() {
            return Ok(shifted::flux2(*count as usize, *width as usize, *height as usize)?);
        }
        let scheduler = self.params["scheduler"].as_str().ok_or("no scheduler")?.parse()?;
        let (count, denoise) = (self.number("steps").ok_or("no steps")?, self.number("denoise").unwrap_or(1.0));
        let discard = sampler.discards_penultimate();
        let sigmas = steps::sigmas(&sampling.levels, scheduler, count as usize, denoise, discard)?;
        let skipped = self.number("start_step").unwrap_or(0.0) as usize;
        Ok(sigmas[skipped.min(sigmas.len())..].to_vec())
    }

    fn latent(&self) -> Result<Tensor<4>, Trouble> {
        if let Some(latent) = self.named("latent")? {
            return Ok(latent);
        }
        let shape = self.numbers("empty_latent").ok_or("no latent")?;
        let shape: Vec<usize> = shape.into_iter().map(|side| side as usize).collect();
        let shape: [usize; 4] = shape.try_into().map_err(|_| "a latent has four sides")?;
        Ok(Tensor::zeros(shape, &device()))
    }

    fn judge(&self, model: &Model) -> Result<Vec<CaseResult>, Trouble> {
        let sampler = SamplerKind::named(self.params["sampler"].as_str().ok_or("no sampler")?)?;
        let sampling = self.sampling(model);
        let sigmas = self.sigmas(&sampling, sampler)?;
        let latent = StartLatent::new(self.latent()?, model.network.channels())?;
        let seed = self.params["seed"].as_u64().ok_or("no seed")?;
        let noise = noise_for(latent.tensor(), seed, None)?;
        let compare = |what: &str, found: &[f32], tolerance| {
            let name = format!("{}.{what}", self.name);
            Ok::<_, Trouble>(CaseResult::near(name.as_str(), found, &self.tensors.floats(&name)?, tolerance))
        };
        let mut results = vec![compare("noise", &values(noise.clone())?, 0.0)?, compare("sigmas", &sigmas, LEVELS)?];
        let guidance = self.guidance()?;
        let run = SamplingRun {
            model: &NetworkPredictor { network: &*model.network, sampling: &sampling, patches: None },
            sampling: &sampling,
            format: &model.format,
            guidance: &guidance,
            sampler,
            options: Options::default(),
            sigmas: &sigmas,
            seed,
            noise,
            latent,
            mask: self.mask("noise_mask")?,
            max_batch: usize::MAX,
        };
        let (mut x, mut denoised) = (Vec::new(), Vec::new());
        let outcome = run.run(&mut |step: Step<'_>| {
            for (seen, tensor) in [(&mut x, step.x), (&mut denoised, step.denoised)] {
                seen.extend(tensor.clone().narrow(0, 0, 1).to_data().iter::<f32>());
            }
            Ok(())
        })?;
        results.push(compare("x", &x, STEPS)?);
        results.push(compare("denoised", &denoised, STEPS)?);
        results.push(compare("latent", &values(outcome.latent)?, STEPS)?);
        Ok(results)
    }
}
