//! A list of LoRAs on one node, from rgthree.

use kiln_exec::{
    ConstantInputs, Cx, Execute, Expansion, Extras, Fingerprint, Node, NodeError, Out, Outcome, RawLink, Registry,
    Source, Value,
};
use kiln_nodes::loaders::{LoraLoader, LoraLoaderModelOnly, stamps};
use kiln_nodes::payload::{Clip, Model};
use kiln_nodes::runtime::{CxExt, Environment};
use serde_json::Value as Json;

use crate::lora_name;

pub(super) fn register(registry: &mut Registry) {
    registry.add::<PowerLoraLoader>();
}

/// Changes a model and its text encoders by any number of LoRA files. Each is an input of its own,
/// `lora_1: {"on": true, "lora": "file", "strength": 1.0}`; `strengthTwo`, where it stands, is that of the text encoders.
///
/// It does nothing itself: it becomes one LoraLoader for each file, so that a change of the last strength loads only the
/// last one again.
#[derive(Node)]
#[node(
    class = "Power Lora Loader (rgthree)",
    display_name = "Power Lora Loader (rgthree)",
    category = "rgthree",
    module = "custom_nodes.rgthree-comfy",
    accept_all_inputs,
    outputs(MODEL, CLIP)
)]
struct PowerLoraLoader {
    /// The diffusion model.
    model: Option<RawLink<Model>>,
    /// Its text encoders.
    clip: Option<RawLink<Clip>>,
    rows: Extras,
}

/// One LoRA as it stands in a graph.
struct Row {
    file: String,
    strength: f64,
    /// Strength for the text encoders, where it is another one.
    strength_clip: Option<f64>,
}

impl Execute for PowerLoraLoader {
    type Output = Outcome<(Model, Clip)>;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        let environment = known.host::<Environment>()?;
        let names = environment.folders().models("loras");
        let mut files = Vec::new();
        for name in known.names() {
            let Some(row) = known.get(name).and_then(|value| Row::read(name, &value).transpose()) else { continue };
            if let Some(file) = lora_name::find(&names, &row?.file) {
                files.push(environment.folders().model("loras", file)?);
            }
        }
        stamps(&files)
    }

    fn execute(self, cx: &mut Cx) -> Result<Outcome<(Model, Clip)>, NodeError> {
        let names = cx.environment()?.folders().models("loras");
        let mut loras = Vec::new();
        for (name, values) in &self.rows.0 {
            let Some(row) = values.at(0).map(|value| Row::read(name, value)).transpose()?.flatten() else { continue };
            // As in the pack: people share graphs with lists of which they have a part.
            if let Some(file) = lora_name::find(&names, &row.file) {
                loras.push(Row { file: file.to_owned(), ..row });
            } else {
                tracing::warn!(input = %name, lora = row.file, "no such LoRA; it is left out");
            }
        }
        let model = self.model.map(|link| Out::link(&link.link().node, link.link().socket));
        let clip = self.clip.map(|link| Out::link(&link.link().node, link.link().socket));
        let graph = cx.graph();
        let (model, clip) = match model {
            Some(model) => chain(&graph, model, clip, &loras),
            None => (None, clip),
        };
        let results = vec![source(model), source(clip)];
        Ok(Outcome::Expand(Expansion::new(graph.into_prompt(), results)))
    }
}

type Ends = (Option<Out<Model>>, Option<Out<Clip>>);

/// One loader behind the other.
fn chain(graph: &kiln_exec::GraphBuilder, model: Out<Model>, clip: Option<Out<Clip>>, loras: &[Row]) -> Ends {
    let (mut model, mut clip) = (model, clip);
    for row in loras {
        let strength_clip = row.strength_clip.unwrap_or(row.strength);
        if let Some(text) = clip.take() {
            if row.strength == 0.0 && strength_clip == 0.0 {
                clip = Some(text);
                continue;
            }
            let loader = LoraLoader::node().model(&model).clip(text).lora_name(row.file.as_str());
            let (next, text) = graph.add(loader.strength_model(row.strength).strength_clip(strength_clip));
            (model, clip) = (next, Some(text));
        } else if row.strength != 0.0 {
            let loader = LoraLoaderModelOnly::node().model(&model).lora_name(row.file.as_str());
            model = graph.add(loader.strength_model(row.strength));
        }
    }
    (Some(model), clip)
}

fn source<K>(end: Option<Out<K>>) -> Source {
    end.map_or_else(|| Value::Null.into(), Out::into_source)
}

impl Row {
    /// The LoRA that an input stands for; `None` for one that is off or names no file, and for the editor's own inputs.
    fn read(name: &str, value: &Value) -> Result<Option<Self>, NodeError> {
        let Value::Json(json) = value else { return Ok(None) };
        let is_row = name.to_uppercase().starts_with("LORA_");
        let (Some(on), Some(lora), Some(strength)) = (json.get("on"), json.get("lora"), json.get("strength")) else {
            return Ok(None);
        };
        if !is_row || !Value::from_json(on).is_truthy() {
            return Ok(None);
        }
        let Some(file) = lora.as_str().filter(|file| !file.is_empty() && *file != "None") else { return Ok(None) };
        let second = json.get("strengthTwo").filter(|second| !second.is_null());
        let number = |key: &str, value: &Json| {
            value.as_f64().ok_or_else(|| NodeError::new(format!("`{name}`: `{key}` is {value}, which is no number")))
        };
        let strength_clip = second.map(|second| number("strengthTwo", second)).transpose()?;
        Ok(Some(Self { file: file.to_owned(), strength: number("strength", strength)?, strength_clip }))
    }
}
