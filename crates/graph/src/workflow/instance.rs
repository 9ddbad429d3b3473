//! One use of a graph: where it stands, and which values it has of its own.
//!
//! Knows nothing of how instances come about: see `unfold`.

use serde_json::Value;

use super::ui::{Graph, Subgraph, UiNode};
use crate::map::Map;

/// Values for widgets of inner nodes, by node id and then by widget name.
pub(super) type Overrides = Map<String, Map<String, Value>>;

/// One use of a graph: the root, or a definition inside a node.
pub(super) struct Instance<'w> {
    pub(super) graph: &'w Graph,
    /// The ids of the nodes around, each with a colon: `12:7:`.
    pub(super) prefix: String,
    pub(super) parent: Option<Parent<'w>>,
    /// Instances inside, by the id of the node that holds them.
    pub(super) children: Map<&'w str, usize>,
    /// The value of each promoted input, where the instance has one.
    pub(super) own: Vec<Option<Value>>,
    /// Values that replace stored ones.
    pub(super) overrides: Overrides,
    /// Values for widgets of nodes further in, by the id of the node here that holds their instance.
    pub(super) deep: Map<String, Vec<Deep>>,
    /// How many instances stand around it.
    pub(super) depth: usize,
}

/// A value for a widget inside of an instance inside.
pub(super) struct Deep {
    /// The node that has the widget.
    pub(super) source: String,
    pub(super) widget: String,
    pub(super) value: Value,
}

/// Where an instance stands.
#[derive(Clone, Copy)]
pub(super) struct Parent<'w> {
    pub(super) instance: usize,
    pub(super) id: &'w str,
    pub(super) node: &'w UiNode,
    pub(super) def: &'w Subgraph,
}
