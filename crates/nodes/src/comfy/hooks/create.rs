//! Hooks made of files: LoRAs, and whole models as LoRAs. A file is opened by pointer; what it changes is found where a
//! model is sampled or a prompt encoded.

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Node, NodeError};
use kiln_models::Checkpoint;
use kiln_models::lora::LoraFile;
use kiln_models::weight_hooks::{HookGroup, HookSource, HookWeights, ModelAsLora};

use crate::comfy::loaders::fingerprint::file_fingerprint;
use crate::comfy::loaders::{checkpoints, loras};
use crate::payload::Hooks;
use crate::runtime::environment::CxExt;

/// The hooks before and a new one, if it changes anything.
fn added(
    prev_hooks: Option<Hooks>,
    [strength_model, strength_clip]: [f64; 2],
    open: impl FnOnce() -> Result<HookSource, NodeError>,
) -> Result<Hooks, NodeError> {
    let before = prev_hooks.unwrap_or_else(|| Hooks::new(HookGroup::default()));
    if strength_model == 0.0 && strength_clip == 0.0 {
        return Ok(before);
    }
    let weights = HookWeights { source: open()?, strength_model, strength_clip };
    let hook = HookGroup::of(weights).map_err(|error| NodeError::new(error.to_string()))?;
    Ok(Hooks::new(before.0.with(&hook)))
}

fn lora(cx: &Cx, name: &str) -> Result<HookSource, NodeError> {
    Ok(HookSource::Lora(LoraFile::open(&cx.environment()?.folders().model("loras", name)?)?))
}

fn model(cx: &Cx, name: &str) -> Result<HookSource, NodeError> {
    let environment = cx.environment()?;
    let path = environment.folders().model("checkpoints", name)?;
    let Checkpoint { model, text, .. } = Checkpoint::open_among(environment.families(), &path, environment.budget())?;
    let encoders = text.into_iter().flat_map(|text| text.encoders);
    let text = encoders.map(|encoder| (encoder.scope(), encoder.weights)).collect();
    Ok(HookSource::Model(ModelAsLora { label: path.display().to_string(), model: Some(model.weights), text }))
}

/// A LoRA for some conditions or text encoders only, and not for the whole run.
#[derive(Node)]
#[node(
    display_name = "Create Hook LoRA",
    category = "advanced/hooks/create",
    module = "comfy_extras.nodes_hooks",
    experimental
)]
pub struct CreateHookLora {
    /// A file of the folder `loras`.
    #[input(choices = loras)]
    lora_name: String,
    /// How strongly the diffusion model changes. May be negative.
    #[input(default = 1.0, min = -20.0, max = 20.0, step = 0.01)]
    strength_model: f64,
    /// How strongly text encoders change. May be negative.
    #[input(default = 1.0, min = -20.0, max = 20.0, step = 0.01)]
    strength_clip: f64,
    /// Hooks that act before it.
    prev_hooks: Option<Hooks>,
}

impl Execute for CreateHookLora {
    type Output = Hooks;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "loras", &["lora_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<Hooks, NodeError> {
        added(self.prev_hooks, [self.strength_model, self.strength_clip], || lora(cx, &self.lora_name))
    }
}

/// A LoRA that changes the diffusion model for some conditions only.
#[derive(Node)]
#[node(
    display_name = "Create Hook LoRA (MO)",
    category = "advanced/hooks/create",
    module = "comfy_extras.nodes_hooks",
    experimental
)]
pub struct CreateHookLoraModelOnly {
    /// A file of the folder `loras`.
    #[input(choices = loras)]
    lora_name: String,
    /// How strongly the diffusion model changes. May be negative.
    #[input(default = 1.0, min = -20.0, max = 20.0, step = 0.01)]
    strength_model: f64,
    /// Hooks that act before it.
    prev_hooks: Option<Hooks>,
}

impl Execute for CreateHookLoraModelOnly {
    type Output = Hooks;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "loras", &["lora_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<Hooks, NodeError> {
        added(self.prev_hooks, [self.strength_model, 0.0], || lora(cx, &self.lora_name))
    }
}

/// Moves the model towards another one, for some conditions or text encoders only.
#[derive(Node)]
#[node(
    display_name = "Create Hook Model as LoRA",
    category = "advanced/hooks/create",
    module = "comfy_extras.nodes_hooks",
    experimental
)]
pub struct CreateHookModelAsLora {
    /// A file of the folder `checkpoints`: the other model.
    #[input(choices = checkpoints)]
    ckpt_name: String,
    /// How far the diffusion model goes: 1 is the other model itself. May be negative.
    #[input(default = 1.0, min = -20.0, max = 20.0, step = 0.01)]
    strength_model: f64,
    /// How far text encoders go.
    #[input(default = 1.0, min = -20.0, max = 20.0, step = 0.01)]
    strength_clip: f64,
    /// Hooks that act before it.
    prev_hooks: Option<Hooks>,
}

impl Execute for CreateHookModelAsLora {
    type Output = Hooks;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "checkpoints", &["ckpt_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<Hooks, NodeError> {
        added(self.prev_hooks, [self.strength_model, self.strength_clip], || model(cx, &self.ckpt_name))
    }
}

/// Moves the diffusion model towards another one, for some conditions only.
#[derive(Node)]
#[node(
    display_name = "Create Hook Model as LoRA (MO)",
    category = "advanced/hooks/create",
    module = "comfy_extras.nodes_hooks",
    experimental
)]
pub struct CreateHookModelAsLoraModelOnly {
    /// A file of the folder `checkpoints`: the other model.
    #[input(choices = checkpoints)]
    ckpt_name: String,
    /// How far the diffusion model goes: 1 is the other model itself. May be negative.
    #[input(default = 1.0, min = -20.0, max = 20.0, step = 0.01)]
    strength_model: f64,
    /// Hooks that act before it.
    prev_hooks: Option<Hooks>,
}

impl Execute for CreateHookModelAsLoraModelOnly {
    type Output = Hooks;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "checkpoints", &["ckpt_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<Hooks, NodeError> {
        added(self.prev_hooks, [self.strength_model, 0.0], || model(cx, &self.ckpt_name))
    }
}
