//! The nodes of a run in a flat arena: numbers for ids, slots reused when nodes of expansions are gone.
//!
//! A node of the prompt has its place in the prompt as its number. Knows what a node is, not where it stands.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use kiln_graph::schedule::NodeIx;
use kiln_graph::{NodeId, Prompt, PromptNode, Route, Routes};

use crate::build::Source;
use crate::cache::Key;
use crate::node::{Ancestry, Ids, Ui};
use crate::store::Sockets;
use crate::value::Values;

/// The links of a node that validation did not see, from planning until the node becomes part of the schedule.
pub(super) struct Links {
    /// Sources are numbers of the run. In input order.
    pub routes: Vec<Route>,
    /// Nodes forgotten when they were resolved: later on, numbers may stand for others.
    resolved_at: u32,
}

/// A node of the run.
#[derive(Default)]
pub(super) struct Node {
    /// Position in the registry.
    pub class: u32,
    pub sockets: Sockets,
    /// Expansions above it.
    pub depth: u32,
    /// How often it ran.
    pub runs: u32,
    pub links: Option<Box<Links>>,
    /// Set for nodes of expansions.
    pub added: Option<Box<Added>>,
    /// Set while it waits for the results of its expansion.
    pub expanding: Option<Box<Expanding>>,
    pub flags: Flags,
}

#[derive(Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts about a node, one byte each")]
pub(super) struct Flags {
    /// Its class is known and its links resolved.
    pub planned: bool,
    /// It is run for its own sake.
    pub root: bool,
    /// It must not run twice for one value.
    pub once: bool,
    /// Its result came from the cache.
    pub served: bool,
    /// It depends on a node that failed: its outputs are stand-ins and must not be kept.
    pub depends_on_failure: bool,
    /// The expansion it is part of is over, so nobody will name it but by its id.
    pub detached: bool,
    /// It stands among the finished nodes that may be forgotten.
    pub retired: bool,
    /// It failed.
    pub failed: bool,
    /// Its result was in the cache when the run began, and is counted.
    pub known: bool,
    /// Another node asked that it does not run.
    pub inhibited: bool,
}

/// What a node of an expansion has besides.
pub(super) struct Added {
    pub id: NodeId,
    pub node: Arc<PromptNode>,
    pub ancestry: Arc<Ancestry>,
}

/// A node between its expansion and the results of its expansion.
pub(super) struct Expanding {
    /// Per call: values it returned itself, or what stands for them.
    pub calls: Vec<CallReply>,
    pub ui: Option<Ui>,
    /// Nodes that its expansion added.
    pub children: Vec<NodeIx>,
}

/// One call's outputs.
pub(super) enum CallReply {
    Values(Vec<Values>),
    Results(Vec<Source>),
}

/// A node as it was written: part of the prompt, or of an expansion.
pub(super) enum NodeOrigin<'e> {
    Given(&'e PromptNode),
    Added(Arc<PromptNode>),
}

impl Deref for NodeOrigin<'_> {
    type Target = PromptNode;
    fn deref(&self) -> &PromptNode {
        match self {
            Self::Given(node) => node,
            Self::Added(node) => node,
        }
    }
}

/// All nodes of a run.
pub(super) struct Nodes<'e> {
    prompt: &'e Prompt,
    routes: &'e Routes,
    all: Vec<Node>,
    /// Empty unless somebody asks for keys.
    keys: Vec<Option<Key>>,
    free: Vec<NodeIx>,
    added: HashMap<NodeId, NodeIx, foldhash::fast::RandomState>,
    /// Nodes of the prompt that are others in this run.
    overrides: HashMap<NodeIx, Arc<PromptNode>>,
    pub peak: usize,
    /// Nodes that were forgotten so far.
    forgotten: u32,
}

impl<'e> Nodes<'e> {
    pub(super) fn new(prompt: &'e Prompt, routes: &'e Routes) -> Self {
        let mut all = Vec::with_capacity(prompt.len());
        all.resize_with(prompt.len(), Node::default);
        Self {
            prompt,
            routes,
            all,
            keys: Vec::new(),
            free: Vec::new(),
            added: HashMap::default(),
            overrides: HashMap::new(),
            peak: prompt.len(),
            forgotten: 0,
        }
    }

    pub(super) fn key(&self, ix: NodeIx) -> Option<Key> {
        *self.keys.get(ix.0 as usize)?
    }

    pub(super) fn set_key(&mut self, ix: NodeIx, key: Option<Key>) {
        if self.keys.len() < self.all.len() {
            self.keys.resize(self.all.len(), None);
        }
        self.keys[ix.0 as usize] = key;
    }

    /// Room that the execution list must have.
    pub(super) fn capacity(&self) -> usize {
        self.all.len()
    }

    /// Nodes known now.
    pub(super) fn len(&self) -> usize {
        self.all.len() - self.free.len()
    }

    pub(super) fn find(&self, id: &NodeId) -> Option<NodeIx> {
        if !self.added.is_empty()
            && let Some(at) = self.added.get(id)
        {
            return Some(*at);
        }
        self.prompt.nodes.get_index_of(id).map(|at| NodeIx(at as u32))
    }

