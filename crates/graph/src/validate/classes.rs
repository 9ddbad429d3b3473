//! Classes: what every node of a prompt is an instance of.
//!
//! Each name is looked up once, however many nodes have it. Knows names and definitions, nothing of inputs.

use std::sync::Arc;

use serde_json::json;

use super::error::{ErrorKind, ValidationError};
use crate::def::{Definitions, NodeDef};
use crate::id::NodeId;
use crate::map::Map;
use crate::prompt::{Prompt, PromptNode};
use crate::suggest;

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
    for (id, node) in &prompt.nodes {
        // A prompt read from JSON has each name mostly once, so a few classes are distinguished by where it is.
        let is_it = |at: &usize| known.get_index(*at).is_some_and(|(name, _)| Arc::ptr_eq(name, &node.class_type));
        let at = if let Some(at) = (0..RECENT).find(is_it).or_else(|| known.get_index_of(&node.class_type)) {
            at
        } else {
            let def = definitions.get(&node.class_type).ok_or_else(|| unknown_class(id, node, definitions))?;
            known.insert_full(Arc::clone(&node.class_type), def).0
        };
        defs.push(known[at]);
        numbers.push(at as u32);
    }
    Ok(Classes { defs, numbers, names: known.into_keys().collect() })
}

fn unknown_class(id: &NodeId, node: &PromptNode, definitions: &dyn Definitions) -> ValidationError {
    let class = Some(&node.class_type).filter(|class| !class.is_empty());
    let title = node.title().or(class.map(|class| &**class)).map_or_else(|| format!("ID #{id}"), str::to_owned);
    let known = definitions.class_types();
    let plain = match class {
        None => format!("node \"{id}\" has no class_type; name the class that it is of"),
        Some(class) => match suggest::nearest(class, known.iter().map(|class| &**class)) {
            Some(nearest) => format!("node \"{id}\": there is no node class `{class}`; did you mean `{nearest}`?"),
            None => format!("node \"{id}\": there is no node class `{class}`; install the pack that brings it"),
        },
    };
    ValidationError::new(ErrorKind::MissingNodeType)
        .message(format!("Node '{title}' not found. The custom node may not be installed."))
        .details(format!("Node ID '#{id}'"))
        .info("node_id", json!(id))
        .info("class_type", json!(class))
        .info("node_title", json!(title))
        .plain(plain)
}
