//! The graph of a run: the submitted prompt, and the nodes that expansions have added to it so far.
//!
//! Knows who came from whom. Knows nothing of what has run, or of classes.

mod id;

use std::sync::Arc;

pub use self::id::{expansion_prefix, short_id};
use crate::id::NodeId;
use crate::map::Map;
use crate::prompt::{Prompt, PromptNode};

/// A prompt and what its expansions added.
///
/// The prompt is shared and never changes; a clone copies only what was added.
#[derive(Clone, Debug, Default)]
pub struct DynamicPrompt {
    prompt: Arc<Prompt>,
    added: Map<NodeId, Ephemeral>,
}

/// A node that an expansion added.
#[derive(Clone, Debug)]
pub struct Ephemeral {
    /// The node.
    pub node: Arc<PromptNode>,
    /// The node whose expansion it is part of.
    pub parent: NodeId,
    /// The node that is shown as running in its place.
    pub display: NodeId,
    /// The node of the prompt that it comes from, through however many expansions.
    pub real: NodeId,
}

impl DynamicPrompt {
    /// The graph of a run that has not expanded anything yet.
    pub fn new(prompt: Arc<Prompt>) -> Self {
        Self { prompt, added: Map::default() }
    }

    /// The prompt as it was submitted.
    pub fn prompt(&self) -> &Arc<Prompt> {
        &self.prompt
    }

    /// The node of that id. One that an expansion added hides one of the prompt.
    pub fn get(&self, id: &str) -> Option<&PromptNode> {
        self.added.get(id).map(|added| &*added.node).or_else(|| self.prompt.get(id))
    }

    /// What is known of a node that an expansion added.
    pub fn ephemeral(&self, id: &str) -> Option<&Ephemeral> {
        self.added.get(id)
    }

    /// Whether an expansion added this node.
    pub fn is_ephemeral(&self, id: &str) -> bool {
        self.added.contains_key(id)
    }

    /// Adds a node under `id`, as part of the expansion of `parent`. One of the same id is replaced: a node whose
    /// outputs were dropped may expand again.
    pub fn add(&mut self, id: NodeId, node: Arc<PromptNode>, parent: &NodeId) -> &Ephemeral {
        let display = self.display_id(node.override_display_id.as_ref().unwrap_or(parent)).clone();
        let real = self.real_id(parent).clone();
        let added = Ephemeral { node, parent: parent.clone(), display, real };
        let (at, _) = self.added.insert_full(id, added);
        &self.added[at]
    }

    /// Forgets a node that an expansion added and that nobody can name any more.
    pub fn remove(&mut self, id: &str) -> Option<Ephemeral> {
        let removed = self.added.swap_remove(id);
        // A loop by expansion adds and removes for ever; the table follows the number of nodes alive.
        if self.added.capacity() > 4096 && self.added.len() * 8 < self.added.capacity() {
            self.added.shrink_to(self.added.len() * 2);
        }
        removed
    }

    /// The node that is shown as running in place of `id`: itself, unless it came out of an expansion.
    pub fn display_id<'a>(&'a self, id: &'a NodeId) -> &'a NodeId {
        self.added.get(id).map_or(id, |added| &added.display)
    }

    /// The node of the submitted prompt that `id` comes from.
    pub fn real_id<'a>(&'a self, id: &'a NodeId) -> &'a NodeId {
        self.added.get(id).map_or(id, |added| &added.real)
    }

    /// The node whose expansion added `id`.
    pub fn parent_id(&self, id: &str) -> Option<&NodeId> {
        self.added.get(id).map(|added| &added.parent)
    }

    /// From the node of the submitted prompt down to `id`, one step per expansion. Ancestors that are forgotten
    /// already are left out.
    pub fn path(&self, id: &NodeId) -> Vec<NodeId> {
        let mut path = vec![id.clone()];
        let mut at = id;
        while let Some(added) = self.added.get(at) {
            at = if self.added.contains_key(&added.parent) { &added.parent } else { &added.real };
            path.push(at.clone());
        }
        path.reverse();
        path
    }

    /// Every id, those of the prompt first.
    pub fn ids(&self) -> impl Iterator<Item = &NodeId> {
        let original = self.prompt.nodes.keys().filter(|id| !self.added.contains_key(*id));
        original.chain(self.added.keys())
    }

    /// Nodes that expansions added and that are still known.
    pub fn added(&self) -> impl ExactSizeIterator<Item = (&NodeId, &Ephemeral)> {
        self.added.iter()
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.prompt.len() + self.added.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.prompt.is_empty() && self.added.is_empty()
    }
}

#[cfg(test)]
mod tests;
