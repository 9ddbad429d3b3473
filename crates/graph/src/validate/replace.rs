//! Nodes of classes that ComfyUI has replaced since become nodes of what took their place.
//!
//! Knows one node at a time. Which class became which is `replacements`' matter.

use serde_json::Value;

use crate::def::Definitions;
use crate::inputs::Inputs;
use crate::prompt::{Prompt, PromptNode};
use crate::replacements::{self, Replacement};

/// Replaces nodes of unknown classes where something known took their place; returns whether there were some.
pub(super) fn replace(prompt: &mut Prompt, definitions: &dyn Definitions) -> bool {
    let mut replaced = false;
    for node in prompt.nodes.values_mut() {
        let known = |class: &str| definitions.get(class).is_some();
        let entry = replacements::of(&node.class_type).filter(|entry| !known(entry.old) && known(entry.new));
        if let Some(entry) = entry {
            apply(node, entry);
            replaced = true;
        }
    }
    replaced
}

fn apply(node: &mut PromptNode, entry: &Replacement) {
    node.class_type = entry.new.into();
    if entry.inputs.is_empty() {
        return;
    }
    let mut inputs = Inputs::new();
    for (name, input) in std::mem::take(&mut node.inputs) {
        if let Some(new) = entry.renamed(&name) {
            inputs.insert(new.into(), input);
        }
    }
    for (name, text) in entry.fixed() {
        inputs.insert(name.into(), Value::from(text).into());
    }
    node.inputs = inputs;
}
