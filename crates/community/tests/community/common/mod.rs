//! An engine with the nodes of other packs beside ComfyUI's, in a temporary folder with the bundled model.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use kiln_exec::{Cx, Engine, Execute, FromValue, Link, Node, NodeError, Prompt, Report, RunError, RunOptions, Value};
use kiln_nodes::files::Folders;
use kiln_nodes::runtime::CxExt;
use kiln_nodes::{Environment, Image, Mask, Session};
use safetensors::SafeTensors;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

pub struct Bench {
    pub root: TempDir,
    pub engine: Engine,
}

pub fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets")
}

pub const MODEL: &str = "fluent-tiny.safetensors";

impl Bench {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let environment = Environment::new(Folders::under(root.path()).with_bundled(assets()));
        let mut registry = kiln_nodes::registry();
        kiln_community::register(&mut registry);
        registry.add::<Pictures>();
        let engine = Session::builder(environment, registry).build().into_engine();
        Self { root, engine }
    }

    /// Runs nodes of ComfyUI's JSON, and what is asked for of their outputs with them.
    pub fn run(&self, nodes: &Json, fetch: &[(&str, usize)]) -> Result<Report, RunError> {
        let fetch = fetch.iter().map(|(node, socket)| Link::new(*node, *socket)).collect();
        let options = RunOptions { fetch, ..RunOptions::default() };
        self.engine.start(Prompt::from_value(nodes.clone()).unwrap()).options(options).run()
    }

    /// The value on output `socket` of node `1`.
    pub fn output(&self, nodes: &Json, socket: usize) -> Value {
        let report = self.run(&shown(nodes, socket), &[("1", socket)]).unwrap();
        report.values(&Link::new("1", socket)).unwrap().at(0).unwrap().clone()
    }

    /// Output `socket` of a node with these inputs, as plain value.
    pub fn plain(&self, class: &str, inputs: &Json, socket: usize) -> Json {
        self.output(&json!({"1": {"class_type": class, "inputs": inputs}}), socket).to_json().unwrap()
    }

    /// What a node with these inputs complains of.
    pub fn refused(&self, nodes: &Json) -> String {
        let error = self.run(&shown(nodes, 0), &[]).unwrap_err();
        format!("{error} {error:?}")
    }

    /// What a run of these nodes complains of.
    pub fn refused_as_it_is(&self, nodes: &Json) -> String {
        let error = self.run(nodes, &[]).unwrap_err();
        format!("{error} {error:?}")
    }

    /// What ImageResizeKJv2 makes of [`Pictures`].
    pub fn resized(&self, inputs: &Json, mask: bool) -> Result<(Image, i64, i64, Mask), String> {
        let mut inputs = inputs.clone();
        inputs["image"] = json!(["pictures", 0]);
        if mask {
            inputs["mask"] = json!(["pictures", 1]);
        }
        let nodes = json!({"pictures": {"class_type": "Pictures", "inputs": {"count": 2}},
            "1": {"class_type": "ImageResizeKJv2", "inputs": inputs}});
        let fetch = [("1", 0), ("1", 1), ("1", 2), ("1", 3)];
        let report = self.run(&shown(&nodes, 0), &fetch).map_err(|error| format!("{error} {error:?}"))?;
        let value = |socket: usize| report.values(&Link::new("1", socket)).unwrap().at(0).unwrap().clone();
        Ok((of(value(0)), of(value(1)), of(value(2)), of(value(3))))
    }

    pub fn write(&self, kind: &str, name: &str, bytes: &[u8]) {
        let file = self.root.path().join("models").join(kind).join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}

/// Images of 6x4 pixels and masks, of the values that the references were computed from.
#[derive(Node)]
struct Pictures {
    count: usize,
}

impl Execute for Pictures {
    type Output = (Image, Mask);

    fn execute(self, cx: &mut Cx) -> Result<(Image, Mask), NodeError> {
        let environment = cx.environment()?;
        let values = |count: usize, step: usize, prime: usize, scale: f32| -> Vec<f32> {
            (0..count).map(|i| (i * step % prime) as f32 / scale).collect()
        };
        let image = values(self.count * 4 * 6 * 3, 37, 101, 100.0);
        let mask = values(self.count * 4 * 6, 53, 97, 96.0);
        Ok((
            Image::from_values(image, [self.count, 4, 6, 3], environment.device())?,
            Mask::from_values(mask, [self.count, 4, 6], environment.device())?,
        ))
    }
}

/// Those nodes, and one that shows what comes out of node `1`.
pub fn shown(nodes: &Json, socket: usize) -> Json {
    let mut nodes = nodes.clone();
    nodes["shown"] = json!({"class_type": "PreviewAny", "inputs": {"source": ["1", socket]}});
    nodes
}

pub fn of<T: FromValue>(value: Value) -> T {
    T::from_value(value).expect("a value of that type")
}

/// A LoRA of rank 1 for some weights of the bundled model: `value` at every place.
pub fn lora(keys: &[&str], value: f32) -> Vec<u8> {
    let (up, down) = ([value; 64], [1f32; 64]);
    let [up, down] = [up, down].map(|values| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
    let view = |shape: [usize; 2], bytes| {
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), bytes).unwrap()
    };
    let views = keys.iter().flat_map(|key| {
        [
            (format!("{key}.lora_up.weight"), view([64, 1], &up)),
            (format!("{key}.lora_down.weight"), view([1, 64], &down)),
        ]
    });
    safetensors::serialize(views, None).unwrap()
}

pub const UNET_KEY: &str = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";
pub const TEXT_KEY: &str = "lora_te_text_model_encoder_layers_0_self_attn_q_proj";

/// The tensors of the bundled checkpoint behind `prefix`, as a GGUF file of f16.
pub fn gguf(prefix: &str) -> Vec<u8> {
    let bytes = std::fs::read(assets().join(MODEL)).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: Vec<_> = all
        .tensors()
        .into_iter()
        .filter_map(|(name, view)| Some((name.strip_prefix(prefix)?.to_owned(), view)))
        .collect();
    let mut file = b"GGUF".to_vec();
    file.extend(3_u32.to_le_bytes());
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    let mut at = 0_u64;
    for (name, view) in &tensors {
        file.extend((name.len() as u64).to_le_bytes());
        file.extend(name.as_bytes());
        file.extend((view.shape().len() as u32).to_le_bytes());
        view.shape().iter().rev().for_each(|side| file.extend((*side as u64).to_le_bytes()));
        file.extend(1_u32.to_le_bytes());
        file.extend(at.to_le_bytes());
        at = (at + view.data().len() as u64).next_multiple_of(32);
    }
    for (_, view) in &tensors {
        file.resize(file.len().next_multiple_of(32), 0);
        file.extend(view.data());
    }
    file
}
