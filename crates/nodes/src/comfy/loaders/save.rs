//! Nodes that write models: checkpoints, networks, text encoders, autoencoders, LoRAs.
//!
//! What a file holds is the models crate's business; here stands where it goes and what its metadata says.

use std::io::Write;

use indexmap::IndexMap;
use kiln_exec::{ConstantInputs, Cx, Execute, ExtraPngInfo, Node, NodeError, SubmittedPrompt};
use kiln_models::detect::Prediction;
use kiln_models::save::ModelFile;
use kiln_models::save::{Extraction, extract};
use kiln_models::vae::Autoencoder;

use crate::files::{DirKind, Moment, SavePath, json_text};
use crate::payload::{Clip, Model, Vae};
use crate::runtime::environment::{CxExt, Environment};

/// Whether the prefix stays inside of the output folder, and that folder can be written to.
pub(super) fn check_prefix(known: &ConstantInputs<'_>) -> Result<(), String> {
    let Ok(environment) = known.host::<Environment>() else { return Ok(()) };
    if let Some(prefix) = known.get_as::<String>("filename_prefix") {
        SavePath::check(environment.folders(), DirKind::Output, &prefix).map_err(|e| e.to_string())?;
    }
    environment.folders().check_output_writable().map_err(|e| e.to_string())
}

/// The graph, as texts by name.
pub(super) fn graph(
    cx: &Cx,
    prompt: &SubmittedPrompt,
    extra: &ExtraPngInfo,
) -> Result<IndexMap<String, String>, NodeError> {
    let mut texts = IndexMap::new();
    if cx.environment()?.metadata() {
        texts.insert("prompt".to_owned(), json_text(&prompt.0.to_value()));
        let parts = extra.0.as_deref().and_then(serde_json::Value::as_object);
        texts.extend(parts.into_iter().flatten().map(|(key, value)| (key.clone(), json_text(value))));
    }
    Ok(texts)
}

/// Writes a file under the next free number. `metadata` gets name and number.
pub(super) fn save(
    cx: &Cx,
    prefix: &str,
    metadata: impl FnOnce(&SavePath) -> IndexMap<String, String>,
    file: &ModelFile,
) -> Result<(), NodeError> {
    cx.checkpoint()?;
    let mut path = SavePath::new(cx.environment()?.folders(), DirKind::Output, prefix, (0, 0), Moment::now())?;
    let metadata = metadata(&path);
    let saved = path.write_with(0, ".safetensors", &mut |out: &mut dyn Write| file.write(out, &metadata))?;
    tracing::info!(path = %saved.path.display(), "saved");
    Ok(())
}

/// What a checkpoint's metadata says of its model, as the model specification of Stability AI has it.
pub(super) fn described(model: &Model, path: &SavePath) -> IndexMap<String, String> {
    let mut texts = IndexMap::new();
    let network = &model.network;
    let architecture = (network.family.architecture)(&*network.network);
    let mut say = |key: &str, value: String| drop(texts.insert(format!("modelspec.{key}"), value));
    if let Some(architecture) = architecture {
        say("architecture", architecture.to_owned());
        say("sai_model_spec", "1.0.0".to_owned());
        say("implementation", "sgm".to_owned());
        say("title", format!("{} {}", path.name, path.counter));
    }
    match network.prediction {
        Prediction::Eps => say("predict_key", "epsilon".to_owned()),
        Prediction::V { .. } | Prediction::VLowRes => say("predict_key", "v".to_owned()),
        Prediction::Edm
        | Prediction::Image
        | Prediction::ContinuousV { .. }
        | Prediction::Flow { .. }
        | Prediction::Flux { .. } => {}
    }
    texts
}

