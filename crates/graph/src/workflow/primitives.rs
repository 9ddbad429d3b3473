//! Primitive nodes: a value that stands apart and is copied into the widgets that it is linked to.

use serde_json::Value;

use super::instance::Overrides;
use super::ui::{Graph, UiLink, UiNode, WidgetValues};

/// The property that asks for `%...%` in the value to be replaced.
const REPLACE: &str = "Run widget replace on values";

/// The value of every widget that a primitive sets, by node and widget.
pub(super) fn overrides(graph: &Graph) -> Overrides {
    let mut overrides = Overrides::default();
    for link in graph.links.values() {
        let Some(source) = graph.nodes.get(&link.from).filter(|node| node.ty == "PrimitiveNode") else { continue };
        if let WidgetValues::List(values) = &source.values
            && let Some(value) = values.first()
        {
            copy(graph, link, value, &mut overrides);
        }
    }
    overrides
}

/// Copies a value that is not the primitive's own into the widgets that it is linked to.
pub(super) fn set(graph: &Graph, primitive: &str, value: &Value, overrides: &mut Overrides) {
    for link in graph.links.values().filter(|link| link.from == primitive) {
        copy(graph, link, value, overrides);
    }
}

fn copy(graph: &Graph, link: &UiLink, value: &Value, overrides: &mut Overrides) {
    if let Some(input) = graph.nodes.get(&link.to).and_then(|target| target.input_at(link.to_slot)) {
        let widget = input.widget.as_deref().unwrap_or(&input.name);
        overrides.entry(link.to.clone()).or_default().insert(widget.to_owned(), value.clone());
    }
}

/// Whether a primitive that sets this widget asks for replacement.
pub(super) fn replaces(graph: &Graph, node: &UiNode, widget: &str) -> bool {
    let named = |input: &&super::ui::UiInput| input.widget.as_deref().unwrap_or(&input.name) == widget;
    let link = node.inputs.iter().find(named).and_then(|input| graph.links.get(input.link.as_ref()?));
    let source = link.and_then(|link| graph.nodes.get(&link.from)).filter(|source| source.ty == "PrimitiveNode");
    source.and_then(|source| source.properties.get(REPLACE)).and_then(Value::as_bool).unwrap_or_default()
}
