//! Whole runs of a small checkpoint, told by a `cases.json`: prompt to image, every step of it.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use kiln_memory::Budget;
use kiln_models::Checkpoint;
use kiln_models::conditioning::Conditioning;
use kiln_models::detect::TextEncoderKind;
use kiln_models::sampler::{Options, SamplerKind, Step};
use kiln_models::sampling::{Guidance, NetworkPredictor, SamplingRun, StartLatent, noise_for};
use kiln_models::schedule::{ModelSampling, steps};
use kiln_models::text::{Prompt, PromptEncoder, T5Length};
use kiln_models::tokenizer::{Encoder, NoEmbeddings, Token, Tokenizer, Vocabularies};
use kiln_models::vae::Vae;
use serde::Deserialize;

use crate::case::{CaseResult, Tensors, Trouble, guarded};
use crate::numeric::{host, tensor};

const CONDITIONING: f64 = 1e-5;
const STEPS: f64 = 1e-4;
/// Noise from a Brownian path depends on the last bit of each level.
const SDE_STEPS: f64 = 1e-3;
/// dpm_adaptive's step size follows an error estimate, which amplifies rounding; the same as for the samplers' files.
const ADAPTIVE_STEPS: f64 = 1e-3;
const ENCODED: f64 = 1e-4;
/// Least quality of an image, in decibels.
const QUALITY: f64 = 60.0;
/// The model that runs are made with unless a case names another.
const MODEL: &str = "fluent-tiny.safetensors";

/// A run's parameters.
#[derive(Debug, Clone, Deserialize)]
struct Case {
    prompt: String,
    #[serde(default)]
    negative: String,
    seed: u64,
    steps: usize,
    cfg: f64,
    sampler: String,
    scheduler: String,
    #[serde(default = "one")]
    denoise: f64,
    #[serde(default = "side")]
    width: usize,
    #[serde(default = "side")]
    height: usize,
    #[serde(default = "single")]
    batch: usize,
    image_from: Option<String>,
    model: Option<String>,
}

fn one() -> f64 {
    1.0
}

fn side() -> usize {
    128
}

fn single() -> usize {
    1
}

/// Every case of a folder; `name` goes before each case's name.
pub fn all(folder: &Path, name: &str, tell: &mut dyn FnMut(CaseResult)) {
    let cases = match read(folder) {
        Ok(cases) => cases,
        Err(trouble) => return tell(CaseResult::broken(name, trouble)),
    };
    let mut bench: Option<(String, Bench)> = None;
    for (case, parameters) in cases {
        let label = format!("{name}/{case}");
        let model = parameters.model.clone().unwrap_or_else(|| MODEL.to_owned());
        if bench.as_ref().is_none_or(|(own, _)| *own != model) {
            let Some(path) = find(folder, &model) else {
                tell(CaseResult::skipped(label, format!("{model} isn't in the project's assets")));
                continue;
            };
            match Bench::new(&path) {
                Ok(opened) => bench = Some((model, opened)),
                Err(trouble) => {
                    tell(CaseResult::broken(label, trouble));
                    continue;
                }
            }
        }
        let Some((_, bench)) = &bench else { continue };
        match guarded(|| bench.run(folder, &case, &parameters)) {
            Ok(results) => {
                for result in results {
                    tell(CaseResult { name: format!("{label}/{}", result.name), ..result });
                }
            }
            Err(trouble) => tell(CaseResult::broken(label, trouble)),
        }
    }
}

fn read(folder: &Path) -> Result<indexmap::IndexMap<String, Case>, Trouble> {
    let at = folder.join("cases.json");
    let text = std::fs::read_to_string(&at).map_err(|error| format!("{}: {error}", at.display()))?;
    Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", at.display()))?)
}

/// The model beside the folder, or in `assets/` of the project that the program runs in or was built from.
fn find(folder: &Path, model: &str) -> Option<PathBuf> {
    let near = [folder.to_path_buf(), folder.join("assets"), folder.join("../assets"), folder.join("../../assets")];
    let here = std::env::current_dir().ok();
    let above = here.iter().flat_map(|here| here.ancestors()).map(|place| place.join("assets"));
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    near.into_iter().chain(above).chain([built]).map(|place| place.join(model)).find(|file| file.is_file())
}

/// An opened model.
struct Bench {
    checkpoint: Checkpoint,
    vocabularies: Vocabularies,
    sampling: ModelSampling,
    device: Device,
}

