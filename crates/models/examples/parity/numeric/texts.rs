//! Prompts through text encoders of full size, and whole runs on a full-size checkpoint that exists as a recipe.

use burn::tensor::{Device, Tensor};
use kiln_memory::Rounding;
use kiln_models::conditioning::{Condition, Conditioning, Sizes};
use kiln_models::sampler::{Options, SamplerKind, Step};
use kiln_models::sampling::{Guidance, NetworkPredictor, SamplingRun, StartLatent, noise_for, size_vector};
use kiln_models::schedule::{ModelSampling, Scheduler, steps};
use kiln_models::text::{Prompt, PromptEncoder, T5Length};
use kiln_models::tokenizer::{EmbeddingFolders, Vocabularies};
use kiln_models::{LatentFormat, TextEncoders};
use serde_json::Value;

use super::tensors::{host, tensor};
use crate::case::{CaseResult, Entry, Folder, Tensors, Trouble};
use crate::nets::full::{Recipe, five};

/// Twelve to thirty-two layers in f32.
const TEXT: f64 = 1e-4;
/// Random weights amplify what differs.
const RUN: f64 = 1e-3;

/// Text encoders made from a recipe, held in f16 as the reference holds them.
struct Texts {
    encoders: TextEncoders,
    vocabularies: Vocabularies,
    embeddings: EmbeddingFolders,
    device: Device,
}

impl Texts {
    fn new(folder: &Folder, keys: &str) -> Result<Self, Trouble> {
        let recipe = Recipe::new(folder, keys, Some(Rounding::F16))?;
        let family = recipe.detected.family.ok_or("the keys are no checkpoint's")?;
        let model = |(role, found): &kiln_models::detect::TextFound| {
            let weights = recipe.weights(found);
            let model = found.config.init(&weights)?;
            Ok::<_, Trouble>(kiln_models::Encoder { role: *role, model, weights, words: None })
        };
        let encoders = recipe.detected.text.iter().map(model).collect::<Result<_, _>>()?;
        Ok(Self {
            encoders: TextEncoders { recipe: family.text, encoders },
            vocabularies: Vocabularies::default(),
            embeddings: EmbeddingFolders::new([folder.path().join("embeddings")]),
            device: Device::flex(),
        })
    }

    fn encode(&self, text: &str, clip_skip: Option<i32>) -> Result<Prompt, Trouble> {
        let encoder = PromptEncoder {
            encoders: &self.encoders,
            vocabularies: &self.vocabularies,
            t5: T5Length::default(),
            embeddings: &self.embeddings,
            clip_skip,
            device: &self.device,
        };
        Ok(encoder.encode(text)?)
    }
}

/// Prompts by name: from the index or the file's metadata, where they are given there (as `prompts`, or each by itself).
fn prompts(folder: &Folder, file: &str, tensors: &Tensors) -> Result<Vec<(String, String)>, Trouble> {
    let metadata = tensors.metadata().get("prompts").map(|text| serde_json::from_str::<Value>(text)).transpose()?;
    let params = folder.entry(file).params;
    let given = [params.get("prompts").cloned(), metadata, Some(params)].into_iter().flatten();
    let texts = |given: Value| -> Vec<(String, String)> {
        let texts = given.as_object().into_iter().flatten();
        let stored = |name: &str| [".pooled", ".last", ".cond"].iter().any(|end| tensors.has(&format!("{name}{end}")));
        texts
            .filter(|(name, _)| stored(name))
            .filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())))
            .collect()
    };
    Ok(given.map(texts).find(|texts| !texts.is_empty()).unwrap_or_default())
}

/// Compares rows; the reference may hold every Nth only.
fn rows(tensors: &Tensors, name: &str, found: &Tensor<3>) -> Result<CaseResult, Trouble> {
    let [_, count, width] = found.dims();
    let kept = tensors.shape(name)?.first().copied().unwrap_or(0);
    let step = (1..=count).find(|step| count.div_ceil(*step) == kept).unwrap_or(1);
    let values: Vec<f32> = host(found)?.chunks_exact(width).step_by(step).flatten().copied().collect();
    Ok(CaseResult::compare(name, &values, &tensors.floats(name)?, TEXT))
}

