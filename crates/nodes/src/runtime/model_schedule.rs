//! The model schedule: which models a prompt will run, in which order, how often each. Read off the prompt before it runs.
//!
//! Knows classes and their inputs by name; opens no file and runs nothing. What it can't know (nodes that expand, numbers
//! that other nodes compute) it leaves out or guesses: a wrong guess costs bytes, never a result.

use kiln_exec::{Link, NodeId, Prompt};
use kiln_graph::{PromptNode, View};
use kiln_memory::Schedule;
use kiln_models::{component_label, sampler::SamplerKind};

/// Steps where a prompt doesn't say how many: ComfyUI's default.
const STEPS: u64 = 20;
/// Entries that interleaved passes may take in a schedule.
const LONGEST: u32 = 4096;

/// A part of a model, and how a node names the input where it comes in.
struct Part {
    name: &'static str,
    input: &'static str,
    /// Inputs of loaders that name its file.
    files: &'static [&'static str],
}

const UNET: Part = Part { name: "unet", input: "model", files: &["ckpt_name", "unet_name"] };
const CLIP: Part = Part { name: "clip", input: "clip", files: &["ckpt_name", "clip_name", "clip_name1", "clip_name2"] };
const VAE: Part = Part { name: "vae", input: "vae", files: &["ckpt_name", "vae_name"] };
const CONTROL: Part = Part { name: "controlnet", input: "control_net", files: &["control_net_name"] };
const UPSCALER: Part = Part { name: "upscaler", input: "upscale_model", files: &["model_name"] };

/// What a node's run of models looks like.
struct ModelUse {
    node: NodeId,
    /// The models of one pass, by the names that their weights are held under.
    models: Vec<String>,
    passes: u32,
}

/// The runs of models that a prompt will make.
pub struct ModelSchedule {
    uses: Vec<ModelUse>,
}

impl ModelSchedule {
    /// Reads a prompt.
    pub fn of(prompt: &Prompt) -> Self {
        let order = View::of(prompt).order().unwrap_or_default();
        let model_use = |id: &NodeId| {
            let node = prompt.nodes.get(id)?;
            let (models, passes) = NodeView { prompt, node }.run()?;
            (!models.is_empty() && passes > 0).then(|| ModelUse { node: id.clone(), models, passes })
        };
        Self { uses: order.into_iter().filter_map(model_use).collect() }
    }

    /// The schedule of a run in which the nodes of `known` have their outputs already. The same is expected again.
    pub fn schedule(&self, known: &[NodeId]) -> Schedule {
        let mut schedule = Schedule::new();
        for model_use in self.uses.iter().filter(|model_use| !known.contains(&model_use.node)) {
            schedule = match model_use.models.as_slice() {
                [model] => schedule.then(model, model_use.passes),
                models => (0..model_use.passes.min(LONGEST))
                    .flat_map(|_| models)
                    .fold(schedule, |schedule, model| schedule.then(model, 1)),
            };
        }
        schedule.repeating()
    }
}

/// One node of a prompt, looked at.
#[derive(Clone, Copy)]
struct NodeView<'p> {
    prompt: &'p Prompt,
    node: &'p PromptNode,
}

impl<'p> NodeView<'p> {
    /// The models of one pass and the number of passes, for nodes that run models.
    fn run(self) -> Option<(Vec<String>, u32)> {
        Some(match &*self.node.class_type {
            "CLIPTextEncode" | "CLIPTextEncodeSDXL" | "CLIPTextEncodeSDXLRefiner" => (self.models(&CLIP), 1),
            "KSampler" | "KSamplerAdvanced" | "SamplerCustom" | "SamplerCustomAdvanced" => {
                (self.denoisers(), self.denoiser_passes())
            }
            "VAEDecode" => (self.models(&VAE), self.batch("samples")),
            "VAEDecodeTiled"
            | "VAEEncode"
            | "VAEEncodeTiled"
            | "VAEEncodeForInpaint"
            | "InpaintModelConditioning"
            | "InstructPixToPixConditioning" => (self.models(&VAE), 1),
            "ImageUpscaleWithModel" => (self.models(&UPSCALER), 1),
            _ => return None,
        })
    }

