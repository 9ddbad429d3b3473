//! The loop of a run: starts nodes, takes in what came back, and decides what a failure means.

use std::sync::Arc;
use std::time::Instant;

use kiln_graph::schedule::{NodeIx, State};
use kiln_graph::{Link, NodeId, Validated};

use crate::engine::{AbandonedCall, ActiveCall, OnFailure, Report, RunError};
use crate::error::{ErrorKind, NodeError};
use crate::observe::Event;
use crate::run::execution::Execution;
use crate::run::failure::NodeFailure;
use crate::run::in_flight::Completion;
use crate::sync::Weak;
use crate::value::Values;

impl Execution<'_> {
    /// Runs to the end, whatever that is.
    pub(crate) fn run(mut self, checked: Validated) -> Result<Report, RunError> {
        let waker = futures::task::waker(Arc::clone(&self.in_flight.mailbox));
        self.shared.requests.set_waker(waker.clone());
        let _awake = self.shared.cancel.add_waker(waker);
        self.emit_start();
        let driven = self.drive(&checked.outputs);
        self.shared.halted.store(true, std::sync::atomic::Ordering::Release);
        for (node, token) in self.in_flight.stop(&self.engine.lanes, self.options.grace) {
            self.abandon_call(node, token);
        }
        self.end(driven, checked)
    }

    fn drive(&mut self, outputs: &[NodeId]) -> Result<(), NodeFailure> {
        self.check_size()?;
        let roots = self.roots(outputs)?;
        self.plan(roots.iter().copied())?;
        for root in &roots {
            self.nodes[*root].flags.root = true;
            self.store.pin(self.nodes[*root].sockets);
        }
        self.clean_cache();
        self.emit_cached();
        for root in &roots {
            self.demand(*root)?;
        }
        self.choose_order();
        loop {
            self.checkpoint()?;
            while !self.in_flight.is_empty()
                && let Some(completion) = self.next_completion()?
            {
                let node = completion.node;
                let result = self.complete_call(completion);
                self.handle_failure(node, result)?;
            }
            if self.shared.requests.has_requests() {
                self.apply_requests()?;
            }
            if let Some(ix) = self.next() {
                let result = self.dispatch(ix);
                self.handle_failure(ix, result)?;
            } else if !self.in_flight.is_empty() || self.waits_for_release() {
                if let Some(completion) = self.in_flight.wait() {
                    let node = completion.node;
                    let result = self.complete_call(completion);
                    self.handle_failure(node, result)?;
                }
            } else if self.list.unfinished() > 0 {
                return Err(self.dependency_cycle());
            } else {
                return Ok(());
            }
        }
    }

    fn check_size(&self) -> Result<(), NodeFailure> {
        let (nodes, most) = (self.prompt.len(), self.options.max_nodes);
        if nodes > most as usize {
            let message = format!("the prompt has {nodes} nodes; the limit is {most}");
            return Err(NodeFailure { node: None, error: NodeError::of(ErrorKind::Limit, message) });
        }
        Ok(())
    }

    /// The nodes to run: the outputs, and the nodes of outputs that are to be fetched.
    fn roots(&self, outputs: &[NodeId]) -> Result<Vec<NodeIx>, NodeFailure> {
        let fetched = self.options.fetch.iter().map(|link| &link.node);
        let mut roots = Vec::with_capacity(outputs.len());
        for id in outputs.iter().chain(fetched) {
            let ix = self.nodes.find(id).ok_or_else(|| NodeFailure {
                node: None,
                error: NodeError::of(ErrorKind::DanglingLink, format!("there is no node \"{id}\" to run")),
            })?;
            roots.push(ix);
        }
        Ok(roots)
    }

    /// A call that came back from a lane, or has waited long enough.
    fn next_completion(&mut self) -> Result<Option<Completion>, NodeFailure> {
        if let Some(completion) = self.in_flight.returned() {
            return Ok(Some(completion));
        }
        if !self.in_flight.is_waiting() {
            return Ok(None);
        }
        // Polling runs code of nodes, whichever can go on.
        self.session.pause(ActiveCall { node: None, summary: self.summary });
        let completion = self.in_flight.poll();
        self.resume().map(|()| completion)
    }

    /// Lets go of the session while code of this node runs.
    pub(super) fn pause(&mut self, ix: NodeIx) {
        self.session.pause(ActiveCall { node: Some(self.nodes.ids(ix)), summary: self.summary });
    }

    pub(super) fn resume(&mut self) -> Result<(), NodeFailure> {
        if self.session.resume() { Ok(()) } else { Err(NodeFailure { node: None, error: NodeError::interrupted() }) }
    }

    /// A call on a lane did not come back.
    fn abandon_call(&mut self, ix: NodeIx, token: Weak<()>) {
        let ids = self.nodes.ids(ix);
        let inputs = self.list.inputs(ix).map(|at| self.list.edge(at));
        let bytes = inputs.filter_map(|edge| self.store.get(self.nodes[edge.from].sockets.at(edge.socket)?));
        let call = AbandonedCall {
            bytes: bytes.map(Values::bytes).sum(),
            node: Some(ids.id.clone()),
            real_node: Some(ids.real().clone()),
            prompt_id: Arc::clone(&self.shared.prompt_id),
            since: Instant::now(),
        };
        self.engine.abandoned.add(token, call);
    }

    fn checkpoint(&self) -> Result<(), NodeFailure> {
        if self.shared.cancel.is_cancelled() {
            return Err(NodeFailure { node: None, error: NodeError::interrupted() });
        }
        Ok(())
    }

    /// What a failure of this node means for the run.
    fn handle_failure(&mut self, ix: NodeIx, result: Result<(), NodeFailure>) -> Result<(), NodeFailure> {
        let Err(failure) = result else { return Ok(()) };
        let failure = NodeFailure { node: failure.node.or(Some(ix)), ..failure };
        let isolated = self.options.on_failure == OnFailure::Continue
            && failure.node == Some(ix)
            && failure.error.kind() != ErrorKind::Interrupted
            && self.list.state(ix) == State::Running;
        if !isolated {
            return Err(failure);
        }
        self.isolate_failure(ix, failure.error);
        Ok(())
    }

    /// Nothing can start and nothing is under way: nodes wait for each other.
    fn dependency_cycle(&self) -> NodeFailure {
        let cycle = self.list.cycle().unwrap_or_default();
        let names: Vec<String> = cycle.iter().map(|ix| format!("\"{}\"", self.nodes.id(*ix))).collect();
        let blamed = cycle.iter().find(|ix| self.nodes[**ix].added.is_some()).or(cycle.first()).copied();
        let message = match names.first() {
            Some(first) => format!("Dependency cycle detected: {} → {first}", names.join(" → ")),
            None if self.blocked > 0 => "a node is blocked from outside, and nobody is left to release it".to_owned(),
            None => "nodes wait for one that will not run".to_owned(),
        };
        NodeFailure { node: blamed, error: NodeError::of(ErrorKind::DependencyCycle, message) }
    }

    pub(super) fn fetched(&mut self) -> Vec<(Link, Values)> {
        let mut found = Vec::new();
        for link in &self.options.fetch {
            let node = self.nodes.find(&link.node).map(|ix| self.nodes[ix].sockets);
            let Some(at) = node.and_then(|sockets| sockets.at(u32::try_from(link.socket).ok()?)) else { continue };
            if let Err(error) = self.store.recall(at, &mut self.session.live_bytes) {
                tracing::warn!(%link, %error, "a spilled output could not be read back");
            }
            if let Some(values) = self.store.get(at) {
                found.push((link.clone(), values.clone()));
            }
        }
        found
    }

    pub(super) fn emit(&self, event: impl FnOnce() -> Event) {
        self.shared.emit(event);
    }
}
