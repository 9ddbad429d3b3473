//! An environment in a temporary folder with the bundled model, and ways to run graphs in it.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use kiln_exec::{
    Engine, Event, FromValue, GraphBuilder, Link, NodeSpec, Out, Prompt, Report, RunError, RunOptions, Source, Value,
    Values,
};
use kiln_nodes::files::{DirKind, Folders, Frames, load_image};
use kiln_nodes::{Environment, Image, PreviewImage};
use tempfile::TempDir;

pub struct Bench {
    pub root: TempDir,
    pub engine: Engine,
}

pub fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets")
}

impl Bench {
    pub fn new() -> Self {
        Self::with(|environment| environment).0
    }

    /// A bench in an environment that is changed first; the environment, too.
    pub fn with(change: impl FnOnce(Environment) -> Environment) -> (Self, Environment) {
        let root = tempfile::tempdir().unwrap();
        let environment = change(Environment::new(Folders::under(root.path()).with_bundled(assets())));
        (Self { engine: environment.clone().into_engine(), root }, environment)
    }

    pub fn folder(&self, dir: DirKind) -> PathBuf {
        self.root.path().join(dir.name())
    }

    /// Files in a folder, sorted.
    pub fn files(&self, dir: DirKind) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder(dir)) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    pub fn saved(&self, name: &str) -> Frames {
        load_image(&self.folder(DirKind::Output).join(name)).unwrap()
    }

    pub fn run(&self, graph: GraphBuilder) -> Result<Report, RunError> {
        self.engine.run(graph.into_prompt())
    }

    /// Runs a graph and returns what `out` carries.
    pub fn fetch<K>(&self, graph: GraphBuilder, out: &Out<K>) -> Result<Values, RunError> {
        let link = out.as_link().unwrap().clone();
        let prompt = graph.into_prompt();
        let options = RunOptions { fetch: vec![link.clone()], ..RunOptions::default() };
        let report = self.engine.start(prompt).options(options).run()?;
        Ok(report.values(&link).unwrap().clone())
    }

    /// Runs one node whose output 0 is an image, and returns that image.
    pub fn image(&self, build: impl FnOnce(&GraphBuilder) -> Out<Image>) -> Image {
        let graph = GraphBuilder::new();
        let out = build(&graph);
        graph.add(PreviewImage::node().images(&out));
        one(&self.fetch(graph, &out).unwrap())
    }

    /// Runs a prompt in ComfyUI's JSON, and returns which classes ran, in order.
    pub fn classes_run(&self, prompt: &str) -> Vec<String> {
        let prompt = Prompt::from_json(prompt).unwrap();
        let classes: Vec<(String, String)> =
            prompt.nodes.iter().map(|(id, node)| (id.to_string(), node.class_type.to_string())).collect();
        let ran = Arc::new(Mutex::new(Vec::new()));
        let log = ran.clone();
        let listener = move |event: &Event| {
            if let Event::Executing { node: Some(node), .. } = event {
                log.lock().unwrap().push(node.to_string());
            }
        };
        self.engine.start(prompt).on_event(listener).run().unwrap();
        let ran = ran.lock().unwrap().clone();
        let class = |id: &String| classes.iter().find(|(known, _)| known == id).map(|(_, class)| class.clone());
        ran.iter().map(|id| class(id).unwrap_or_else(|| id.clone())).collect()
    }
}

/// The only value on a socket as a `T`.
pub fn one<T: FromValue>(values: &Values) -> T {
    assert_eq!(values.len(), 1, "one value expected");
    T::from_value(values.at(0).unwrap().clone()).ok().unwrap()
}

pub fn values_of(values: &Values) -> Vec<Value> {
    values.iter().cloned().collect()
}

pub fn link(node: &str, socket: usize) -> Link {
    Link::new(node, socket)
}

/// Adds a node by its class, with links and literals; returns its first output.
pub fn node(g: &GraphBuilder, class: &str, links: &[(&str, &Link)], widgets: &serde_json::Value) -> Link {
    let linked =
        links.iter().fold(NodeSpec::new(class), |spec, (name, link)| spec.input(name, Source::Link((*link).clone())));
    let widgets = widgets.as_object().unwrap().iter();
    let spec = widgets.fold(linked, |spec, (name, value)| spec.input(name, Source::from(Value::from_json(value))));
    let id = g.add_spec(spec);
    Link::new(id, 0)
}

