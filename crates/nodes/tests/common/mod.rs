//! A studio in a temporary folder with the bundled model, and ways to run graphs in it.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use kiln_exec::{
    Draft, Engine, Event, FromValue, GraphBuilder, Link, Out, Prompt, Reply, Report, RunError, RunOptions, Value,
    Values,
};
use kiln_nodes::files::{Folders, Frames, Place, load_image};
use kiln_nodes::{Image, PreviewImage, Studio};
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
        Self::with(|studio| studio).0
    }

    /// A bench in a studio that is changed first; the studio, too.
    pub fn with(change: impl FnOnce(Studio) -> Studio) -> (Self, Studio) {
        let root = tempfile::tempdir().unwrap();
        let studio = change(Studio::new(Folders::under(root.path()).with_bundled(assets())));
        (Self { engine: studio.clone().into_engine(), root }, studio)
    }

    pub fn folder(&self, place: Place) -> PathBuf {
        self.root.path().join(place.name())
    }

    /// Files in a folder, sorted.
    pub fn files(&self, place: Place) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder(place)) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    pub fn saved(&self, name: &str) -> Frames {
        load_image(&self.folder(Place::Output).join(name)).unwrap()
    }

    pub fn run(&self, graph: GraphBuilder) -> Result<Report, RunError> {
        self.engine.run(graph.into_prompt())
    }

    /// Runs a graph and answers what `out` carries.
    pub fn fetch<K>(&self, graph: GraphBuilder, out: &Out<K>) -> Result<Values, RunError> {
        let link = out.as_link().unwrap().clone();
        let prompt = graph.into_prompt();
        let options = RunOptions { fetch: vec![link.clone()], ..RunOptions::default() };
        let report = self.engine.start(prompt).options(options).run()?;
        Ok(report.values(&link).unwrap().clone())
    }

    /// Runs one node whose output 0 is a picture, and answers that picture.
    pub fn picture(&self, build: impl FnOnce(&GraphBuilder) -> Out<Image>) -> Image {
        let graph = GraphBuilder::new();
        let out = build(&graph);
        graph.add(PreviewImage::node().images(&out));
        one(&self.fetch(graph, &out).unwrap())
    }

    /// Runs a prompt in ComfyUI's JSON, and answers which classes ran, in order.
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

/// Adds a node by its class, with links and literals; answers its first output.
pub fn node(g: &GraphBuilder, class: &str, links: &[(&str, &Link)], widgets: &serde_json::Value) -> Link {
    let draft =
        links.iter().fold(Draft::new(class), |draft, (name, link)| draft.input(name, Reply::Link((*link).clone())));
    let widgets = widgets.as_object().unwrap().iter();
    Link::new(
        &g.add_draft(
            widgets.fold(draft, |draft, (name, value)| draft.input(name, Reply::from(Value::from_json(value)))),
        ),
        0,
    )
}

/// An output taken to be of a kind.
pub fn out<K>(link: &Link) -> Out<K> {
    Out::link(&link.node, link.socket)
}
