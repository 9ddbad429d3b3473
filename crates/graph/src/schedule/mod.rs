//! The execution list: which nodes of a run wait for which, and which may start.
//!
//! Nodes are dense numbers that the run hands out. An edge is *strong* (its reader waits for it) or *lazy* (its reader
//! may ask for it). Edges exist exactly as long as their reader may still run, so a source without outgoing edges is
//! one that nobody can need. Knows no values, no classes, no threads.

mod edge;
mod edges;
mod optimum;
mod ready;

pub use self::edge::{Edge, NodeIx, Use};
pub use self::edges::EdgeIx;
pub use self::optimum::{PeakPlan, SizedNode, optimal_order};

use self::edges::Edges;
use self::ready::{RANKS, Ready};

/// Where a node stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Not part of the run, or not any more.
    #[default]
    Absent,
    /// Part of the run: somebody may need it.
    Idle,
    /// Needed, and waiting for others.
    Pending,
    /// May start.
    Ready,
    /// Handed out by [`ExecutionList::pop`].
    Running,
    /// Finished.
    Done,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    blocks: u32,
    state: State,
    rank: u8,
}

/// Which nodes wait for which.
#[derive(Clone, Debug, Default)]
pub struct ExecutionList {
    entries: Vec<Entry>,
    edges: Edges,
    ready: Ready,
    unfinished: usize,
}

impl ExecutionList {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for nodes `0..nodes` and about as many edges as given.
    pub fn grow(&mut self, nodes: usize, edges: usize) {
        if self.entries.len() < nodes {
            self.entries.resize(nodes, Entry { rank: RANKS as u8 - 1, ..Entry::default() });
        }
        self.edges.grow(nodes);
        self.edges.reserve(edges);
    }

    /// Where a node stands.
    pub fn state(&self, node: NodeIx) -> State {
        self.entries[node.0 as usize].state
    }

    /// Makes a node part of the run. `prompt_first` marks one that shows or waits: it is preferred, and so is what
    /// leads there.
    pub fn admit(&mut self, node: NodeIx, prompt_first: bool) {
        let rank = if prompt_first { 0 } else { RANKS as u8 - 1 };
        self.entries[node.0 as usize] = Entry { blocks: 0, state: State::Idle, rank };
    }

    /// Adds an edge, before the reader's others. It does not hold the reader up until [`block`](Self::block) is called for it.
    pub fn connect(&mut self, from: NodeIx, socket: u32, to: NodeIx, input: u32, usage: Use) -> EdgeIx {
        if usage == Use::Strong {
            let rank = (self.entries[to.0 as usize].rank + 1).min(RANKS as u8 - 1);
            let source = &mut self.entries[from.0 as usize];
            source.rank = source.rank.min(rank);
        }
        self.edges.add(Edge { from, socket, to, input, usage, blocking: false })
    }

    /// The edge.
    pub fn edge(&self, at: EdgeIx) -> &Edge {
        self.edges.get(at)
    }

