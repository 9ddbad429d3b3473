//! Nodes that open model files: checkpoints, UNets, text encoders, autoencoders, LoRAs.
//!
//! Files are opened by pointer: a header is read, weights come when they are used.

mod config;
mod configured;
mod diffusers;
pub(in crate::comfy) mod fingerprint;
mod image_models;
mod opened;
mod save;
mod triple;
mod vae;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Host, Node, NodeError};
use kiln_memory::{Rounding, TensorShapes};
use kiln_models::lora::{LoraFile, Prefixes, Target};
use kiln_models::{DiffusionModel, TextEncoders};

pub use self::configured::CheckpointLoader;
pub use self::diffusers::DiffusersLoader;
pub use self::fingerprint::{file_fingerprint, stamps};
pub use self::image_models::{ImageOnlyCheckpointLoader, ImageOnlyCheckpointSave, UnClipCheckpointLoader};
use self::opened::Opened;
pub(in crate::comfy) use self::opened::checkpoints;
pub use self::save::{CLIPSave, CheckpointSave, LoraSave, ModelSave, VAESave};
pub use self::triple::TripleCLIPLoader;
pub use self::vae::VAELoader;
use crate::payload::{Clip, Model, Vae};
use crate::runtime::environment::{CxExt, models};

crate::comfy::classes::classes! {
    CheckpointLoaderSimple, CheckpointLoader, UNETLoader, CLIPLoader, DualCLIPLoader, TripleCLIPLoader, VAELoader, LoraLoader, LoraLoaderModelOnly,
    UnClipCheckpointLoader, ImageOnlyCheckpointLoader, ImageOnlyCheckpointSave, CheckpointSave, ModelSave, CLIPSave, VAESave, LoraSave,
    DiffusersLoader,
}

fn unets(host: &Host) -> Vec<String> {
    models(host, "diffusion_models")
}

fn text_encoders(host: &Host) -> Vec<String> {
    models(host, "text_encoders")
}

pub(in crate::comfy) fn loras(host: &Host) -> Vec<String> {
    models(host, "loras")
}

/// Opens a checkpoint: a diffusion model with its text encoders and its autoencoder. What the file lacks is missed where
/// it is used.
#[derive(Node)]
#[node(display_name = "Load Checkpoint", category = "loaders", aliases("model", "open"))]
pub struct CheckpointLoaderSimple {
    /// A file of the folder `checkpoints`.
    #[input(choices = checkpoints, provides(MODEL = "unet", CLIP = "clip", VAE = "vae"))]
    ckpt_name: String,
}

impl Execute for CheckpointLoaderSimple {
    type Output = (Model, Clip, Vae);

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "checkpoints", &["ckpt_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<(Model, Clip, Vae), NodeError> {
        let Opened { model, clip, vae, .. } = Opened::checkpoint(cx, &self.ckpt_name)?;
        Ok((model, clip, vae))
    }
}

/// Opens a diffusion model that lies in a file of its own.
#[derive(Node)]
#[node(display_name = "Load Diffusion Model", category = "advanced/loaders", aliases("unet"))]
pub struct UNETLoader {
    /// A file of the folder `diffusion_models`.
    #[input(choices = unets, provides(MODEL = "unet"))]
    unet_name: String,
    /// How weights are held: as the file has them, or rounded to numbers of eight bits.
    #[input(combo = ["default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2"])]
    weight_dtype: String,
}

impl Execute for UNETLoader {
    type Output = Model;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "diffusion_models", &["unet_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<Model, NodeError> {
        let environment = cx.environment()?;
        let path = environment.folders().model("diffusion_models", &self.unet_name)?;
        // Fast multiplication of narrow numbers is for processors that have it; the numbers are the same.
        let rounding = match self.weight_dtype.as_str() {
            "fp8_e4m3fn" | "fp8_e4m3fn_fast" => Some(Rounding::F8E4M3),
            "fp8_e5m2" => Some(Rounding::F8E5M2),
            _ => None,
        };
        let families = environment.families();
        Ok(Model::new(DiffusionModel::open_among(families, &path, rounding, environment.budget())?))
    }
}

/// Opens a text encoder that lies in a file of its own.
#[derive(Node)]
#[node(display_name = "Load CLIP", category = "advanced/loaders")]
pub struct CLIPLoader {
    /// A file of the folder `text_encoders`.
    #[input(choices = text_encoders, provides(CLIP = "clip"))]
    clip_name: String,
    /// The family it is for. Language models (FLUX.2, Z-Image, Qwen-Image) are told by the file, T5 alone by `sd3`.
    #[input(combo = [
        "stable_diffusion", "stable_cascade", "sd3", "stable_audio", "mochi", "ltxv", "pixart", "cosmos", "lumina2",
        "wan", "hidream", "chroma", "ace", "omnigen2", "qwen_image", "hunyuan_image", "flux2"
    ])]
    #[input(name = "type")]
    family: String,
    /// Where it runs.
    #[allow(dead_code, reason = "the environment has one device")]
    #[input(combo = ["default", "cpu"], advanced)]
    device: Option<String>,
}