/// `clip_l_sd15`: last layer, clip skip 2, pooled.
pub fn clip_l(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let texts = Texts::new(folder, "keys_sd15.json")?;
    let tensors = folder.tensors(file)?;
    let mut results = Vec::new();
    for (name, text) in prompts(folder, file, &tensors)? {
        let (last, skipped) = (texts.encode(&text, None)?, texts.encode(&text, Some(-2))?);
        results.push(rows(&tensors, &format!("{name}.last"), &last.context)?);
        results.push(rows(&tensors, &format!("{name}.clipskip2"), &skipped.context)?);
        let pooled = format!("{name}.pooled");
        results.push(CaseResult::compare(
            pooled.as_str(),
            &host(&last.pooled.ok_or("nothing pooled")?)?,
            &tensors.floats(&pooled)?,
            TEXT,
        ));
    }
    Ok(results)
}

/// `sdxl`: both encoders' outputs side by side, pooled, and the vector of sizes.
pub fn sdxl(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let texts = Texts::new(folder, "keys_sdxl.json")?;
    let tensors = folder.tensors(file)?;
    let mut given = prompts(folder, file, &tensors)?;
    if given.is_empty() {
        let own = [("cat", "a photo of a cat"), ("weighted", "a (cat:1.2) sitting on a (red) mat")];
        given.extend(own.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }
    let mut results = Vec::new();
    for (i, (name, text)) in given.iter().enumerate() {
        let prompt = texts.encode(text, None)?;
        results.push(rows(&tensors, &format!("{name}.cond"), &prompt.context)?);
        let pooled = format!("{name}.pooled");
        let expected = tensors.floats(&pooled)?;
        results.push(CaseResult::compare(
            pooled.as_str(),
            &host(&prompt.pooled.ok_or("nothing pooled")?)?,
            &expected,
            TEXT,
        ));
        if i == 0 {
            let sizes = sizes(&folder.entry(file));
            let pooled = tensor(expected, &tensors.shape(&pooled)?)?;
            let condition = Condition { sizes, ..Condition::new(prompt.context, Some(pooled)) };
            let y = size_vector(&condition, tensors.floats("adm_y")?.len(), (32, 32), false)?;
            results.push(CaseResult::compare("adm_y", &host(&y)?, &tensors.floats("adm_y")?, 1e-6));
        }
    }
    Ok(results)
}

/// The sizes in `adm_y`: parameters of the index, or what its description says (`width=1024 height=768 crop_w 8 crop_h 16
/// target 1152x896`).
fn sizes(entry: &Entry) -> Sizes {
    let words: Vec<&str> = entry.desc.split(|c: char| c.is_whitespace() || "=,".contains(c)).collect();
    let behind = |word: &str| words.iter().position(|w| *w == word).and_then(|at| words.get(at + 1)).copied();
    let number = |key: &str| entry.number(key).or_else(|| behind(key)?.parse().ok()).map(|n| n as f32);
    let target = behind("target").and_then(|pair| pair.split_once('x'));
    let side = |key: &str, text: Option<&str>| number(key).or_else(|| text?.parse().ok());
    Sizes {
        width: number("width"),
        height: number("height"),
        crop_w: number("crop_w"),
        crop_h: number("crop_h"),
        target_width: side("target_width", target.map(|pair| pair.0)),
        target_height: side("target_height", target.map(|pair| pair.1)),
        aesthetic_score: None,
    }
}

/// `ksampler_sd15`: prompt to image on random weights. `SAMPLER_SCHEDULER_STEPS_cfgCFG_SIDE.what`, the side
/// maybe `WIDTHxHEIGHT`.
pub fn whole_runs(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let params = folder.entry(file).params;
    let tensors = folder.tensors(file)?;
    let text = |key: &str| params[key].as_str().ok_or_else(|| format!("index.json lacks the prompt `{key}`"));
    let texts = Texts::new(folder, "keys_sd15.json")?;
    let (positive, negative) = (texts.encode(text("positive")?, None)?, texts.encode(text("negative")?, None)?);
    let mut results = Vec::new();
    for (name, prompt) in [("pos.cond_row0", &positive), ("neg.cond_row0", &negative)] {
        let first = host(&prompt.context.clone().narrow(1, 0, 1))?;
        results.push(CaseResult::compare(name, &first, &tensors.floats(name)?, TEXT));
    }
    drop(texts);
    let recipe = Recipe::new(folder, "keys_sd15.json", None)?;
    let unet = recipe.detected.unet().ok_or("the keys hold no UNet")?;
    let vae = recipe.detected.vae.as_ref().ok_or("the keys hold no VAE")?;
    let network = unet.config.init(&recipe.weights(&unet))?;
    let vae = vae.config.init(&recipe.weights(vae))?;
    let sampling = ModelSampling::eps();
    let condition = |prompt: &Prompt| Conditioning::new(prompt.context.clone(), prompt.pooled.clone());
    for case in tensors.names().into_iter().filter_map(|name| name.strip_suffix(".latent")) {
        let run = Run::parse(case)?;
        let guidance = Guidance::Cfg {
            positive: condition(&positive),
            negative: condition(&negative),
            scale: run.cfg,
            rescale: None,
        };
        let seed = params["seed"].as_u64().ok_or("index.json lacks the `seed`")?;
        let sigmas =
            steps::sigmas(&sampling.levels, run.scheduler, run.steps, 1.0, run.sampler.discards_penultimate())?;
        let channels = network.config().out_channels;
        let latent = Tensor::zeros([1, channels, run.height / 8, run.width / 8], &Device::flex());
        let run = SamplingRun {
            model: &NetworkPredictor { network: &network, sampling: &sampling, patches: None },
            sampling: &sampling,
            format: &LatentFormat::SD1,
            guidance: &guidance,
            sampler: run.sampler,
            options: Options::default(),
            sigmas: &sigmas,
            seed,
            noise: noise_for(&latent, seed, None)?,
            latent: StartLatent::new(latent, channels)?,
            mask: None,
            max_batch: usize::MAX,
        };
        let (mut x, mut denoised) = (Vec::new(), Vec::new());
        let outcome = run.run(&mut |step: Step<'_>| {
            x.extend(step.x.to_data().iter::<f32>());
            denoised.extend(step.denoised.to_data().iter::<f32>());
            Ok(())
        })?;
        let latent = host(&outcome.latent)?;
        for (what, found) in [("x", &x), ("denoised", &denoised), ("latent", &latent)] {
            let name = format!("{case}.{what}");
            if tensors.has(&name) {
                results.push(CaseResult::compare(name.as_str(), found, &tensors.floats(&name)?, RUN));
            }
        }
        let name = format!("{case}.image_u8_bhwc");
        if tensors.has(&name) {
            let image = host(&vae.decode_image(outcome.latent)?)?;
            results.push(levels(&name, &image, tensors.bytes(&name)?));
            let summary = format!("{case}.image_summary");
            if tensors.has(&summary) {
                let expected = tensors.floats(&summary)?;
                results.push(CaseResult::compare(summary.as_str(), &five(&image), &expected, RUN));
            }
        }
    }
    Ok(results)
}