/// An output taken to be of a kind.
pub fn out<K>(link: &Link) -> Out<K> {
    Out::link(&link.node, link.socket)
}

/// What the runs of the model tests begin with: the bundled checkpoint and two prompts.
pub struct Start {
    pub model: Link,
    pub clip: Link,
    pub vae: Link,
    pub positive: Link,
    pub negative: Link,
}

impl Start {
    pub fn new(g: &GraphBuilder, checkpoint: &str) -> Self {
        let model = node(g, "CheckpointLoaderSimple", &[], &serde_json::json!({"ckpt_name": checkpoint}));
        let clip = Link::new(&model.node, 1);
        let vae = Link::new(&model.node, 2);
        let [positive, negative] = ["a red apple", "blue"]
            .map(|text| node(g, "CLIPTextEncode", &[("clip", &clip)], &serde_json::json!({"text": text})));
        Self { model, clip, vae, positive, negative }
    }

    /// Two steps at 64 x 64 pixels: the latent's values.
    pub fn sampled(&self, bench: &Bench, g: GraphBuilder) -> Vec<f32> {
        self.sampled_in(2, bench, g)
    }

    /// The same in so many steps.
    pub fn sampled_in(&self, steps: u32, bench: &Bench, g: GraphBuilder) -> Vec<f32> {
        let size = serde_json::json!({"width": 64, "height": 64, "batch_size": 1});
        let latent = node(&g, "EmptyLatentImage", &[], &size);
        let links = [
            ("model", &self.model),
            ("positive", &self.positive),
            ("negative", &self.negative),
            ("latent_image", &latent),
        ];
        let widgets = serde_json::json!({
            "seed": 4, "steps": steps, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0
        });
        let sampled = node(&g, "KSampler", &links, &widgets);
        bench.latent(g, &sampled)
    }
}

impl Bench {
    /// Runs a graph and returns the values of the latent on `link`.
    pub fn latent(&self, g: GraphBuilder, link: &Link) -> Vec<f32> {
        // Something has to be shown.
        g.add_spec(NodeSpec::new("PreviewAny").input("source", Source::from(Value::Null)));
        let options = RunOptions { fetch: vec![link.clone()], ..RunOptions::default() };
        let report = self.engine.start(g.into_prompt()).options(options).run().unwrap();
        let latent: kiln_nodes::Latent = one(report.values(link).unwrap());
        latent.tensor().into_data().try_to_vec::<f32>().unwrap()
    }

    /// A model file of a kind; its folder is made.
    pub fn model_path(&self, kind: &str, name: &str) -> PathBuf {
        let folder = self.root.path().join("models").join(kind);
        std::fs::create_dir_all(&folder).unwrap();
        folder.join(name)
    }
}

/// The largest difference, relative to the largest value.
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0f32, |most, v| most.max(v.abs()));
    a.iter().zip(b).fold(0f32, |most, (a, b)| most.max((a - b).abs())) / largest
}

/// Writes a safetensors file of f32 whose values are a function of name and shape.
pub fn write_computed(path: &Path, names: &kiln_memory::TensorShapes) {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = names
        .iter()
        .map(|(name, shape)| {
            let mut values = vec![0f32; shape.iter().product()];
            kiln_memory::hash_uniform(name, shape, &mut values);
            (name.to_owned(), shape.to_vec(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Writes a copy of the bundled checkpoint, in f32, in which `change(name)(dir, value)` has had its way with every value.
pub fn write_remade<F: Fn(usize, f32) -> f32>(path: &Path, change: impl Fn(&str) -> F) {
    let file = std::fs::read(assets().join("fluent-tiny.safetensors")).unwrap();
    let found = safetensors::SafeTensors::deserialize(&file).unwrap();
    let halves = found.tensors().into_iter().filter(|(_, view)| view.dtype() == safetensors::Dtype::F16);
    let remade: Vec<(String, Vec<usize>, Vec<u8>)> = halves
        .map(|(name, view)| {
            let value = |half: &[u8]| half::f16::from_le_bytes([half[0], half[1]]).to_f32();
            let change = change(&name);
            let values = view.data().chunks_exact(2).enumerate().map(|(dir, half)| change(dir, value(half)));
            let bytes = values.flat_map(f32::to_le_bytes).collect();
            (name, view.shape().to_vec(), bytes)
        })
        .collect();
    let views = remade.iter().map(|(name, shape, bytes)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}
