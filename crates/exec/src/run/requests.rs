//! Requests: what nodes want of the schedule is done, between two nodes.
//!
//! The four operations that ComfyUI's core loops of 2026 need beyond an expansion: nodes taken out of the schedule, a
//! node given another definition, a node blocked from outside, and released with or without outputs.

use std::sync::Arc;

use kiln_graph::schedule::{NodeIx, State};
use kiln_graph::{NodeId, PromptNode};

use crate::error::{ErrorKind, NodeError};
use crate::node::Request;
use crate::run::execution::Execution;
use crate::run::failure::NodeFailure;
use crate::value::Values;

impl Execution<'_> {
    /// Does everything that was asked so far.
    pub(super) fn apply_requests(&mut self) -> Result<(), NodeFailure> {
        for (by, request) in self.shared.requests.take() {
            let done = match request {
                Request::Add(node) => self.known(&node).and_then(|ix| self.add(ix)),
                Request::Inhibit(nodes) => {
                    nodes.iter().try_for_each(|node| self.known(node).map(|ix| self.inhibit(ix)))
                }
                Request::Override(node, as_this) => self.known(&node).and_then(|ix| self.override_node(ix, *as_this)),
                Request::Block(node) => self.known(&node).and_then(|ix| self.block(ix)),
                Request::Release(node, outputs) => self.known(&node).and_then(|ix| self.release_block(ix, outputs)),
            };
            // What cannot be done is the failure of who asked, unless another node is blamed already.
            done.map_err(|failure| NodeFailure { node: failure.node.or_else(|| self.nodes.find(&by)), ..failure })?;
        }
        Ok(())
    }

    /// Whether the run waits for a release that may still come.
    pub(super) fn waits_for_release(&self) -> bool {
        self.blocked > 0 && Arc::strong_count(&self.shared.requests) > 1
    }

    fn known(&self, node: &NodeId) -> Result<NodeIx, NodeFailure> {
        let missing = || refuse(format!("it asks the schedule about node \"{node}\", which does not exist"));
        self.nodes.find(node).ok_or_else(missing)
    }

    fn add(&mut self, ix: NodeIx) -> Result<(), NodeFailure> {
        self.nodes[ix].flags.root = true;
        self.demand(ix)
    }

    fn inhibit(&mut self, ix: NodeIx) {
        let state = self.list.state(ix);
        if matches!(state, State::Running | State::Done) {
            return;
        }
        self.nodes[ix].flags.inhibited = true;
        self.nodes[ix].flags.root = false;
        self.unlink_as(ix, state != State::Idle);
        self.list.dismiss(ix);
    }

    fn override_node(&mut self, ix: NodeIx, as_this: PromptNode) -> Result<(), NodeFailure> {
        let state = self.list.state(ix);
        if matches!(state, State::Running | State::Done) {
            let node = self.nodes.id(ix);
            return Err(refuse(format!("it asks for another definition of node \"{node}\", which has run already")));
        }
        self.plan([ix])?;
        let Some(class) = self.engine.registry.position(&as_this.class_type) else {
            let message = format!("there is no node class `{}`", as_this.class_type);
            return Err(NodeFailure { node: None, error: NodeError::of(ErrorKind::UnknownClass, message) });
        };
        let (has, wants) =
            (self.engine.registry.classes[class as usize].def.outputs.len(), self.nodes[ix].sockets.count as usize);
        if has != wants {
            let node = self.nodes.id(ix);
            return Err(refuse(format!("it overrides node \"{node}\", which has {wants} outputs, by one of {has}")));
        }
        let blocks = self.list.holds(ix);
        self.unlink_as(ix, state != State::Idle);
        self.list.dismiss(ix);
        self.nodes.override_source(ix, as_this);
        self.nodes[ix].class = class;
        self.nodes[ix].flags.inhibited = false;
        self.nodes.set_key(ix, None);
        let Some(node) = self.nodes.source(ix) else { return Ok(()) };
        let links = self.resolve(ix, &node)?;
        self.plan(links.iter().map(|link| NodeIx(link.source)).collect::<Vec<_>>())?;
        self.nodes.set_links(ix, links);
        if !matches!(state, State::Absent | State::Idle) || self.list.is_wanted(ix) {
            self.demand(ix)?;
        }
        (0..blocks).for_each(|_| self.list.hold(ix));
        Ok(())
    }

    fn block(&mut self, ix: NodeIx) -> Result<(), NodeFailure> {
        self.demand(ix)?;
        if !matches!(self.list.state(ix), State::Pending | State::Ready) {
            let node = self.nodes.id(ix);
            return Err(refuse(format!("it blocks node \"{node}\", which has started already")));
        }
        self.list.hold(ix);
        self.blocked += 1;
        Ok(())
    }

    fn release_block(&mut self, ix: NodeIx, outputs: Option<Vec<Values>>) -> Result<(), NodeFailure> {
        if self.list.holds(ix) == 0 {
            let node = self.nodes.id(ix);
            return Err(refuse(format!("it releases node \"{node}\", which is not blocked")));
        }
        self.blocked -= 1;
        match outputs {
            None => self.list.release_hold(ix),
            Some(mut outputs) => {
                // They are not what the node would have computed, so nobody may find them under its key.
                self.nodes.set_key(ix, None);
                self.complete(ix, &mut outputs, None);
            }
        }
        Ok(())
    }
}

fn refuse(message: String) -> NodeFailure {
    NodeFailure { node: None, error: NodeError::of(ErrorKind::BadRequest, message) }
}