    /// The edges into a node, in input order, followed by none.
    pub fn inputs(&self, node: NodeIx) -> impl Iterator<Item = EdgeIx> + '_ {
        std::iter::successors(self.edges.first_in(node), |at| self.edges.next_in(*at))
    }

    /// The edges out of a node.
    pub fn outputs(&self, node: NodeIx) -> impl Iterator<Item = EdgeIx> + '_ {
        std::iter::successors(self.edges.first_out(node), |at| self.edges.next_out(*at))
    }

    /// Whether anybody may still read an output of this node.
    pub fn is_wanted(&self, node: NodeIx) -> bool {
        self.edges.first_out(node).is_some()
    }

    /// Lets the reader wait for this edge, which becomes strong.
    pub fn block(&mut self, at: EdgeIx) {
        self.edges.strengthen(at);
        let edge = self.edges.get_mut(at);
        if !edge.blocking {
            edge.blocking = true;
            let to = edge.to;
            self.entries[to.0 as usize].blocks += 1;
        }
    }

    /// Makes an edge strong whose value is there already.
    pub fn strengthen(&mut self, at: EdgeIx) {
        self.edges.strengthen(at);
    }

    /// Schedules a node. It is ready once nothing blocks it: call [`settle`](Self::settle) when its edges stand.
    pub fn schedule(&mut self, node: NodeIx) {
        let entry = &mut self.entries[node.0 as usize];
        if matches!(entry.state, State::Idle | State::Running) {
            if entry.state == State::Idle {
                self.unfinished += 1;
            }
            entry.state = State::Pending;
        }
    }

    /// Makes a scheduled node ready if nothing blocks it.
    pub fn settle(&mut self, node: NodeIx) {
        let entry = &mut self.entries[node.0 as usize];
        if entry.state == State::Pending && entry.blocks == 0 {
            entry.state = State::Ready;
            self.ready.push(node, entry.rank);
        }
    }

    /// Blocks a scheduled node by something outside the graph.
    pub fn hold(&mut self, node: NodeIx) {
        let entry = &mut self.entries[node.0 as usize];
        entry.blocks += 1;
        if entry.state == State::Ready {
            entry.state = State::Pending;
            self.ready.remove(node);
        }
    }

    /// How many blocks a node has that no edge stands for.
    pub fn holds(&self, node: NodeIx) -> u32 {
        let edges = self.inputs(node).filter(|at| self.edge(*at).blocking).count() as u32;
        self.entries[node.0 as usize].blocks.saturating_sub(edges)
    }

    /// Takes a [`hold`](Self::hold) away.
    pub fn release_hold(&mut self, node: NodeIx) {
        let entry = &mut self.entries[node.0 as usize];
        entry.blocks = entry.blocks.saturating_sub(1);
        self.settle(node);
    }

    /// Hands out a node that may start.
    pub fn pop(&mut self) -> Option<NodeIx> {
        let node = self.ready.pop()?;
        Some(self.start(node))
    }

    /// Hands out the node with the lowest score among the first `window` that may start.
    pub fn pop_best<S: PartialOrd>(&mut self, window: usize, score: impl FnMut(NodeIx) -> S) -> Option<NodeIx> {
        let node = self.ready.pop_best(window, score)?;
        Some(self.start(node))
    }

    /// The first `window` nodes that may start.
    pub fn peek_ready(&self, window: usize) -> Vec<NodeIx> {
        self.ready.first(window)
    }

    fn start(&mut self, node: NodeIx) -> NodeIx {
        self.entries[node.0 as usize].state = State::Running;
        node
    }

    /// A node has finished: its readers wait for it no longer. Its own edges stay until they are taken with
    /// [`pop_input`](Self::pop_input).
    pub fn complete(&mut self, node: NodeIx) {
        let entry = &mut self.entries[node.0 as usize];
        if matches!(entry.state, State::Pending | State::Ready | State::Running) {
            self.unfinished -= 1;
        }
        entry.state = State::Done;
        let mut next = self.edges.first_out(node);
        while let Some(at) = next {
            next = self.edges.next_out(at);
            self.unblock(at);
        }
    }

    fn unblock(&mut self, at: EdgeIx) {
        let edge = self.edges.get_mut(at);
        if std::mem::take(&mut edge.blocking) {
            let to = edge.to;
            self.release_hold(to);
        }
    }

    /// Takes the first edge into a node away.
    pub fn pop_input(&mut self, node: NodeIx) -> Option<Edge> {
        let edge = self.edges.pop_in(node)?;
        if edge.blocking {
            let entry = &mut self.entries[node.0 as usize];
            entry.blocks = entry.blocks.saturating_sub(1);
        }
        Some(edge)
    }

    /// Lets an edge start at another output: the new source provides what the old one would have.
    /// `present`: the new source's value is there already, so that nobody needs to wait.
    pub fn redirect(&mut self, at: EdgeIx, from: NodeIx, socket: u32, present: bool) {
        let rank = self.entries[self.edges.get(at).from.0 as usize].rank;
        let source = &mut self.entries[from.0 as usize];
        source.rank = source.rank.min(rank);
        self.edges.redirect(at, from, socket);
        if present {
            self.unblock(at);
        }
    }

    /// A node is no longer part of the run. It must have no edges left.
    pub fn dismiss(&mut self, node: NodeIx) {
        let entry = &mut self.entries[node.0 as usize];
        if matches!(entry.state, State::Pending | State::Ready | State::Running) {
            self.unfinished -= 1;
        }
        if entry.state == State::Ready {
            self.ready.remove(node);
        }
        *entry = Entry { rank: RANKS as u8 - 1, ..Entry::default() };
    }

    /// Nodes that are scheduled and not finished.
    pub fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Nodes that may start.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Nobody starts any more.
    pub fn stop(&mut self) {
        self.ready.clear();
    }

    /// A circle of nodes that wait for each other, each for the one after it; `None` when there is none.
    pub fn cycle(&self) -> Option<Vec<NodeIx>> {
        let count = self.entries.len();
        let mut seen = vec![0_u32; count];
        for start in 0..count {
            let round = start as u32 + 1;
            let mut path = Vec::new();
            let mut at = NodeIx(start as u32);
            while self.state(at) == State::Pending && seen[at.0 as usize] == 0 {
                seen[at.0 as usize] = round;
                path.push(at);
                let blocker = self.inputs(at).map(|e| self.edge(e)).find(|e| e.blocking);
                let Some(edge) = blocker else { break };
                at = edge.from;
            }
            // The walk ended at a node of this very path, or elsewhere.
            let closes = |last: &NodeIx| self.inputs(*last).map(|e| self.edge(e)).any(|e| e.blocking && e.from == at);
            if let Some(from) = path.iter().position(|n| *n == at)
                && path.last().is_some_and(closes)
            {
                return Some(path.split_off(from));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
