//! `proxyWidgets`: the list by which an instance of mid-2025 to early 2026 says which widgets inside it shows. Each of its
//! stored values belongs to the widget that the list names in its place.
//!
//! Knows one instance and its definition. Knows no links but those of primitives.

use std::borrow::Cow;

use serde_json::Value;

use super::instance::{Deep, Instance};
use super::json;
use super::primitives;
use super::ui::{Shown, Subgraph, UiNode, WidgetValues};

/// The instance itself, among the nodes that entries name.
const SELF: &str = "-1";

/// Takes the stored values of an instance that has such a list; returns whether it has.
pub(super) fn take(child: &mut Instance<'_>, node: &UiNode, def: &Subgraph) -> bool {
    let list = match node.properties.get("proxyWidgets") {
        // Some versions write the list as text.
        Some(Value::String(text)) => serde_json::from_str(text).map(Cow::Owned).unwrap_or_default(),
        Some(list) => Cow::Borrowed(list),
        None => return false,
    };
    let Some(entries) = list.as_array().filter(|entries| !entries.is_empty()) else { return false };
    if let WidgetValues::List(values) = &node.values {
        for (entry, value) in entries.iter().zip(values).filter(|(_, value)| !value.is_null()) {
            if let (Some(of), Some(name)) = (json::id(entry.get(0)), entry.get(1).and_then(Value::as_str)) {
                set(child, def, &Entry::of(of, name, json::id(entry.get(2))), value);
            }
        }
    }
    true
}

/// A widget that an entry names.
struct Entry<'e> {
    /// The node inside; for a widget of an instance inside, that instance.
    node: String,
    widget: &'e str,
    /// The node that really has the widget, for an instance inside.
    source: Option<String>,
}

impl<'e> Entry<'e> {
    /// Older names carry the id of the node before a colon, those of deeper widgets several.
    fn of(node: String, name: &'e str, source: Option<String>) -> Self {
        let (mut widget, mut source) = (name, source);
        while let Some((id, rest)) = widget.split_once(':')
            && !id.trim().is_empty()
            && id.trim().bytes().all(|byte| byte.is_ascii_digit())
        {
            widget = rest.trim_start();
            source = Some(id.trim().to_owned());
        }
        Self { node, widget, source }
    }
}

fn set(child: &mut Instance<'_>, def: &Subgraph, entry: &Entry<'_>, value: &Value) {
    let Entry { node, widget, source } = entry;
    // Those with `$$` are previews.
    if widget.starts_with("$$") {
        return;
    }
    let shows = |shown: &Option<Shown>| shown.as_ref().is_some_and(|s| s.node == *node && s.widget == *widget);
    let input = match node.as_str() {
        SELF => def.input(widget),
        _ if source.is_none() => def.shows.iter().position(shows),
        _ => None,
    };
    if let Some(input) = input {
        child.own[input] = Some(value.clone());
    } else if def.graph.nodes.get(node).is_some_and(|inner| inner.ty == "PrimitiveNode") {
        primitives::set(&def.graph, node, value, &mut child.overrides);
    } else if node != SELF {
        match source.as_ref().filter(|source| *source != node) {
            Some(source) => child.deep.entry(node.clone()).or_default().push(Deep {
                source: source.clone(),
                widget: (*widget).to_owned(),
                value: value.clone(),
            }),
            None => drop(child.overrides.entry(node.clone()).or_default().insert((*widget).to_owned(), value.clone())),
        }
    }
}
