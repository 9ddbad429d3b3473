//! Routes: where each link of a validated prompt leads, by place instead of by id.
//!
//! Validation looks every id up once; whoever runs the prompt reads the answer here. Knows places and sockets, nothing
//! of what is linked or why.

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

/// The links of all nodes that validation looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// First link and number of links, by the node's place; [`UNSEEN`] for nodes that were not looked at.
    nodes: Vec<(u32, u32)>,
    links: Vec<Route>,
}

impl Routes {
    /// No routes yet, for a prompt of that many nodes.
    pub(super) fn new(nodes: usize) -> Self {
        Self { nodes: vec![UNSEEN; nodes], links: Vec::with_capacity(nodes) }
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

    /// How many nodes the prompt had.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }
}
