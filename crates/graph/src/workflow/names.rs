//! Links by name: what a Set node takes in, and which of them a Get node means.
//!
//! Knows instances and names. Where the link leads that a Set node has is `resolve`'s matter.

use serde_json::Value;

use super::instance::Instance;
use super::ui::{UiNode, WidgetValues};
use super::virtuals::{self, Names, Virtual};
use crate::map::Map;

/// The Set nodes of every instance.
pub(super) struct Setters<'w> {
    by_name: Vec<ByName<'w>>,
}

/// By pack and name: the first node in the file's order, and how many there are.
type ByName<'w> = Map<(Names, &'w str), (&'w UiNode, usize)>;

impl<'w> Setters<'w> {
    pub(super) fn of(instances: &[Instance<'w>]) -> Self {
        let setters = |instance: &Instance<'w>| {
            let mut setters = ByName::<'w>::default();
            for node in instance.graph.nodes.values() {
                if let (Some(Virtual::Set(names)), Some(name)) = (virtuals::of(&node.ty), name(node)) {
                    setters.entry((names, name)).or_insert((node, 0)).1 += 1;
                }
            }
            setters
        };
        Self { by_name: instances.iter().map(setters).collect() }
    }

    /// The Set node that a Get node of an instance means, and the instance that it stands in: one of the same level,
    /// else the only one around.
    pub(super) fn find(
        &self,
        instances: &[Instance<'w>],
        instance: usize,
        names: Names,
        getter: &UiNode,
    ) -> Option<(usize, &'w UiNode)> {
        let wanted = name(getter)?;
        let at = |level: usize| self.by_name[level].get(&(names, wanted)).map(|(node, count)| (level, *node, *count));
        if let Some((level, node, _)) = at(instance) {
            return Some((level, node));
        }
        let up = |level: &usize| instances[*level].parent.map(|parent| parent.instance);
        let mut around = std::iter::successors(up(&instance), up).filter_map(at);
        let (level, node, count) = around.next()?;
        (count == 1 && around.next().is_none()).then_some((level, node))
    }
}

/// The name that a Set or Get node carries.
fn name(node: &UiNode) -> Option<&str> {
    let value = match &node.values {
        WidgetValues::List(values) => values.first(),
        WidgetValues::Named(values) => values.values().next(),
        WidgetValues::None => None,
    };
    value.and_then(Value::as_str).filter(|name| !name.is_empty())
}