impl Execute for CLIPLoader {
    type Output = Clip;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "text_encoders", &["clip_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<Clip, NodeError> {
        let environment = cx.environment()?;
        let path = environment.folders().model("text_encoders", &self.clip_name)?;
        Ok(Clip::new(TextEncoders::open_as(&[&path], &self.family, environment.budget())?))
    }
}

/// Opens two text encoders for one model (SDXL, FLUX.1, Stable Diffusion 3).
#[derive(Node)]
#[node(category = "advanced/loaders")]
pub struct DualCLIPLoader {
    /// A file of the folder `text_encoders`.
    #[input(choices = text_encoders, provides(CLIP = "clip"))]
    clip_name1: String,
    /// Another one; their order does not matter.
    #[input(choices = text_encoders, provides(CLIP = "clip"))]
    clip_name2: String,
    /// The family they are for.
    #[input(combo = ["sdxl", "sd3", "flux", "hunyuan_video", "hidream", "hunyuan_image", "hunyuan_video_15"])]
    #[input(name = "type")]
    family: String,
    /// Where they run.
    #[allow(dead_code, reason = "the environment has one device")]
    #[input(combo = ["default", "cpu"], advanced)]
    device: Option<String>,
}

impl Execute for DualCLIPLoader {
    type Output = Clip;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "text_encoders", &["clip_name1", "clip_name2"])
    }

    fn execute(self, cx: &mut Cx) -> Result<Clip, NodeError> {
        let environment = cx.environment()?;
        let find = |name: &str| environment.folders().model("text_encoders", name);
        let paths: [PathBuf; 2] = [find(&self.clip_name1)?, find(&self.clip_name2)?];
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        Ok(Clip::new(TextEncoders::open_as(&paths, &self.family, environment.budget())?))
    }
}

/// Changes a model and its text encoders by a LoRA file.
#[derive(Node)]
#[node(display_name = "Load LoRA", category = "loaders", aliases("lora", "style"))]
pub struct LoraLoader {
    /// The diffusion model.
    model: Model,
    /// Its text encoders.
    clip: Clip,
    /// A file of the folder `loras`.
    #[input(choices = loras)]
    lora_name: String,
    /// How strongly the diffusion model changes. May be negative.
    #[input(default = 1.0, min = -100.0, max = 100.0, step = 0.01)]
    strength_model: f32,
    /// How strongly the text encoders change. May be negative.
    #[input(default = 1.0, min = -100.0, max = 100.0, step = 0.01)]
    strength_clip: f32,
}

impl Execute for LoraLoader {
    type Output = (Model, Clip);

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "loras", &["lora_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<(Model, Clip), NodeError> {
        let Self { model, clip, lora_name, strength_model, strength_clip } = self;
        if strength_model == 0.0 && strength_clip == 0.0 {
            return Ok((model, clip));
        }
        let file = LoraFile::open(&cx.environment()?.folders().model("loras", &lora_name)?)?;
        let mut prefixes = model.network.lora_keys()?;
        let mut shapes = model.network.lora_shapes();
        // A checkpoint without text encoders may have its model changed all the same.
        let text = if clip.is_there() { Some(clip.text()?.clone()) } else { None };
        if let Some(text) = &text {
            prefixes.extend(text.lora_keys()?);
            for (key, shape) in text.lora_shapes().iter() {
                shapes.insert(key, shape);
            }
        }
        let found = matched(&file, &prefixes, &shapes, &lora_name)?;
        let network = model.network.patched(&file, &found, strength_model)?;
        let clip = match text {
            Some(text) => clip.with_text(text.patched(&file, &found, strength_clip)?),
            None => clip,
        };
        Ok((Model { network: Arc::new(network), ..model }, clip))
    }
}

/// Changes a model by a LoRA file.
#[derive(Node)]
#[node(category = "loaders", aliases("lora", "style"))]
pub struct LoraLoaderModelOnly {
    /// The diffusion model.
    model: Model,
    /// A file of the folder `loras`.
    #[input(choices = loras)]
    lora_name: String,
    /// How strongly it changes. May be negative.
    #[input(default = 1.0, min = -100.0, max = 100.0, step = 0.01)]
    strength_model: f32,
}

impl Execute for LoraLoaderModelOnly {
    type Output = Model;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "loras", &["lora_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, lora_name, strength_model } = self;
        if strength_model == 0.0 {
            return Ok(model);
        }
        let file = LoraFile::open(&cx.environment()?.folders().model("loras", &lora_name)?)?;
        let found = matched(&file, &model.network.lora_keys()?, &model.network.lora_shapes(), &lora_name)?;
        let network = model.network.patched(&file, &found, strength_model)?;
        Ok(Model { network: Arc::new(network), ..model })
    }
}

/// What of the file belongs to the model; a file of which nothing does, or nothing fits, is for another family.
fn matched(file: &LoraFile, prefixes: &Prefixes, shapes: &TensorShapes, name: &str) -> Result<Vec<Target>, NodeError> {
    let found = file.fitting(prefixes, shapes);
    let found = found.map_err(|misfit| NodeError::new(format!("`lora_name` {name}: {misfit}")))?;
    for key in &found.unmatched {
        tracing::warn!(lora = name, key, "a tensor that this model has no weight for");
    }
    Ok(found.targets)
}
