//! The value of a widget that a subgraph shows outside: the instance's own, or that of what it shows.
//!
//! Knows instances and what they show. Knows no links but those of the definition.

use serde_json::Value;

use super::instance::Instance;
use super::widgets;
use crate::def::Definitions;

/// The value of an instance's promoted input. An instance without a value of its own starts, as on the page, from the
/// widget inside that it shows first, which may be an instance's again.
pub(super) fn value(
    instances: &[Instance<'_>],
    mut instance: usize,
    mut input: usize,
    definitions: &dyn Definitions,
) -> Option<Value> {
    loop {
        let here = &instances[instance];
        if let Some(value) = here.own.get(input)? {
            return Some(value.clone());
        }
        let shown = here.parent?.def.shows.get(input)?.as_ref()?;
        let Some(child) = here.children.get(shown.node.as_str()) else {
            return widget(here, &shown.node, &shown.widget, definitions);
        };
        input = instances[*child].parent?.def.input(&shown.widget)?;
        instance = *child;
    }
}

/// The value of a node's widget inside an instance.
fn widget(here: &Instance<'_>, node: &str, widget: &str, definitions: &dyn Definitions) -> Option<Value> {
    if let Some(value) = here.overrides.get(node).and_then(|values| values.get(widget)) {
        return Some(value.clone());
    }
    let ui = here.graph.nodes.get(node)?;
    let values = widgets::values(definitions.get(&ui.ty)?, ui);
    values.into_iter().find(|(input, _)| *input.name == *widget).map(|(_, value)| value)
}