impl Bench {
    fn new(path: &Path) -> Result<Self, Trouble> {
        let checkpoint = Checkpoint::open(path, &Budget::unlimited("parity"))?;
        let sampling = checkpoint.model.prediction.sampling();
        Ok(Self { checkpoint, vocabularies: Vocabularies::default(), sampling, device: Device::flex() })
    }

    fn run(&self, folder: &Path, name: &str, case: &Case) -> Result<Vec<CaseResult>, Trouble> {
        let reference = Tensors::open(&folder.join(format!("{name}.safetensors")))?;
        let compare = |what: &str, found: &[f32], tolerance| {
            Ok::<_, Trouble>(CaseResult::compare(what, found, &reference.floats(what)?, tolerance))
        };
        let mut results = vec![self.ids(case, &reference)?];
        let (positive, negative) = (self.encode(&case.prompt)?, self.encode(&case.negative)?);
        results.push(compare("positive", &host(&positive.context)?, CONDITIONING)?);
        results.push(compare("negative", &host(&negative.context)?, CONDITIONING)?);
        let latent = match &case.image_from {
            None => Tensor::zeros(self.latent(case), &self.device),
            Some(source) => {
                let encoded = self.vae()?.encode_image(Self::rgb(&folder.join(format!("{source}.png")))?)?;
                results.push(compare("encoded", &host(&encoded)?, ENCODED)?);
                encoded.repeat_dim(0, case.batch)
            }
        };
        let noise = noise_for(&latent, case.seed, None)?;
        results.push(compare("noise", &host(&noise)?, 0.0)?);
        let guidance = Guidance::Cfg {
            positive: Conditioning::new(positive.context, positive.pooled),
            negative: Conditioning::new(negative.context, negative.pooled),
            scale: case.cfg,
            rescale: None,
        };
        let (mut x, mut denoised) = (Vec::new(), Vec::new());
        let latent = self.sample(case, &guidance, latent, noise, &mut |step: Step<'_>| {
            for (seen, tensor) in [(&mut x, step.x), (&mut denoised, step.denoised)] {
                seen.extend(tensor.clone().narrow(0, 0, 1).to_data().iter::<f32>());
            }
            Ok(())
        })?;
        let tolerance = match case.sampler.as_str() {
            "dpm_adaptive" => ADAPTIVE_STEPS,
            name if name.contains("sde") => SDE_STEPS,
            _ => STEPS,
        };
        results.push(compare("x", &x, tolerance)?);
        results.push(compare("denoised", &denoised, tolerance)?);
        results.push(compare("latent", &host(&latent)?, tolerance)?);
        let image = host(&self.vae()?.decode_image(latent)?)?;
        results.push(quality("image", &image, &reference.floats("image")?));
        results.extend(Self::png(&folder.join(format!("{name}.png")), &image, case)?);
        results.extend(reference.left_over().into_iter().map(CaseResult::unknown));
        Ok(results)
    }

    fn sample(
        &self,
        case: &Case,
        guidance: &Guidance,
        latent: Tensor<4>,
        noise: Tensor<4>,
        on_step: &mut kiln_models::sampler::StepFn<'_>,
    ) -> Result<Tensor<4>, Trouble> {
        let sampler = SamplerKind::named(&case.sampler)?;
        let scheduler = case.scheduler.parse()?;
        let discard = sampler.discards_penultimate();
        let sigmas = steps::sigmas(&self.sampling.levels, scheduler, case.steps, case.denoise, discard)?;
        let run = SamplingRun {
            model: &NetworkPredictor {
                network: &*self.checkpoint.model.network,
                sampling: &self.sampling,
                patches: None,
            },
            sampling: &self.sampling,
            format: &self.checkpoint.model.latent,
            guidance,
            sampler,
            options: Options::default(),
            sigmas: &sigmas,
            seed: case.seed,
            noise,
            latent: StartLatent::new(latent, self.checkpoint.model.network.channels())?,
            mask: None,
            max_batch: usize::MAX,
        };
        Ok(run.run(on_step)?.latent)
    }

    /// Shape of an empty latent.
    fn latent(&self, case: &Case) -> [usize; 4] {
        let side = self.checkpoint.vae.as_ref().map_or(8, |vae| vae.config().scale());
        let channels = self.checkpoint.model.network.channels();
        [case.batch, channels, case.height / side, case.width / side]
    }

    fn vae(&self) -> Result<&Vae, Trouble> {
        Ok(self.checkpoint.vae.as_ref().ok_or("the checkpoint has no VAE")?)
    }

    fn encode(&self, text: &str) -> Result<Prompt, Trouble> {
        let encoders = self.checkpoint.text.as_ref().ok_or("the checkpoint has no text encoder")?;
        let encoder = PromptEncoder {
            encoders,
            vocabularies: &self.vocabularies,
            t5: T5Length::default(),
            embeddings: &NoEmbeddings,
            clip_skip: None,
            device: &self.device,
        };
        Ok(encoder.encode(text)?)
    }

    fn ids(&self, case: &Case, reference: &Tensors) -> Result<CaseResult, Trouble> {
        let encoder = match self.checkpoint.text.as_ref().and_then(|text| text.recipe.roles.first()) {
            Some(TextEncoderKind::G) => Encoder::ClipG,
            Some(TextEncoderKind::H) => Encoder::ClipH,
            _ => Encoder::ClipL,
        };
        let chunks = Tokenizer::new(self.vocabularies.clip()?, encoder).tokenize(&case.prompt, &NoEmbeddings)?;
        let id = |token: &Token| match token {
            Token::Id(id) => i64::from(*id),
            Token::Vector(_) => -1,
        };
        let found: Vec<i64> = chunks.iter().flatten().map(|token| id(&token.token)).collect();
        Ok(CaseResult::exact("ids", found == reference.integers("ids")?, "other ids"))
    }

    /// A PNG as IMAGE.
    fn rgb(path: &Path) -> Result<Tensor<4>, Trouble> {
        let (pixels, width, height) = png(path)?;
        tensor(pixels.iter().map(|b| f32::from(*b) / 255.0).collect(), &[1, height, width, 3])
    }

    /// The image as it would be saved, against the reference's file (the batch side by side).
    fn png(path: &Path, image: &[f32], case: &Case) -> Result<Option<CaseResult>, Trouble> {
        if !path.is_file() {
            return Ok(None);
        }
        let (expected, width, height) = png(path)?;
        let batch = case.batch.max(1);
        let own = width / batch;
        if batch * height * own * 3 != image.len() || expected.len() != image.len() {
            let fault =
                format!("{width} x {height} pixels don't hold {batch} images of {} values", image.len() / batch);
            return Ok(Some(CaseResult::broken("png", fault)));
        }
        let row = |item: usize, y: usize| &image[(item * height + y) * own * 3..][..own * 3];
        let mut found = Vec::with_capacity(expected.len());
        for y in 0..height {
            for item in 0..batch {
                found.extend(row(item, y).iter().map(|v| (255.0 * v).clamp(0.0, 255.0).floor() / 255.0));
            }
        }
        let expected: Vec<f32> = expected.iter().map(|b| f32::from(*b) / 255.0).collect();
        Ok(Some(quality("png", &found, &expected)))
    }
}

