//! Classes: what every node of a prompt is an instance of.
//!
//! Each name is looked up once, however many nodes have it. Knows names and definitions, nothing of inputs.

use std::sync::Arc;

use serde_json::json;

use super::error::{ErrorKind, MOST_REPORTED, ValidationError};
use crate::def::{Definitions, NodeDef};
use crate::map::Map;
use crate::missing::{MissingClass, MissingClasses};
use crate::prompt::Prompt;

/// So many classes are compared by the address of their names before a name is hashed.
const RECENT: usize = 4;

/// The classes of a prompt's nodes.
pub(super) struct Classes<'d> {
    /// The definition of every node, by its place in the prompt.
    pub(super) defs: Vec<&'d NodeDef>,
    /// Its class, as a position in `names`.
    pub(super) numbers: Vec<u32>,
    /// The classes that occur.
    pub(super) names: Vec<Arc<str>>,
}

pub(super) fn look_up<'d>(prompt: &Prompt, definitions: &'d dyn Definitions) -> Result<Classes<'d>, ValidationError> {
    let mut known: Map<Arc<str>, &NodeDef> = Map::default();
    let (mut defs, mut numbers) = (Vec::with_capacity(prompt.len()), Vec::with_capacity(prompt.len()));
    for node in prompt.nodes.values() {
        // A prompt read from JSON has each name mostly once, so a few classes are distinguished by where it is.
        let is_it = |at: &usize| known.get_index(*at).is_some_and(|(name, _)| Arc::ptr_eq(name, &node.class_type));
        let at = if let Some(at) = (0..RECENT).find(is_it).or_else(|| known.get_index_of(&node.class_type)) {
            at
        } else {
            let Some(def) = definitions.get(&node.class_type) else { return Err(missing(prompt, definitions)) };
            known.insert_full(Arc::clone(&node.class_type), def).0
        };
        defs.push(known[at]);
        numbers.push(at as u32);
    }
    Ok(Classes { defs, numbers, names: known.into_keys().collect() })
}

/// All classes that are missing: ComfyUI's error about the first node of them, and a sentence about all.
fn missing(prompt: &Prompt, definitions: &dyn Definitions) -> ValidationError {
    let mut missing = MissingClasses::of_prompt();
    let mut first = None;
    for (id, node) in &prompt.nodes {
        if definitions.get(&node.class_type).is_none() {
            first = first.or(Some((id, node)));
            missing.add(&node.class_type, id.to_string(), node.origin().as_deref(), definitions);
        }
    }
    let error = ValidationError::new(ErrorKind::MissingNodeType).plain(missing.to_string());
    let Some((id, node)) = first else { return error };
    let class = Some(&node.class_type).filter(|class| !class.is_empty());
    let title = node.title().or(class.map(|class| &**class)).map_or_else(|| format!("ID #{id}"), str::to_owned);
    let error = error
        .message(format!("Node '{title}' not found. The custom node may not be installed."))
        .details(format!("Node ID '#{id}'"))
        .info("node_id", json!(id))
        .info("class_type", json!(class))
        .info("node_title", json!(title));
    let entry =
        |class: &MissingClass| json!({"class_type": class.class_type, "nodes": class.nodes, "pack": class.pack});
    match missing.iter().map(|class| class.nodes.len()).sum() {
        0..=1_usize => error,
        _ => error.info("missing_classes", missing.iter().take(MOST_REPORTED).map(entry).collect()),
    }
}
