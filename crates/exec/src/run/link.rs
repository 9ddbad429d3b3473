//! Linking: nodes become part of the schedule, and leave it when nobody can need them any more.
//!
//! Keeps the execution list and the output store in step: every edge there is a reader here.

use std::sync::Arc;

use kiln_graph::Route;
use kiln_graph::schedule::{Edge, EdgeIx, NodeIx, State, Use};

use crate::error::{ErrorKind, NodeError};
use crate::node::{Body, Class};
use crate::observe::{Event, What};
use crate::run::execution::Execution;
use crate::run::failure::NodeFailure;
use crate::spill::Spilling;
use crate::store::Released;

/// Marks the input number of an edge that stands for a result of an expansion; the rest counts those results.
pub(super) const RESULT: u32 = 1 << 31;

impl Execution<'_> {
    /// Makes a node, and everything that it might ask for, part of the run. Nothing is scheduled by that.
    pub(super) fn admit(&mut self, root: NodeIx) -> Result<(), NodeFailure> {
        let mut stack = vec![root];
        while let Some(ix) = stack.pop() {
            if self.list.state(ix) != State::Absent || self.nodes[ix].flags.inhibited {
                continue;
            }
            self.plan([ix])?;
            let class = self.class(ix);
            let first = class.def.output_node || matches!(class.behaviour.body, Body::Async(_));
            self.list.admit(ix, first);
            self.nodes[ix].flags.served = false;
            if self.serve(ix) {
                continue;
            }
            if let Some(routes) = self.nodes.routes(ix) {
                self.connect_all(ix, class, routes, &mut stack)?;
            } else if let Some(links) = self.nodes.take_links(ix) {
                self.connect_all(ix, class, &links, &mut stack)?;
            } else if let Some(node) = self.nodes.source(ix) {
                let links = self.resolve(ix, &node)?;
                self.connect_all(ix, class, &links, &mut stack)?;
            }
        }
        Ok(())
    }

    /// Adds the edges into a node. Sources that are not part of the run yet go onto the stack.
    fn connect_all(
        &mut self,
        ix: NodeIx,
        class: &Class,
        links: &[Route],
        stack: &mut Vec<NodeIx>,
    ) -> Result<(), NodeFailure> {
        for link in links.iter().rev() {
            let from = NodeIx(link.source);
            let usage = if self.is_lazy(ix, class, link) { Use::Lazy } else { Use::Strong };
            self.plan([from])?;
            self.connect(from, link.socket, ix, link.input, usage)?;
            if self.list.state(from) == State::Absent {
                stack.push(from);
            }
        }
        Ok(())
    }

    /// Adds an edge and its reader.
    pub(super) fn connect(
        &mut self,
        from: NodeIx,
        socket: u32,
        to: NodeIx,
        input: u32,
        usage: Use,
    ) -> Result<EdgeIx, NodeFailure> {
        let Some(at) = self.nodes[from].sockets.at(socket) else {
            let (source, has) = (self.nodes.id(from), self.nodes[from].sockets.count);
            let message = format!("a link wants output {socket} of node \"{source}\", which has {has} outputs");
            return Err(NodeFailure::at(to, NodeError::of(ErrorKind::DanglingLink, message)));
        };
        self.store.add_reader(at);
        Ok(self.list.connect(from, socket, to, input, usage))
    }

    /// Schedules a node and what it waits for.
    pub(super) fn demand(&mut self, root: NodeIx) -> Result<(), NodeFailure> {
        let mut stack = std::mem::take(&mut self.scratch.stack);
        stack.push(root);
        while let Some(ix) = stack.pop() {
            match self.list.state(ix) {
                State::Absent if self.nodes[ix].flags.inhibited => continue,
                State::Absent => self.admit(ix)?,
                State::Idle => {}
                _ => continue,
            }
            // A hit is done at once, unless it is to be shown.
            if self.list.state(ix) != State::Idle {
                continue;
            }
            self.list.schedule(ix);
            let mut edges = std::mem::take(&mut self.scratch.edges);
            edges.extend(self.list.inputs(ix));
            for at in edges.drain(..).rev() {
                if self.list.edge(at).usage == Use::Strong {
                    self.wait_for(at, &mut stack)?;
                }
            }
            self.scratch.edges = edges;
            self.list.settle(ix);
        }
        self.scratch.stack = stack;
        Ok(())
    }

    /// The reader of this edge waits for it, unless the value is there. Sources to schedule go onto the stack.
    pub(super) fn wait_for(&mut self, at: EdgeIx, stack: &mut Vec<NodeIx>) -> Result<(), NodeFailure> {
        let edge = *self.list.edge(at);
        let Some(socket) = self.nodes[edge.from].sockets.at(edge.socket) else { return Ok(()) };
        self.store.add_strong(socket);
        self.list.strengthen(at);
        if self.list.state(edge.from) == State::Done {
            if self.store.is_present(socket) {
                return self.recall(edge.from, edge.socket, edge.to);
            }
            self.rerun(edge.from, edge.socket, edge.to)?;
            if self.list.state(edge.from) == State::Done && self.store.is_present(socket) {
                return Ok(());
            }
        } else if self.nodes[edge.from].flags.served && self.store.is_present(socket) {
            // An output node out of the cache: its value may have been spilled before it had a reader.
            self.recall(edge.from, edge.socket, edge.to)?;
        }
        self.list.block(at);
        stack.push(edge.from);
        Ok(())
    }

    /// Brings the value on an output back into memory, if it was spilled. `reader` waits for it.
    pub(super) fn recall(&mut self, from: NodeIx, socket: u32, reader: NodeIx) -> Result<(), NodeFailure> {
        let Some(at) = self.nodes[from].sockets.at(socket) else { return Ok(()) };
        let recalled = self.store.recall(at, &mut self.session.live_bytes).map_err(|error| {
            let message = format!("a spilled output could not be read back: {error}");
            NodeFailure::at(reader, NodeError::of(ErrorKind::Spill, message))
        })?;
        if let Some(bytes) = recalled {
            self.emit_of(from, |prompt_id, node| Event::Recalled { prompt_id, node, socket, bytes });
        }
        Ok(())
    }

    /// A finished node whose output `socket` was dropped becomes part of the run again.
    pub(super) fn rerun(&mut self, ix: NodeIx, socket: u32, reader: NodeIx) -> Result<(), NodeFailure> {
        self.list.dismiss(ix);
        self.nodes[ix].flags.retired = false;
        self.admit(ix)?;
        if self.list.state(ix) != State::Done {
            let (node, needed_by) = (self.nodes.id(ix), self.nodes.id(reader));
            self.record(ix, || What::NeededAgain { by: needed_by.clone() });
            let prompt_id = self.shared.prompt_id.clone();
            self.shared.emit(|| Event::Reexecuted { prompt_id, node, socket, needed_by });
        }
        Ok(())
    }

    /// Takes all edges into a node away: it will not read anything any more. What nobody else can need goes, too.
    pub(super) fn unlink(&mut self, ix: NodeIx) {
        self.unlink_as(ix, true);
    }

    /// Same as [`unlink`](Self::unlink), for a node that was scheduled, so that its strong edges counted as such, or was not.
    pub(super) fn unlink_as(&mut self, ix: NodeIx, counted: bool) {
        let mut stack = std::mem::take(&mut self.scratch.gone);
        while let Some(edge) = self.list.pop_input(ix) {
            self.drop_edge(edge, counted, &mut stack);
        }
        self.drop_unneeded(&mut stack);
        self.scratch.gone = stack;
    }

    /// As [`unlink`](Self::unlink), for edges of a scheduled node that were taken before.
    pub(super) fn drop_edges(&mut self, edges: Vec<Edge>) {
        let mut stack = std::mem::take(&mut self.scratch.gone);
        for edge in edges {
            self.drop_edge(edge, true, &mut stack);
        }
        self.drop_unneeded(&mut stack);
        self.scratch.gone = stack;
    }

    /// `counted` says that the reader was scheduled, so that its strong edges counted as such.
    fn drop_edge(&mut self, edge: Edge, counted: bool, gone: &mut Vec<NodeIx>) {
        let source = edge.from;
        if let Some(socket) = self.nodes[source].sockets.at(edge.socket) {
            self.release(source, edge.socket, socket, counted && edge.usage == Use::Strong);
        }
        if self.list.is_wanted(source) || self.nodes[source].flags.root {
            return;
        }
        match self.list.state(source) {
            State::Idle => gone.push(source),
            State::Done => self.retire(source),
            _ => {}
        }
    }

    /// Nodes that never ran and that nobody can ask for any more leave the run, with what only they could need.
    fn drop_unneeded(&mut self, gone: &mut Vec<NodeIx>) {
        while let Some(ix) = gone.pop() {
            if self.list.state(ix) != State::Idle || self.list.is_wanted(ix) {
                continue;
            }
            while let Some(edge) = self.list.pop_input(ix) {
                self.drop_edge(edge, false, gone);
            }
            self.list.dismiss(ix);
            self.retire(ix);
        }
    }

    fn release(&mut self, ix: NodeIx, number: u32, socket: usize, strong: bool) {
        let spill = Spilling::to(self.spill.as_ref(), &self.engine.codecs);
        let released = self.store.release(socket, strong, &mut self.session.live_bytes, spill);
        self.was_released(ix, number, released);
    }

    /// Reports an output that went, if it did. What the cache keeps of it goes out of memory as well, if there is a place.
    pub(super) fn was_released(&mut self, ix: NodeIx, socket: u32, released: Released) {
        match released {
            Released::Kept => return,
            Released::Dropped(bytes) => self.was_dropped(ix, socket, bytes),
            Released::Spilled(bytes) => {
                self.emit_of(ix, |prompt_id, node| Event::Spilled { prompt_id, node, socket, bytes });
            }
        }
        if self.spills_results {
            self.spill_result(ix);
        }
    }

    fn was_dropped(&mut self, ix: NodeIx, socket: u32, bytes: u64) {
        self.summary.dropped += 1;
        self.record(ix, || What::Dropped { socket, bytes });
        self.emit_of(ix, |prompt_id, node| Event::Dropped { prompt_id, node, socket, bytes });
    }

    /// What the cache keeps of a node goes out of memory, unless the node's outputs are there as well.
    fn spill_result(&mut self, ix: NodeIx) {
        let Some(spill) = Spilling::to(self.spill.as_ref(), &self.engine.codecs) else { return };
        let (sockets, store) = (self.nodes[ix].sockets, &self.store);
        let in_memory = (0..sockets.count).filter_map(|n| sockets.at(n)).any(|at| store.get(at).is_some());
        if in_memory {
            return;
        }
        let Some(key) = self.cache_key(ix) else { return };
        let written = |n: usize| store.spilled(sockets.at(n as u32)?).map(Arc::clone);
        let session = &mut *self.session;
        session.cache.spill(&key, written, spill, &mut session.live_bytes);
    }

    /// A node of an expansion that nothing refers to any more joins the finished nodes; the oldest of them is forgotten.
    pub(super) fn retire(&mut self, ix: NodeIx) {
        let node = &self.nodes[ix];
        let gone = node.flags.detached
            && !node.flags.retired
            && node.added.is_some()
            && !node.flags.once
            && !self.list.is_wanted(ix)
            && matches!(self.list.state(ix), State::Done | State::Absent)
            && !self.is_kept_whole();
        if !gone {
            return;
        }
        self.nodes[ix].flags.retired = true;
        self.finished_nodes.push_back(ix);
        while self.finished_nodes.len() > self.options.keep_ephemeral {
            if let Some(oldest) = self.finished_nodes.pop_front() {
                self.forget(oldest);
            }
        }
    }

    /// Level 0 keeps values, so it keeps the nodes that have them. Where lazy readers do not count, a value that one of
    /// them asks for may have to be computed again, from ancestors that nothing else refers to.
    fn is_kept_whole(&self) -> bool {
        self.keeps_everything || self.lazy_uncounted
    }

    fn forget(&mut self, ix: NodeIx) {
        let node = &self.nodes[ix];
        // It may have been asked for again, or replaced, since it was retired.
        let still = node.flags.retired
            && !self.list.is_wanted(ix)
            && matches!(self.list.state(ix), State::Done | State::Absent);
        if !still {
            self.nodes[ix].flags.retired = false;
            return;
        }
        let sockets = node.sockets;
        self.store.free(sockets, &mut self.session.live_bytes);
        self.list.dismiss(ix);
        if let Some(id) = self.nodes.remove(ix) {
            std::sync::Arc::make_mut(&mut self.graph).remove(id.as_str());
        }
    }
}
