//! The model schedule: which models a prompt will run, in which order, how often each. Read off the prompt before it runs.
//!
//! Knows what classes declare of [resources](kiln_exec::Resources), and no class by name; opens no file and runs nothing. What
//! it can't know (nodes that expand, numbers that other nodes compute) it leaves out or guesses: a wrong guess costs bytes,
//! never a result.

use std::collections::HashSet;

use kiln_exec::{NodeId, NodeView, Prompt, Registry, Resources};
use kiln_graph::{SocketType, View};
use kiln_memory::Schedule;
use kiln_models::component_label;

/// Entries that interleaved passes may take in a schedule.
const LONGEST: u32 = 4096;

/// So many nodes at most lie between a node and the models that it uses: what is farther away is left out, so that many
/// nodes at the end of a long chain cost no more than their number.
const FARTHEST: usize = 1000;

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
    /// Reads a prompt whose classes are those of `registry`.
    pub fn of(registry: &Registry, prompt: &Prompt) -> Self {
        let reader = Reader::new(registry, prompt);
        if !prompt
            .nodes
            .values()
            .any(|node| reader.resources(&node.class_type).is_some_and(|r| r.uses().next().is_some()))
        {
            return Self { uses: Vec::new() };
        }
        let order = View::of(prompt).order().unwrap_or_default();
        Self { uses: order.iter().flat_map(|id| reader.uses_of(id)).collect() }
    }

    /// The schedule of a run in which the nodes of `known` have their outputs already. The run is expected to be repeated.
    pub fn schedule(&self, known: &[NodeId]) -> Schedule {
        let mut schedule = Schedule::new();
        let known: HashSet<&NodeId> = if self.uses.is_empty() { HashSet::new() } else { known.iter().collect() };
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

/// Follows links of a prompt from what uses models to what loads them.
struct Reader<'p> {
    registry: &'p Registry,
    prompt: &'p Prompt,
    /// Types of sockets through which something leaves a loader.
    loaded: HashSet<&'p str>,
}

impl<'p> Reader<'p> {
    fn new(registry: &'p Registry, prompt: &'p Prompt) -> Self {
        let provided = registry.classes().flat_map(|class| class.resources().provides());
        Self { registry, prompt, loaded: provided.map(|provided| &*provided.socket_type).collect() }
    }

