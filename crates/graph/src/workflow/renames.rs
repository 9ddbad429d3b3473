//! What the page renames while it loads a workflow: classes that others took the place of.
//!
//! Knows nodes as they are saved. Which class became which is `replacements`' matter.

use std::borrow::Cow;

use serde_json::{Map as Object, Value};

use super::pattern;
use super::ui::{Graph, UiNode, WidgetValues, Workflow};
use crate::def::Definitions;
use crate::replacements::{self, Replacement};

/// The workflow with the names of today, where the old ones are not known.
pub(super) fn renamed<'w>(workflow: &'w Workflow, definitions: &dyn Definitions) -> Cow<'w, Workflow> {
    let known = |class: &str| definitions.get(class).is_some();
    let entry = |node: &UiNode| replacements::of(&node.ty).filter(|entry| !known(entry.old) && known(entry.new));
    let has_some = |graph: &Graph| graph.nodes.values().any(|node| entry(node).is_some());
    let mut graphs = std::iter::once(&workflow.root).chain(workflow.subgraphs.values().map(|subgraph| &subgraph.graph));
    if !graphs.any(has_some) {
        return Cow::Borrowed(workflow);
    }
    let mut workflow = workflow.clone();
    let inner = workflow.subgraphs.values_mut().map(|subgraph| &mut subgraph.graph);
    for node in std::iter::once(&mut workflow.root).chain(inner).flat_map(|graph| graph.nodes.values_mut()) {
        if let Some(entry) = entry(node) {
            rename(node, entry);
        }
    }
    Cow::Owned(workflow)
}

/// The settings by which the plain integer that a `Seed Everywhere` becomes goes on to be sent.
fn send_seed(node: &mut UiNode) {
    node.properties.insert("ue_convert".to_owned(), true.into());
    let settings = node.properties.entry("ue_properties").or_insert_with(|| Object::new().into());
    if let Some(settings) = settings.as_object_mut() {
        settings.entry("input_regex").or_insert_with(|| pattern::SEED.into());
    }
    if node.outputs.is_empty() {
        node.outputs.push("INT".to_owned());
    }
}

fn rename(node: &mut UiNode, entry: &Replacement) {
    if entry.old == "Seed Everywhere" {
        send_seed(node);
    }
    entry.new.clone_into(&mut node.ty);
    if entry.inputs.is_empty() {
        return;
    }
    for input in &mut node.inputs {
        let widget = input.widget.as_deref().and_then(|widget| entry.renamed(widget)).map(str::to_owned);
        if let Some(name) = entry.renamed(&input.name) {
            name.to_owned().clone_into(&mut input.name);
        }
        input.widget = widget;
    }
    let mut named = Object::new();
    match std::mem::take(&mut node.values) {
        WidgetValues::List(list) => {
            let values = entry.widgets.iter().zip(list);
            named.extend(values.filter_map(|(old, value)| Some((entry.renamed(old)?.to_owned(), value))));
        }
        WidgetValues::Named(old) => {
            named.extend(old.into_iter().filter_map(|(old, value)| Some((entry.renamed(&old)?.to_owned(), value))));
        }
        WidgetValues::None => {}
    }
    named.extend(entry.fixed().map(|(name, text)| (name.to_owned(), Value::from(text))));
    node.values = WidgetValues::Named(named);
}