fn png(path: &Path) -> Result<(Vec<u8>, usize, usize), Trouble> {
    let rgb = image::open(path).map_err(|error| format!("{}: {error}", path.display()))?.into_rgb8();
    let (width, height) = (rgb.width() as usize, rgb.height() as usize);
    Ok((rgb.into_raw(), width, height))
}

/// Peak signal-to-noise ratio of values in 0..1, as a verdict on the root mean square of the differences.
fn quality(name: &str, found: &[f32], expected: &[f32]) -> CaseResult {
    if found.len() != expected.len() {
        return CaseResult::broken(name, format!("{} values instead of {}", found.len(), expected.len()));
    }
    let differences = found.iter().zip(expected).map(|(a, b)| f64::from((a - b).abs()));
    let (mut worst, mut square) = (0.0f64, 0.0);
    for difference in differences {
        worst = if difference.is_nan() { f64::INFINITY } else { worst.max(difference) };
        square += difference * difference;
    }
    let rms = (square / expected.len().max(1) as f64).sqrt();
    let decibel = if rms == 0.0 { f64::INFINITY } else { -20.0 * rms.log10() };
    let mut result = CaseResult::verdict(name.to_owned(), rms, rms, 10f64.powf(-QUALITY / 20.0));
    result.max_rel = worst;
    result.note = if rms == 0.0 { "equal".to_owned() } else { format!("{decibel:.0} dB") };
    result
}