    /// ControlNets and the diffusion model, in the order of one evaluation.
    fn denoisers(self) -> Vec<String> {
        let mut models = Vec::new();
        let mut seen = vec![false; self.prompt.len()];
        self.controls(&mut seen, &mut models);
        let holder = self.follow("guider").unwrap_or(self);
        models.extend(holder.models(&UNET));
        models
    }

    /// ControlNets of the conditions that lead here.
    fn controls(self, seen: &mut [bool], found: &mut Vec<String>) {
        let mut pending = vec![self];
        while let Some(look) = pending.pop() {
            if look.node.class_type.starts_with("ControlNetApply") {
                found.extend(look.models(&CONTROL));
            }
            for (name, link) in look.node.links() {
                let leads = ["conditioning", "cond", "positive", "negative", "guider"];
                let Some(at) = self.prompt.nodes.get_index_of(&link.node) else { continue };
                if leads.iter().any(|lead| name.starts_with(lead)) && !std::mem::replace(&mut seen[at], true) {
                    pending.extend(look.at(link));
                }
            }
        }
    }

    fn denoiser_passes(self) -> u32 {
        let scheduler = self.trace("sigmas", "steps").unwrap_or(self);
        let all = scheduler.number("steps").unwrap_or(STEPS);
        let end = self.number("end_at_step").map_or(all, |end| end.min(all));
        let steps = end.saturating_sub(self.number("start_at_step").unwrap_or(0));
        let sampler = self.trace("sampler", "sampler_name").unwrap_or(self);
        let kind = sampler.text("sampler_name").and_then(|name| SamplerKind::named(name).ok());
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        kind.map_or(steps, |kind| kind.passes(steps))
    }

    /// How many latents or pictures come in, where an empty latent says so.
    fn batch(self, input: &str) -> u32 {
        let mut look = self.follow(input);
        for _ in 0..self.prompt.len() {
            let Some(at) = look else { break };
            if let Some(batch) = at.number("batch_size") {
                return u32::try_from(batch).unwrap_or(1).max(1);
            }
            look = at.follow("latent_image").or_else(|| at.follow("samples"));
        }
        1
    }

    /// The names that the weights of a part are held under, from the loader that the part's input leads to.
    fn models(self, part: &Part) -> Vec<String> {
        let mut look = self.follow(part.input);
        for _ in 0..self.prompt.len() {
            let Some(at) = look else { break };
            let files: Vec<&str> = part.files.iter().filter_map(|input| at.text(input)).collect();
            if !files.is_empty() {
                return files.into_iter().map(|file| component_label(part.name, file)).collect();
            }
            look = at.follow(part.input).or_else(|| at.follow(&format!("{}1", part.input)));
        }
        Vec::new()
    }

    /// The first node up the chain of `input` that has a literal `wanted`.
    fn trace(self, input: &str, wanted: &str) -> Option<Self> {
        let mut look = self.follow(input)?;
        for _ in 0..self.prompt.len() {
            if look.node.inputs.contains_key(wanted) {
                return Some(look);
            }
            look = look.follow(input)?;
        }
        None
    }

    fn follow(self, input: &str) -> Option<Self> {
        self.at(self.node.inputs.get(input)?.as_link()?)
    }

    fn at(self, link: &Link) -> Option<Self> {
        Some(Self { node: self.prompt.nodes.get(&link.node)?, ..self })
    }

