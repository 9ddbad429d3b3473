//! The walk from the outputs up: every node once, sources before the node's own verdict, no recursion.
//!
//! Knows order and cycles. Knows no rule for inputs.

use std::sync::Arc;

use super::cycle;
use super::error::{MOST_REPORTED, NodeErrors, ValidationError};
use super::loops::{self, LoopError};
use super::node::{self, Edge};
use super::routes::{Route, Routes};
use super::validators::Validators;
use crate::def::NodeDef;
use crate::id::NodeId;
use crate::map::Map;
use crate::prompt::Prompt;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// On the stack: a link that leads here closes a cycle.
    Open,
    Good,
    Bad,
}

/// A node that is being looked at.
struct Frame {
    node: u32,
    /// Its edges begin here in the common stack of edges; those that are done were popped.
    first_edge: u32,
    good: bool,
}

pub(super) struct Walk<'p, 'd> {
    prompt: &'p mut Prompt,
    defs: &'d [&'d NodeDef],
    validators: &'p dyn Validators,
    state: Vec<State>,
    frames: Vec<Frame>,
    edges: Vec<Edge>,
    /// Errors by node, in the order in which they were found, with the number of outputs that had failed before.
    errors: Map<u32, (Vec<ValidationError>, usize)>,
    /// Nodes on which a cycle closed, with the number of failing outputs before.
    closed: Vec<(u32, usize)>,
    failed_outputs: usize,
    routes: Routes,
}

impl<'p, 'd> Walk<'p, 'd> {
    pub(super) fn new(
        prompt: &'p mut Prompt,
        defs: &'d [&'d NodeDef],
        routes: Routes,
        validators: &'p dyn Validators,
    ) -> Self {
        Self {
            state: vec![State::New; prompt.len()],
            routes,
            prompt,
            defs,
            validators,
            frames: Vec::new(),
            edges: Vec::new(),
            errors: Map::default(),
            closed: Vec::new(),
            failed_outputs: 0,
        }
    }

    /// Whether this output node and everything it needs is fit to run.
    pub(super) fn is_valid(&mut self, output: u32) -> bool {
        if self.state[output as usize] == State::New {
            self.open(output, None);
            while let Some(frame) = self.frames.last() {
                let (node, first_edge) = (frame.node, frame.first_edge as usize);
                if self.edges.len() == first_edge {
                    self.close();
                } else if let Some(edge) = self.edges.pop() {
                    self.follow(node, edge);
                }
            }
        }
        let good = self.state[output as usize] == State::Good;
        self.failed_outputs += usize::from(!good);
        good
    }

    fn open(&mut self, node: u32, via: Option<(u32, Edge)>) {
        self.state[node as usize] = State::Open;
        let first_edge = self.edges.len();
        let mut errors = Vec::new();
        node::check(self.prompt, self.defs, node, &mut self.edges, &mut errors);
        let routes = self.edges[first_edge..].iter();
        self.routes.set(node, routes.map(|e| Route { source: e.source, socket: e.socket, input: e.input }));
        // Edges are popped from the end; the first input's goes first.
        self.edges[first_edge..].reverse();
        if let Some(call) = node::validator_call(self.prompt, self.defs, node) {
            node::apply_verdict(&call, self.validators.check(&call), &mut errors);
            if let Some((holder, edge)) = via {
                for error in &mut errors {
                    node::report_as_inner(error, self.prompt, self.defs, holder, edge);
                }
            }
        }
        self.frames.push(Frame { node, first_edge: first_edge as u32, good: errors.is_empty() });
        self.report(node, errors, self.failed_outputs);
    }

    /// Keeps errors; `since` is the number of outputs that had failed when the first of them was found.
    fn report(&mut self, node: u32, errors: Vec<ValidationError>, since: usize) {
        if errors.is_empty() || (self.errors.len() >= MOST_REPORTED && !self.errors.contains_key(&node)) {
            return;
        }
        self.errors.entry(node).or_insert((Vec::new(), since)).0.extend(errors);
    }

    fn follow(&mut self, holder: u32, edge: Edge) {
        match self.state[edge.source as usize] {
            State::New => self.open(edge.source, Some((holder, edge))),
            State::Good => {}
            State::Bad => self.spoil(),
            State::Open => {
                self.spoil();
                if self.closed.len() < MOST_REPORTED {
                    self.closed.push((edge.source, self.failed_outputs));
                }
            }
        }
    }

    /// The node on top needs something that is not fit to run.
    fn spoil(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.good = false;
        }
    }

    fn close(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        self.state[frame.node as usize] = if frame.good { State::Good } else { State::Bad };
        if !frame.good {
            self.spoil();
        }
    }

    /// Pairs the loops of these outputs. Where there are cycles, only what has none can be looked at.
    pub(super) fn pair_loops(&mut self, good: &[u32], bad: &[u32]) -> Vec<LoopError> {
        let whole = self.closed.is_empty();
        let outputs = good.iter().chain(bad.iter().filter(|_| whole)).copied().collect();
        let state = &self.state;
        let seen = |node: u32| match state[node as usize] {
            State::New => false,
            State::Good => true,
            State::Open | State::Bad => whole,
        };
        loops::pair(self.prompt, self.defs, outputs, seen)
    }

    /// Names the cycles; returns all errors, and where the links lead. `failing` are the outputs that are not fit to
    /// run, in their order.
    pub(super) fn finish(mut self, failing: &[u32]) -> (Map<NodeId, NodeErrors>, Routes) {
        if !self.closed.is_empty() {
            let bad = |node: u32| self.state[node as usize] == State::Bad;
            for (node, error, since) in cycle::errors(self.prompt, bad, &self.closed) {
                self.report(node, vec![error], since);
            }
        }
        let prompt = &*self.prompt;
        let at = |index: u32| prompt.nodes.get_index(index as usize);
        let failing: Arc<[NodeId]> = failing.iter().filter_map(|index| Some(at(*index)?.0.clone())).collect();
        let named = self.errors.into_iter().filter_map(|(index, (errors, since))| {
            let (id, node) = at(index)?;
            let class_type = node.class_type.clone();
            Some((id.clone(), NodeErrors { errors, class_type, failing: failing.clone(), since }))
        });
        (named.collect(), self.routes)
    }
}
