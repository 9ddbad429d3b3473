//! Files that a prompt names: models by the choices of their inputs, images by their names.
//!
//! Knows definitions and folders, and no class by name.

use std::collections::HashSet;
use std::path::PathBuf;

use kiln_graph::{InputDef, NodeDefs, NodeId, Prompt};
use kiln_nodes::files::{DirKind, Folders};

/// A file, and where a prompt names it.
pub(crate) struct NamedFile {
    pub node: NodeId,
    pub input: String,
    pub name: String,
    pub path: PathBuf,
    /// Whether it is a model; else it is something to read, as an image.
    pub is_model: bool,
}

/// Every file that the prompt names and that is there.
pub(crate) fn named_files(prompt: &Prompt, definitions: &NodeDefs, folders: &Folders) -> Vec<NamedFile> {
    let models = |kind: String| {
        let names = folders.models(&kind).into_iter().collect();
        (kind, names)
    };
    let shelves: Vec<(String, HashSet<String>)> = folders.kinds().map(models).collect();
    let mut found = Vec::new();
    for (id, node) in &prompt.nodes {
        let Some(def) = definitions.get(&node.class_type) else { continue };
        for (input, value) in &node.inputs {
            let name = value.as_value().and_then(serde_json::Value::as_str);
            let (Some(name), Some(declared)) = (name, def.find_input(input)) else { continue };
            let model = kind_of(declared, name, &shelves).and_then(|kind| folders.model(kind, name).ok());
            let is_model = model.is_some();
            let image = || declared.choices().and_then(|_| folders.image(name, DirKind::Input).ok());
            let Some(path) = model.or_else(image) else { continue };
            found.push(NamedFile { node: id.clone(), input: input.to_string(), name: name.to_owned(), path, is_model });
        }
    }
    found
}

/// The kind of model that an input chooses among: the largest of those whose files are all among its choices.
fn kind_of<'s>(input: &InputDef, name: &str, shelves: &'s [(String, HashSet<String>)]) -> Option<&'s str> {
    let choices: HashSet<&str> = input.choices()?.iter().filter_map(serde_json::Value::as_str).collect();
    let holds = |(_, names): &&(String, HashSet<String>)| {
        names.contains(name) && names.iter().all(|name| choices.contains(name.as_str()))
    };
    shelves.iter().filter(holds).max_by_key(|(_, names)| names.len()).map(|(kind, _)| kind.as_str())
}