/// Writes a model with its text encoders and its autoencoder as one checkpoint.
#[derive(Node)]
#[node(
    display_name = "Save Checkpoint",
    category = "advanced/model_merging",
    module = "comfy_extras.nodes_model_merging",
    output_node,
    validates(filename_prefix)
)]
pub struct CheckpointSave {
    /// The model.
    model: Model,
    /// Its text encoders.
    clip: Clip,
    /// Its autoencoder.
    vae: Vae,
    /// How the file's name begins.
    #[input(default = "checkpoints/ComfyUI")]
    filename_prefix: String,
    prompt: SubmittedPrompt,
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for CheckpointSave {
    type Output = ();

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        check_prefix(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<(), NodeError> {
        let Self { model, clip, vae, filename_prefix, prompt, extra_pnginfo } = self;
        let graph = graph(cx, &prompt, &extra_pnginfo)?;
        let file = ModelFile::default().with_model(&model.network, &model.sampling);
        let file = file.with_text(clip.text()?).with_vae(saved(&vae)?, model.network.family.vae_prefix);
        save(cx, &filename_prefix, |path| described(&model, path).into_iter().chain(graph).collect(), &file)
    }
}

/// Writes a diffusion model alone.
#[derive(Node)]
#[node(
    category = "advanced/model_merging",
    module = "comfy_extras.nodes_model_merging",
    output_node,
    validates(filename_prefix)
)]
pub struct ModelSave {
    /// The model.
    model: Model,
    /// How the file's name begins.
    #[input(default = "diffusion_models/ComfyUI")]
    filename_prefix: String,
    prompt: SubmittedPrompt,
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for ModelSave {
    type Output = ();

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        check_prefix(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<(), NodeError> {
        let Self { model, filename_prefix, prompt, extra_pnginfo } = self;
        let graph = graph(cx, &prompt, &extra_pnginfo)?;
        let file = ModelFile::default().with_model(&model.network, &model.sampling);
        save(cx, &filename_prefix, |path| described(&model, path).into_iter().chain(graph).collect(), &file)
    }
}

/// Writes each text encoder into a file of its own.
#[derive(Node)]
#[node(
    category = "advanced/model_merging",
    module = "comfy_extras.nodes_model_merging",
    output_node,
    validates(filename_prefix)
)]
pub struct CLIPSave {
    /// The text encoders.
    clip: Clip,
    /// How the files' names begin; the encoder's name follows.
    #[input(default = "clip/ComfyUI")]
    filename_prefix: String,
    prompt: SubmittedPrompt,
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for CLIPSave {
    type Output = ();

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        check_prefix(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<(), NodeError> {
        let mut texts = graph(cx, &self.prompt, &self.extra_pnginfo)?;
        if !texts.is_empty() {
            texts.insert("format".to_owned(), "pt".to_owned());
        }
        for encoder in &self.clip.text()?.encoders {
            let prefix = format!("{}_{}", self.filename_prefix, encoder.role.name());
            let texts = texts.clone();
            save(cx, &prefix, |_| texts, &ModelFile::default().with_encoder(encoder))?;
        }
        Ok(())
    }
}

/// An autoencoder that checkpoints have names for.
fn saved(vae: &Vae) -> Result<&dyn Autoencoder, NodeError> {
    let network = vae.network()?;
    if network.weights().is_none() {
        return Err(NodeError::new(
            "`vae` is a tiny autoencoder, which checkpoints have no names for; copy its own files instead",
        ));
    }
    Ok(network)
}

/// Writes an autoencoder alone.
#[derive(Node)]
#[node(
    category = "advanced/model_merging",
    module = "comfy_extras.nodes_model_merging",
    output_node,
    validates(filename_prefix)
)]
pub struct VAESave {
    /// The autoencoder.
    vae: Vae,
    /// How the file's name begins.
    #[input(default = "vae/ComfyUI_vae")]
    filename_prefix: String,
    prompt: SubmittedPrompt,
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for VAESave {
    type Output = ();

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        check_prefix(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<(), NodeError> {
        let texts = graph(cx, &self.prompt, &self.extra_pnginfo)?;
        save(cx, &self.filename_prefix, |_| texts, &ModelFile::default().with_vae(saved(&self.vae)?, ""))
    }
}

/// Writes the difference of two models, as ModelMergeSubtract makes it, as a LoRA.
#[derive(Node)]
#[node(
    display_name = "Extract and Save Lora",
    category = "_for_testing",
    module = "comfy_extras.nodes_lora_extract",
    output_node,
    experimental,
    validates(filename_prefix)
)]
pub struct LoraSave {
    /// How the file's name begins.
    #[input(default = "loras/ComfyUI_extracted_lora", option("multiline" = false))]
    filename_prefix: String,
    /// The rank of the products; higher keeps more of the difference.
    #[input(default = 8, min = 1, max = 4096, step = 1)]
    rank: usize,
    /// Products of thin matrices, or the whole difference.
    #[input(options = ["standard", "full_diff"], option("multiselect" = false))]
    lora_type: String,
    /// Whether differences of biases and norms are kept, too.
    #[input(default = true)]
    bias_diff: bool,
    /// The difference of two models.
    model_diff: Option<Model>,
    /// The difference of two models' text encoders.
    text_encoder_diff: Option<Clip>,
    #[allow(dead_code, reason = "a LoRA's metadata says nothing of graphs")]
    prompt: SubmittedPrompt,
    #[allow(dead_code, reason = "a LoRA's metadata says nothing of graphs")]
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for LoraSave {
    type Output = ();

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        check_prefix(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<(), NodeError> {
        let how = if self.lora_type == "full_diff" { Extraction::Whole } else { Extraction::LowRank(self.rank) };
        let mut file = ModelFile::default();
        if let Some(model) = &self.model_diff {
            file = extract(file, &model.network.weights, "diffusion_model.", how, self.bias_diff)?;
        }
        let text = self.text_encoder_diff.as_ref().map(Clip::text).transpose()?;
        for encoder in text.iter().flat_map(|text| &text.encoders) {
            cx.checkpoint()?;
            let prefix = format!("text_encoders.{}.transformer.", encoder.role.name());
            file = extract(file, &encoder.weights, &prefix, how, self.bias_diff)?;
        }
        if self.model_diff.is_none() && self.text_encoder_diff.is_none() {
            return Ok(());
        }
        if file.is_empty() {
            return Err(NodeError::new("the two models do not differ: there is nothing to keep in a LoRA"));
        }
        save(cx, &self.filename_prefix, |_| IndexMap::new(), &file)
    }
}
