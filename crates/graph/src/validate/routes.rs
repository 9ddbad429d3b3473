//! Routes: where each link of a validated prompt leads, and of which class each node is, by place instead of by name.
//!
//! Validation looks every id and class up once; whoever runs the prompt reads the result here. Knows places and
//! sockets, nothing of what is linked or why.

use std::sync::Arc;

/// Where one link leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The source's place in the prompt.
    pub source: u32,
    /// Which of its outputs.
    pub socket: u32,
    /// The place of the input that holds the link, among its node's inputs.
    pub input: u32,
}

/// Stands for the links of a node that validation did not come to.
const UNSEEN: (u32, u32) = (u32::MAX, 0);

/// The classes of all nodes, and the links of those that validation looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// First link and number of links, by the node's place; [`UNSEEN`] for nodes that were not looked at.
    nodes: Vec<(u32, u32)>,
    links: Vec<Route>,
    classes: Vec<u32>,
    names: Vec<Arc<str>>,
}

impl Routes {
    /// No routes yet, for nodes of these classes.
    pub(super) fn new(classes: Vec<u32>, names: Vec<Arc<str>>) -> Self {
        let nodes = classes.len();
        Self { nodes: vec![UNSEEN; nodes], links: Vec::with_capacity(nodes), classes, names }
    }

    /// The links of the node at `place`, in any order.
    pub(super) fn set(&mut self, place: u32, links: impl IntoIterator<Item = Route>) {
        let first = self.links.len();
        self.links.extend(links);
        let added = &mut self.links[first..];
        if !added.is_sorted_by_key(|link| link.input) {
            added.sort_unstable_by_key(|link| link.input);
        }
        self.nodes[place as usize] = (first as u32, added.len() as u32);
    }

    /// The links of the node at `place`, in the order of its inputs; `None` where validation did not come: no output
    /// needs that node.
    pub fn of(&self, place: usize) -> Option<&[Route]> {
        let (first, count) = self.nodes.get(place).filter(|range| **range != UNSEEN)?;
        self.links.get(*first as usize..*first as usize + *count as usize)
    }

    /// The class of the node at `place`, as a position in [`class_names`](Self::class_names).
    pub fn class(&self, place: usize) -> Option<u32> {
        self.classes.get(place).copied()
    }

    /// The classes that occur in the prompt.
    pub fn class_names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// How many nodes the prompt had.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }
}
