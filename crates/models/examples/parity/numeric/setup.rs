//! What the sampling cases share: parameters from the index, a run with the analytic model.

use burn::tensor::Tensor;
use kiln_models::LatentFormat;
use kiln_models::conditioning::Conditioning;
use kiln_models::sampler::{Options, SamplerKind, Step};
use kiln_models::sampling::{Guidance, Predictor, SamplingRun, StartLatent, noise_for};
use kiln_models::schedule::{ModelSampling, Scheduler, steps};
use serde_json::Value;

use super::analytic::Analytic;
use super::tensors::{host, tensor};
use crate::case::Trouble;

/// The model a name in the index stands for; `shift` and the like may be in the name or beside it.
pub fn model_sampling(name: &str, params: &Value) -> Result<ModelSampling, Trouble> {
    let number = |key: &str| params.get(key).and_then(Value::as_f64);
    let behind = |word: &str| name.split_once(word).and_then(|(_, rest)| rest.parse::<f64>().ok());
    let shift = number("shift").or_else(|| behind("shift"));
    Ok(match name {
        "sd15" => ModelSampling::eps(),
        "sd15_zsnr" => ModelSampling::v_prediction(true),
        "sd15_v" => ModelSampling::v_prediction(false),
        "edm" => ModelSampling::edm(
            number("sigma_min").unwrap_or(0.002),
            number("sigma_max").unwrap_or(80.0),
            number("sigma_data").unwrap_or(0.5),
        ),
        _ if name.starts_with("sd3") => {
            ModelSampling::flow(shift.unwrap_or(3.0), number("multiplier").unwrap_or(1000.0))
        }
        _ if name.starts_with("flux") => ModelSampling::flux(shift.unwrap_or(1.15)),
        _ => return Err(format!("`model_sampling` {name} isn't known").into()),
    })
}

/// A run's parameters.
pub struct Setup {
    pub sampling: ModelSampling,
    pub positive: f64,
    pub negative: f64,
    pub cfg: f64,
    pub seed: u64,
    pub shape: Vec<usize>,
    pub steps: usize,
    pub scheduler: Scheduler,
    pub sampler: Option<String>,
}

impl Setup {
    /// From the index.
    pub fn new(params: &Value) -> Result<Self, Trouble> {
        let get = |key: &str| params.get(key).ok_or_else(|| format!("index.json lacks the parameter `{key}`"));
        let number = |key: &str| Ok::<_, Trouble>(get(key)?.as_f64().ok_or_else(|| format!("`{key}` is no number"))?);
        let whole =
            |key: &str| Ok::<_, Trouble>(get(key)?.as_u64().ok_or_else(|| format!("`{key}` is no whole number"))?);
        let text = |key: &str| Ok::<_, Trouble>(get(key)?.as_str().ok_or_else(|| format!("`{key}` is no text"))?);
        let shape: Option<Vec<usize>> =
            get("shape")?.as_array().map(|a| a.iter().filter_map(|n| Some(n.as_u64()? as usize)).collect());
        Ok(Self {
            sampling: model_sampling(text("model_sampling")?, params)?,
            positive: number("positive")?,
            negative: number("negative")?,
            cfg: number("cfg")?,
            seed: whole("seed")?,
            shape: shape.filter(|s| s.len() == 4).ok_or("`shape` isn't four numbers")?,
            steps: whole("steps")? as usize,
            scheduler: text("scheduler")?.parse()?,
            sampler: params.get("sampler").and_then(Value::as_str).map(str::to_owned),
        })
    }

    pub fn guidance(&self) -> Result<Guidance, Trouble> {
        let (positive, negative) = (filled(self.positive, 77)?, filled(self.negative, 77)?);
        Ok(Guidance::Cfg { positive, negative, scale: self.cfg, rescale: None })
    }

    pub fn run(&self, sampler: &str) -> Result<Job1<'_>, Trouble> {
        let kind = SamplerKind::named(sampler)?;
        let shape = self.shape.clone();
        let latent = tensor(vec![0.0; shape.iter().product()], &shape)?;
        Ok(Job1 {
            setup: self,
            kind,
            denoise: 1.0,
            latent,
            guidance: self.guidance()?,
            mask: None,
            index: None,
            range: None,
            no_noise: false,
        })
    }
}

/// A conditioning that is one number everywhere.
pub fn filled(c: f64, tokens: usize) -> Result<Conditioning, Trouble> {
    let context = tensor(vec![c as f32; tokens * 768], &[1, tokens, 768])?;
    let pooled = tensor(vec![c as f32; 768], &[1, 768])?;
    Ok(Conditioning::new(context, Some(pooled)))
}

/// A run in preparation.
pub struct Job1<'a> {
    pub setup: &'a Setup,
    pub kind: SamplerKind,
    pub denoise: f64,
    pub latent: Tensor<4>,
    pub guidance: Guidance,
    pub mask: Option<Tensor<4>>,
    pub index: Option<Vec<usize>>,
    /// First step, last step, and whether noise is taken out at the end.
    pub range: Option<(Option<usize>, Option<usize>, bool)>,
    pub no_noise: bool,
}

/// What a run showed.
pub struct Trace {
    pub latent: Vec<f32>,
    pub x: Vec<f32>,
    pub denoised: Vec<f32>,
    pub shown: usize,
    /// Noise level and batch size of each evaluation.
    pub calls: Vec<(f32, usize)>,
}

impl Job1<'_> {
    /// Runs it on the analytic model and keeps what the callback saw of the first latent.
    pub fn trace(self) -> Result<Trace, Trouble> {
        let setup = self.setup;
        let levels = &setup.sampling.levels;
        let mut sigmas =
            steps::sigmas(levels, setup.scheduler, setup.steps, self.denoise, self.kind.discards_penultimate())?;
        if let Some((first, last, force)) = self.range {
            sigmas = steps::range(sigmas, first, last, force);
        }
        let model = Analytic::new(self.latent.dims()[1]);
        let noise = if self.no_noise {
            self.latent.zeros_like()
        } else {
            noise_for(&self.latent, setup.seed, self.index.as_deref())?
        };
        let run = SamplingRun {
            model: &model,
            sampling: &setup.sampling,
            format: &LatentFormat::SD1,
            guidance: &self.guidance,
            sampler: self.kind,
            options: Options::default(),
            sigmas: &sigmas,
            seed: setup.seed,
            noise,
            latent: StartLatent::new(self.latent, model.channels())?,
            mask: self.mask,
            max_batch: usize::MAX,
        };
        let (mut x, mut denoised, mut shown) = (Vec::new(), Vec::new(), 0);
        let outcome = run.run(&mut |step: Step<'_>| {
            shown += 1;
            for (seen, latent) in [(&mut x, step.x), (&mut denoised, step.denoised)] {
                seen.extend(latent.clone().narrow(0, 0, 1).to_data().iter::<f32>());
            }
            Ok(())
        })?;
        Ok(Trace { latent: host(&outcome.latent)?, x, denoised, shown, calls: model.calls() })
    }
}