/// What a run's name says.
struct Run {
    sampler: SamplerKind,
    scheduler: Scheduler,
    steps: usize,
    cfg: f64,
    width: usize,
    height: usize,
}

impl Run {
    fn parse(name: &str) -> Result<Self, Trouble> {
        let mut parts = name.rsplitn(4, '_');
        let mut next = || parts.next().ok_or_else(|| format!("{name} isn't SAMPLER_SCHEDULER_STEPS_cfgCFG_SIDE"));
        let (side, cfg, steps, rest) = (next()?, next()?, next()?, next()?);
        let scheduler = Scheduler::ALL
            .into_iter()
            .filter(|s| rest.ends_with(&format!("_{}", s.name())))
            .max_by_key(|s| s.name().len())
            .ok_or_else(|| format!("no scheduler in {name}"))?;
        let sampler = SamplerKind::named(&rest[..rest.len() - scheduler.name().len() - 1])?;
        let cfg = cfg.trim_start_matches("cfg").parse()?;
        let (width, height) = side.split_once('x').unwrap_or((side, side));
        Ok(Self { sampler, scheduler, steps: steps.parse()?, cfg, width: width.parse()?, height: height.parse()? })
    }
}

/// An image against 8-bit values: at least 50 dB, at most one level off on 99.9 % of the values.
fn levels(name: &str, found: &[f32], expected: &[u8]) -> CaseResult {
    let found: Vec<u8> = found.iter().map(|v| (255.0 * v).clamp(0.0, 255.0) as u8).collect();
    let off = found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b));
    let (mut square, mut far) = (0.0, 0usize);
    for difference in off {
        square += f64::from(difference).powi(2);
        far += usize::from(difference > 1);
    }
    let n = expected.len().max(1) as f64;
    let decibel = 10.0 * (255.0f64.powi(2) / (square / n).max(1e-12)).log10();
    let right = found.len() == expected.len() && decibel >= 50.0 && far as f64 <= n / 1000.0;
    let note = format!("{decibel:.1} dB, {far} values more than one level off");
    CaseResult { note: note.clone(), ..CaseResult::exact(name, right, note) }
}