    fn resources(&self, class_type: &str) -> Option<&'p Resources> {
        Some(self.registry.get(class_type)?.resources())
    }

    /// The models that a node runs: for each number of passes those of one pass.
    fn uses_of(&self, id: &NodeId) -> Vec<ModelUse> {
        let Some(node) = NodeView::new(self.registry, self.prompt, id) else { return Vec::new() };
        let Some(resources) = self.resources(node.class_type()) else { return Vec::new() };
        let mut inputs: Vec<(u32, Vec<&str>)> = Vec::new();
        for (input, passes) in resources.uses() {
            let passes = passes(node);
            match inputs.iter_mut().find(|(same, _)| *same == passes) {
                Some((_, inputs)) => inputs.push(input),
                None => inputs.push((passes, vec![input])),
            }
        }
        let uses = inputs.into_iter().map(|(passes, inputs)| (passes, self.models(node, &inputs)));
        let uses = uses.filter(|(passes, models)| *passes > 0 && !models.is_empty());
        uses.map(|(passes, models)| ModelUse { node: id.clone(), models, passes }).collect()
    }

    /// The models that inputs of a node lead to, in the order of one pass.
    fn models(&self, node: NodeView<'p>, inputs: &[&'p str]) -> Vec<String> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let mut pending = Vec::new();
        self.push(&mut pending, node, inputs.iter().copied());
        while let Some((node, input)) = pending.pop() {
            let (Some(source), Some(ty)) = (node.follow(input), node.input_type(input)) else { continue };
            if self.is_loaded(ty) {
                found.extend(self.components(source, ty));
            } else if let Some(resources) = self.resources(source.class_type())
                && seen.len() < FARTHEST
                && seen.insert(source.position())
            {
                // A thing made of others is used with all that went into it.
                self.push(&mut pending, source, resources.carries().chain(source.linked(ty)));
            }
        }
        found
    }

    /// Looks at these inputs next. What accompanies a model comes before it: a ControlNet's part of an evaluation goes into that
    /// of the model.
    fn push(
        &self,
        pending: &mut Vec<(NodeView<'p>, &'p str)>,
        node: NodeView<'p>,
        inputs: impl Iterator<Item = &'p str>,
    ) {
        let begin = pending.len();
        pending.extend(inputs.map(|input| (node, input)));
        // The last is looked at first.
        pending[begin..].sort_by_key(|(node, input)| !node.input_type(input).is_some_and(|ty| self.is_loaded(ty)));
    }

    fn is_loaded(&self, ty: &SocketType) -> bool {
        ty.name().is_some_and(|name| self.loaded.contains(name))
    }

    /// The names that the weights of a thing are held under, from the loaders that `node` is or leads to: one that is itself
    /// given such a thing (a hypernetwork's) adds to it. What is loaded has one source: of several inputs the first.
    fn components(&self, mut node: NodeView<'p>, ty: &'p SocketType) -> Vec<String> {
        let mut files: Vec<String> = Vec::new();
        // A circle ends as well.
        for _ in 0..FARTHEST {
            let provides = self.resources(node.class_type()).map(Resources::provides).unwrap_or_default();
            let parts = provides.iter().filter(|part| Some(&*part.socket_type) == ty.name());
            for part in parts {
                let name = node.text(&part.input).map(|file| component_label(&part.name, file));
                files.extend(name.filter(|name| !files.contains(name)));
            }
            let Some(next) = node.linked(ty).next().and_then(|input| node.follow(input)) else { break };
            node = next;
        }
        files
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn runs(prompt: Value, known: &[&str]) -> String {
        let known: Vec<NodeId> = known.iter().map(|id| (*id).into()).collect();
        let schedule =
            ModelSchedule::of(&crate::comfy::registry(), &Prompt::from_value(prompt).unwrap()).schedule(&known);
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
    fn the_classic_graph_encodes_loops_and_decodes_each_image() {
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
    fn what_a_condition_carries_is_planned_whatever_stands_between() {
        let mut prompt = classic(ksampler("euler"));
        prompt["5"]["inputs"]["steps"] = json!(1);
        prompt["5"]["inputs"]["positive"] = json!(["7", 0]);
        prompt["7"] = json!({"class_type": "ControlNetApplySD3", "inputs": {"positive": ["9", 0],
            "control_net": ["11", 0], "vae": ["12", 0]}});
        prompt["8"] = json!({"class_type": "ControlNetLoader", "inputs": {"control_net_name": "union.safetensors"}});
        prompt["11"] = json!({"class_type": "SetUnionControlNetType", "inputs": {"control_net": ["8", 0]}});
        prompt["12"] = json!({"class_type": "VAELoader", "inputs": {"vae_name": "taesd"}});
        prompt["9"] = json!({"class_type": "GLIGENTextBoxApply", "inputs": {"conditioning_to": ["3", 0],
            "clip": ["2", 1], "gligen_textbox_model": ["10", 0]}});
        prompt["10"] = json!({"class_type": "GLIGENLoader", "inputs": {"gligen_name": "boxes.safetensors"}});
        prompt["6"]["inputs"]["vae"] = json!(["12", 0]);
        let found = runs(prompt, &["3", "9"]);
        assert_eq!(found, "gligen of boxes 1, controlnet of union 1, unet of a 1, vae of taesd 3");
    }

    #[test]
    fn a_hypernetwork_comes_before_the_model_that_it_changes() {
        let mut prompt = classic(ksampler("euler"));
        prompt["5"]["inputs"]["steps"] = json!(1);
        prompt["5"]["inputs"]["model"] = json!(["8", 0]);
        for (id, model, name) in [("8", "9", "outer.pt"), ("9", "2", "inner.pt")] {
            prompt[id] = json!({"class_type": "HypernetworkLoader", "inputs": {"model": [model, 0],
                "hypernetwork_name": name}});
        }
        let found = runs(prompt, &["3", "6"]);
        assert_eq!(found, "hypernetwork of outer 1, hypernetwork of inner 1, unet of a 1");
    }

    #[test]
    fn what_leads_nowhere_or_in_circles_is_left_out() {
        assert_eq!(runs(json!({"1": {"class_type": "KSampler", "inputs": {"model": ["9", 0]}}}), &[]), "");
        let circle = json!({"1": {"class_type": "KSampler", "inputs": {"model": ["2", 0], "latent_image": ["1", 0]}},
                            "2": {"class_type": "LoraLoader", "inputs": {"model": ["2", 0]}}});
        assert_eq!(runs(circle, &[]), "");
    }
}
