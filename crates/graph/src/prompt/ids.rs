//! The ids of a prompt that is being read: a link's id is a copy of its node's own, so each is kept once.
//!
//! Holds the nodes read so far, because they are the table in which links are looked up. Knows nothing of JSON's form.

use std::cell::RefCell;

use super::nodes::{Prompt, PromptNode};
use crate::id::NodeId;
use crate::map::Set;

/// With so many nodes it is asked how many there will be.
const MANY: usize = 1000;
/// So much of the text is looked at to answer that.
const SAMPLE: usize = 1 << 16;

/// The nodes read so far, and ids that links named before their nodes came.
#[derive(Default)]
pub(super) struct IdTable<'t> {
    table: RefCell<Table>,
    /// What is read, where it is text.
    text: &'t [u8],
}

#[derive(Default)]
struct Table {
    prompt: Prompt,
    awaited: Set<NodeId>,
    /// The place of the node that was linked last.
    last: usize,
}

impl<'t> IdTable<'t> {
    pub(super) fn of(text: &'t [u8]) -> Self {
        Self { text, ..Self::default() }
    }

    /// The id of the node that is read next.
    pub(super) fn own(&self, text: &str) -> NodeId {
        let awaited = &mut self.table.borrow_mut().awaited;
        let known = if awaited.is_empty() { None } else { awaited.swap_take(text) };
        known.unwrap_or_else(|| text.into())
    }

    /// The id that a link names.
    pub(super) fn linked(&self, text: &str) -> NodeId {
        let table = &mut *self.table.borrow_mut();
        if let Some(place) = table.place(text)
            && let Some((id, _)) = table.prompt.nodes.get_index(place)
        {
            table.last = place;
            return id.clone();
        }
        if let Some(id) = table.awaited.get(text) {
            return id.clone();
        }
        let id = NodeId::from(text);
        table.awaited.insert(id.clone());
        id
    }

    /// Adds a node, or replaces the one of that id.
    pub(super) fn insert(&self, id: NodeId, node: PromptNode) {
        let nodes = &mut self.table.borrow_mut().prompt.nodes;
        if nodes.len() == MANY && nodes.capacity() < self.expected() {
            nodes.reserve(self.expected() - MANY);
        }
        nodes.insert(id, node);
    }

    /// How many nodes the text has, if all of it is like its beginning. A table that need not grow saves going through
    /// all nodes again and again.
    fn expected(&self) -> usize {
        let sample = &self.text[..self.text.len().min(SAMPLE)];
        let nodes = memchr::memmem::find_iter(sample, "\"class_type\"").count();
        // A little more, for ids grow longer.
        (nodes as f64 * self.text.len() as f64 / sample.len().max(1) as f64 * 1.02) as usize
    }

    /// The nodes, leaving none.
    pub(super) fn take(&self) -> Prompt {
        self.replace(Prompt::default())
    }

    /// The nodes, leaving those of another prompt.
    pub(super) fn replace(&self, prompt: Prompt) -> Prompt {
        self.table.replace(Table { prompt, ..Table::default() }).prompt
    }
}

impl Table {
    /// The place of a node. Most links lead to one of the nodes read last, or near where the last link led: those are
    /// still in the processor's cache, while the look-up in a large table costs several trips to memory.
    fn place(&self, text: &str) -> Option<usize> {
        let count = self.prompt.nodes.len();
        let near = [count.wrapping_sub(1), self.last + 1, self.last, count.wrapping_sub(2), count.wrapping_sub(3)];
        let is_it = |place: &usize| self.prompt.nodes.get_index(*place).is_some_and(|(id, _)| id == text);
        near.into_iter().find(is_it).or_else(|| self.prompt.nodes.get_index_of(text))
    }
}
