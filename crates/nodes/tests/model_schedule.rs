//! The memory plan knows no class by name: a sampler and a loader that this crate has never heard of are planned for.
#![allow(missing_docs, clippy::unwrap_used)]

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Node, NodeError, NodeView, Prompt, Registry, object};
use kiln_nodes::runtime::ModelSchedule;
use kiln_nodes::{Conditioning, Latent, Model};
use serde_json::{Value, json};

/// A payload of somebody's own.
#[derive(Clone)]
struct Denoiser;
object!(Denoiser, "DENOISER");

/// Opens a file with a denoiser and an autoencoder.
#[derive(Node)]
struct OpenDenoiser {
    /// The file.
    #[input(provides(DENOISER = "denoiser", MODEL = "unet"))]
    file: String,
}
impl Execute for OpenDenoiser {
    type Output = Denoiser;
    fn fingerprint(_: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        Ok(Fingerprint::Stable)
    }
    fn execute(self, _: &mut Cx) -> Result<Denoiser, NodeError> {
        Err(NodeError::new(format!("nothing is opened: {}", self.file)))
    }
}

/// Changes a denoiser.
#[derive(Node)]
struct Sharpen {
    /// What is changed, under a name of its own.
    base: Denoiser,
}
impl Execute for Sharpen {
    type Output = Denoiser;
    fn execute(self, _: &mut Cx) -> Result<Denoiser, NodeError> {
        Ok(self.base)
    }
}

/// Denoises in rounds of five passes.
#[derive(Node)]
struct RoundSampler {
    /// What denoises.
    #[input(uses = passes)]
    denoiser: Denoiser,
    /// What the image shows.
    #[input(uses = passes)]
    cond: Conditioning,
    /// How many rounds.
    rounds: u32,
}
fn passes(node: NodeView<'_>) -> u32 {
    node.number("rounds").map_or(1, |rounds| rounds as u32 * 5)
}
impl Execute for RoundSampler {
    type Output = Latent;
    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        drop((self.denoiser, self.cond));
        Err(NodeError::new(format!("nothing is run: {}", self.rounds)))
    }
}

/// Looks at a model of this crate once.
#[derive(Node)]
struct Inspect {
    /// What is looked at.
    #[input(uses)]
    model: Model,
}
impl Execute for Inspect {
    type Output = Model;
    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        Ok(self.model)
    }
}

fn registry() -> Registry {
    kiln_nodes::registry().with::<OpenDenoiser>().with::<Sharpen>().with::<RoundSampler>().with::<Inspect>()
}

fn runs(prompt: Value) -> String {
    let schedule = ModelSchedule::of(&registry(), &Prompt::from_value(prompt).unwrap()).schedule(&[]);
    schedule.runs.iter().map(|run| format!("{} {}", run.model, run.passes)).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_sampler_and_a_loader_of_ones_own_have_their_plan() {
    let prompt = json!({
        "1": {"class_type": "OpenDenoiser", "inputs": {"file": "deep/net.safetensors"}},
        "2": {"class_type": "Sharpen", "inputs": {"base": ["1", 0]}},
        "3": {"class_type": "RoundSampler", "inputs": {"denoiser": ["2", 0], "rounds": 3}}
    });
    assert_eq!(runs(prompt), "denoiser of net 15");
}

#[test]
fn what_conditions_carry_runs_in_the_passes_of_such_a_sampler() {
    let prompt = json!({
        "1": {"class_type": "OpenDenoiser", "inputs": {"file": "net.safetensors"}},
        "2": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd/a.safetensors"}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 1], "text": "x"}},
        "4": {"class_type": "ControlNetLoader", "inputs": {"control_net_name": "canny.safetensors"}},
        "5": {"class_type": "ControlNetApply", "inputs": {"conditioning": ["3", 0], "control_net": ["4", 0]}},
        "6": {"class_type": "RoundSampler", "inputs": {"denoiser": ["1", 0], "cond": ["5", 0], "rounds": 1}}
    });
    let pass = "controlnet of canny 1, denoiser of net 1";
    assert_eq!(runs(prompt), format!("clip of a 1, {}", [pass; 5].join(", ")));
}

#[test]
fn a_loader_of_ones_own_serves_nodes_of_this_crate_and_the_other_way_round() {
    let prompt = json!({
        "1": {"class_type": "OpenDenoiser", "inputs": {"file": "net.safetensors"}},
        "2": {"class_type": "KSampler", "inputs": {"model": ["1", 1], "steps": 7, "sampler_name": "euler"}},
        "3": {"class_type": "UNETLoader", "inputs": {"unet_name": "b.safetensors"}},
        "4": {"class_type": "ModelMergeSimple", "inputs": {"model1": ["3", 0], "model2": ["1", 1]}},
        "5": {"class_type": "Inspect", "inputs": {"model": ["4", 0]}}
    });
    assert_eq!(runs(prompt), "unet of net 7, unet of b 1");
}

#[test]
fn a_model_in_a_folder_is_planned_under_its_folders_name() {
    let prompt = json!({
        "1": {"class_type": "DiffusersLoader", "inputs": {"model_path": "sets/tiny"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "x"}},
        "3": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "positive": ["2", 0], "negative": ["2", 0],
            "steps": 7, "sampler_name": "euler", "latent_image": ["4", 0]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 2}},
        "5": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["1", 2]}}
    });
    assert_eq!(runs(prompt), "clip of tiny 1, unet of tiny 7, vae of tiny 2");
}