    fn text(self, input: &str) -> Option<&'p str> {
        self.node.inputs.get(input)?.as_value()?.as_str()
    }

    /// A number written here, or in the primitive that is linked here.
    fn number(self, input: &str) -> Option<u64> {
        match self.node.inputs.get(input)?.as_value() {
            Some(value) => value.as_u64(),
            None => self.follow(input)?.node.inputs.get("value")?.as_value()?.as_u64(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn runs(prompt: Value, known: &[&str]) -> String {
        let known: Vec<NodeId> = known.iter().map(|id| (*id).into()).collect();
        let schedule = ModelSchedule::of(&Prompt::from_value(prompt).unwrap()).schedule(&known);
        assert!(schedule.repeats);
        schedule.runs.iter().map(|run| format!("{} {}", run.model, run.passes)).collect::<Vec<_>>().join(", ")
    }

    fn classic(sampler: Value) -> Value {
        let mut prompt = json!({
            "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd/a.safetensors"}},
            "2": {"class_type": "LoraLoader", "inputs": {"model": ["1", 0], "clip": ["1", 1], "lora_name": "b.safetensors"}},
            "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 1], "text": "x"}},
            "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 3}},
            "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}}
        });
        prompt["5"] = sampler;
        prompt
    }

    fn ksampler(sampler: &str) -> Value {
        json!({"class_type": "KSampler", "inputs": {"model": ["2", 0], "positive": ["3", 0], "negative": ["3", 0],
            "latent_image": ["4", 0], "steps": 20, "sampler_name": sampler}})
    }

    #[test]
    fn the_classic_graph_encodes_loops_and_decodes_each_picture() {
        assert_eq!(runs(classic(ksampler("euler")), &[]), "clip of a 1, unet of a 20, vae of a 3");
        assert_eq!(runs(classic(ksampler("heun")), &["3"]), "unet of a 39, vae of a 3");
    }

    #[test]
    fn an_advanced_sampler_makes_the_steps_of_its_part() {
        let sampler = json!({"class_type": "KSamplerAdvanced", "inputs": {"model": ["2", 0], "positive": ["3", 0],
            "negative": ["3", 0], "latent_image": ["4", 0], "steps": 20, "start_at_step": 5, "end_at_step": 10000,
            "sampler_name": "euler"}});
        assert_eq!(runs(classic(sampler), &["3", "6"]), "unet of a 15");
    }

    #[test]
    fn a_sampler_in_parts_has_its_steps_and_its_model_elsewhere() {
        let mut prompt = classic(json!({"class_type": "SamplerCustomAdvanced", "inputs": {"guider": ["7", 0],
            "sampler": ["8", 0], "sigmas": ["9", 1], "latent_image": ["4", 0], "noise": ["11", 0]}}));
        let parts = json!({
            "7": {"class_type": "CFGGuider", "inputs": {"model": ["2", 0], "positive": ["3", 0], "negative": ["3", 0]}},
            "8": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "dpm_2"}},
            "9": {"class_type": "SplitSigmas", "inputs": {"sigmas": ["10", 0], "step": 4}},
            "10": {"class_type": "BasicScheduler", "inputs": {"model": ["2", 0], "steps": ["12", 0]}},
            "11": {"class_type": "RandomNoise", "inputs": {}},
            "12": {"class_type": "PrimitiveInt", "inputs": {"value": 8}}
        });
        prompt.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
        assert_eq!(runs(prompt, &["3", "6"]), "unet of a 15");
    }

    #[test]
    fn a_controlnet_takes_turns_with_the_model() {
        let mut prompt = classic(ksampler("euler"));
        prompt["5"]["inputs"]["steps"] = json!(2);
        prompt["5"]["inputs"]["positive"] = json!(["7", 0]);
        prompt["7"] = json!({"class_type": "ControlNetApplyAdvanced", "inputs": {"positive": ["3", 0],
            "control_net": ["8", 0]}});
        prompt["8"] = json!({"class_type": "ControlNetLoader", "inputs": {"control_net_name": "canny.safetensors"}});
        let turns = "controlnet of canny 1, unet of a 1";
        assert_eq!(runs(prompt, &["3", "6"]), format!("{turns}, {turns}"));
    }

    #[test]
    fn what_leads_nowhere_or_in_circles_is_left_out() {
        assert_eq!(runs(json!({"1": {"class_type": "KSampler", "inputs": {"model": ["9", 0]}}}), &[]), "");
        let circle = json!({"1": {"class_type": "KSampler", "inputs": {"model": ["2", 0], "latent_image": ["1", 0]}},
                            "2": {"class_type": "LoraLoader", "inputs": {"model": ["2", 0]}}});
        assert_eq!(runs(circle, &[]), "");
    }
}
