//! Edges between the nodes of a run: who reads which output of whom, in flat arrays with free slots reused.
//!
//! Every edge stands in two lists: that of its reader, in input order, and that of its source. Knows nothing of why.

use super::edge::{Edge, NodeIx, Use};

const NONE: u32 = u32::MAX;

/// Where an edge is kept. Valid until the edge is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeIx(u32);

#[derive(Clone, Debug)]
struct Slot {
    edge: Edge,
    next_in: u32,
    next_out: u32,
    prev_out: u32,
}

/// First edges of a node's two lists.
#[derive(Clone, Copy, Debug)]
struct Heads {
    into: u32,
    out: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Edges {
    slots: Vec<Slot>,
    free: Vec<u32>,
    heads: Vec<Heads>,
}

impl Edges {
    pub(super) fn grow(&mut self, nodes: usize) {
        if self.heads.len() < nodes {
            self.heads.resize(nodes, Heads { into: NONE, out: NONE });
        }
    }

    pub(super) fn reserve(&mut self, edges: usize) {
        self.slots.reserve(edges);
    }

    /// Adds an edge before the others of its reader.
    pub(super) fn add(&mut self, edge: Edge) -> EdgeIx {
        let (from, to) = (edge.from.0 as usize, edge.to.0 as usize);
        let slot = Slot { next_in: self.heads[to].into, next_out: self.heads[from].out, prev_out: NONE, edge };
        let at = if let Some(at) = self.free.pop() {
            self.slots[at as usize] = slot;
            at
        } else {
            self.slots.push(slot);
            (self.slots.len() - 1) as u32
        };
        let next = self.heads[from].out;
        if next != NONE {
            self.slots[next as usize].prev_out = at;
        }
        self.heads[to].into = at;
        self.heads[from].out = at;
        EdgeIx(at)
    }

    pub(super) fn get(&self, at: EdgeIx) -> &Edge {
        &self.slots[at.0 as usize].edge
    }

    pub(super) fn get_mut(&mut self, at: EdgeIx) -> &mut Edge {
        &mut self.slots[at.0 as usize].edge
    }

    pub(super) fn first_in(&self, node: NodeIx) -> Option<EdgeIx> {
        some(self.heads[node.0 as usize].into)
    }

    pub(super) fn next_in(&self, at: EdgeIx) -> Option<EdgeIx> {
        some(self.slots[at.0 as usize].next_in)
    }

    pub(super) fn first_out(&self, node: NodeIx) -> Option<EdgeIx> {
        some(self.heads[node.0 as usize].out)
    }

    pub(super) fn next_out(&self, at: EdgeIx) -> Option<EdgeIx> {
        some(self.slots[at.0 as usize].next_out)
    }

    /// Removes the first edge into `node`.
    pub(super) fn pop_in(&mut self, node: NodeIx) -> Option<Edge> {
        let at = some(self.heads[node.0 as usize].into)?;
        self.heads[node.0 as usize].into = self.slots[at.0 as usize].next_in;
        self.leave_source(at);
        self.free.push(at.0);
        Some(self.slots[at.0 as usize].edge)
    }

    /// Lets an edge start at another output.
    pub(super) fn redirect(&mut self, at: EdgeIx, from: NodeIx, socket: u32) {
        self.leave_source(at);
        let next = self.heads[from.0 as usize].out;
        if next != NONE {
            self.slots[next as usize].prev_out = at.0;
        }
        self.heads[from.0 as usize].out = at.0;
        let slot = &mut self.slots[at.0 as usize];
        slot.next_out = next;
        slot.prev_out = NONE;
        slot.edge.from = from;
        slot.edge.socket = socket;
    }

    fn leave_source(&mut self, at: EdgeIx) {
        let Slot { edge, next_out, prev_out, .. } = self.slots[at.0 as usize].clone();
        match some(prev_out) {
            Some(previous) => self.slots[previous.0 as usize].next_out = next_out,
            None => self.heads[edge.from.0 as usize].out = next_out,
        }
        if let Some(next) = some(next_out) {
            self.slots[next.0 as usize].prev_out = prev_out;
        }
    }

    /// Makes a lazy edge strong.
    pub(super) fn strengthen(&mut self, at: EdgeIx) {
        self.get_mut(at).usage = Use::Strong;
    }
}

fn some(at: u32) -> Option<EdgeIx> {
    (at != NONE).then_some(EdgeIx(at))
}