    pub(super) fn is_given(&self, ix: NodeIx) -> bool {
        (ix.0 as usize) < self.prompt.len()
    }

    /// Whether an id belongs to the submitted prompt.
    pub(super) fn is_given_id(&self, id: &NodeId) -> bool {
        self.prompt.nodes.contains_key(id)
    }

    /// The node as it was written; nothing for a free slot.
    pub(super) fn source(&self, ix: NodeIx) -> Option<NodeOrigin<'e>> {
        match self.prompt.nodes.get_index(ix.0 as usize) {
            Some(_) if self.is_overridden(ix) => self.overrides.get(&ix).cloned().map(NodeOrigin::Added),
            Some((_, node)) => Some(NodeOrigin::Given(node)),
            None => self[ix].added.as_ref().map(|added| NodeOrigin::Added(Arc::clone(&added.node))),
        }
    }

    /// The node's id; empty for a free slot.
    pub(super) fn id(&self, ix: NodeIx) -> NodeId {
        match (self.prompt.nodes.get_index(ix.0 as usize), &self[ix].added) {
            (Some((id, _)), _) => id.clone(),
            (None, Some(added)) => added.id.clone(),
            (None, None) => NodeId::from(""),
        }
    }

    pub(super) fn ids(&self, ix: NodeIx) -> Ids {
        Ids { id: self.id(ix), ancestry: self[ix].added.as_ref().map(|added| Arc::clone(&added.ancestry)) }
    }

    /// The number of a node of an expansion. One of the same id gives its number to the new one.
    pub(super) fn add(&mut self, node: Node) -> NodeIx {
        let Some(added) = &node.added else { return NodeIx(u32::MAX) };
        let id = added.id.clone();
        if let Some(ix) = self.added.get(&id) {
            let ix = *ix;
            self[ix] = node;
            return ix;
        }
        let ix = if let Some(ix) = self.free.pop() {
            self[ix] = node;
            ix
        } else {
            self.all.push(node);
            NodeIx((self.all.len() - 1) as u32)
        };
        self.added.insert(id, ix);
        self.peak = self.peak.max(self.len());
        ix
    }

    /// Forgets a node of an expansion. Returns its id.
    pub(super) fn remove(&mut self, ix: NodeIx) -> Option<NodeId> {
        let node = std::mem::take(&mut self[ix]);
        let id = node.added?.id;
        if let Some(key) = self.keys.get_mut(ix.0 as usize) {
            *key = None;
        }
        self.added.remove(&id);
        self.forgotten = self.forgotten.wrapping_add(1);
        self.free.push(ix);
        Some(id)
    }

    /// Where the links of a node of the prompt lead, if validation came to it.
    pub(super) fn routes(&self, ix: NodeIx) -> Option<&'e [Route]> {
        if self.is_overridden(ix) {
            return None;
        }
        // A node of the prompt links to nodes of the prompt, whose numbers are their places.
        self.routes.of(ix.0 as usize)
    }

    fn is_overridden(&self, ix: NodeIx) -> bool {
        !self.overrides.is_empty() && self.overrides.contains_key(&ix)
    }

    /// The node is another one from now on.
    pub(super) fn override_source(&mut self, ix: NodeIx, node: PromptNode) {
        let node = Arc::new(node);
        if let Some(added) = &mut self[ix].added {
            added.node = node;
        } else {
            self.overrides.insert(ix, node);
        }
    }

    /// The class of a node of the prompt, by validation's numbers; `None` for one that is another in this run.
    pub(super) fn class_number(&self, ix: NodeIx) -> Option<u32> {
        if self.is_overridden(ix) {
            return None;
        }
        self.routes.class(ix.0 as usize)
    }

    /// Remembers the links of a node without routes until it becomes part of the schedule.
    pub(super) fn set_links(&mut self, ix: NodeIx, routes: Vec<Route>) {
        let resolved_at = self.forgotten;
        self[ix].links = Some(Box::new(Links { routes, resolved_at }));
    }

    /// A planned node's links.
    pub(super) fn links(&self, ix: NodeIx) -> &[Route] {
        match &self[ix].links {
            Some(links) => &links.routes,
            None => self.routes(ix).unwrap_or_default(),
        }
    }

    /// Takes what [`set_links`](Self::set_links) left, unless it may be out of date.
    pub(super) fn take_links(&mut self, ix: NodeIx) -> Option<Vec<Route>> {
        let forgotten = self.forgotten;
        let node = &mut self[ix];
        let links = node.links.take()?;
        (node.added.is_none() || links.resolved_at == forgotten).then_some(links.routes)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeIx, &Node)> {
        self.all.iter().enumerate().map(|(at, node)| (NodeIx(at as u32), node))
    }
}

impl std::ops::Index<NodeIx> for Nodes<'_> {
    type Output = Node;
    fn index(&self, ix: NodeIx) -> &Node {
        &self.all[ix.0 as usize]
    }
}
impl std::ops::IndexMut<NodeIx> for Nodes<'_> {
    fn index_mut(&mut self, ix: NodeIx) -> &mut Node {
        &mut self.all[ix.0 as usize]
    }
}
