//! Events for whoever listens, records for the trace. Costs a look when there is neither.

use std::sync::Arc;

use kiln_graph::NodeId;
use kiln_graph::schedule::NodeIx;

use crate::engine::RunError;
use crate::observe::{ErrorEvent, Event, Explanation, Step, What, now};
use crate::run::execution::Execution;

impl Execution<'_> {
    /// Reports something of a node. The event is built only if anybody listens.
    pub(super) fn emit_of(&self, ix: NodeIx, event: impl FnOnce(Arc<str>, NodeId) -> Event) {
        self.emit(|| event(Arc::clone(&self.shared.prompt_id), self.nodes.id(ix)));
    }

    pub(super) fn emit_start(&self) {
        if let Some(provider) = &self.engine.provider {
            provider.prompt_start(&self.shared.prompt_id);
        }
        let prompt_id = &self.shared.prompt_id;
        self.emit(|| Event::ExecutionStart { prompt_id: prompt_id.clone(), timestamp: now() });
    }

    /// Which nodes of the prompt have their results in the cache.
    pub(super) fn emit_cached(&self) {
        if self.shared.listener.is_none() {
            return;
        }
        let known = self.nodes.iter().filter(|(_, node)| node.flags.known);
        let nodes = known.map(|(ix, _)| self.nodes.id(ix)).collect();
        let prompt_id = Arc::clone(&self.shared.prompt_id);
        self.emit(|| Event::ExecutionCached { nodes, prompt_id, timestamp: now() });
    }

    pub(super) fn emit_end(&self, failure: Option<&RunError>) {
        let prompt_id = &self.shared.prompt_id;
        match failure {
            None => self.emit(|| Event::ExecutionSuccess { prompt_id: prompt_id.clone(), timestamp: now() }),
            Some(failure) if failure.is_interrupted() => self.emit(|| Event::ExecutionInterrupted {
                prompt_id: prompt_id.clone(),
                node_id: failure.node().cloned(),
                node_type: failure.class_type().map(Arc::from),
                executed: failure.executed().to_vec(),
                timestamp: now(),
            }),
            Some(failure) => self.emit_failed(failure),
        }
    }

    pub(super) fn emit_failed(&self, failure: &RunError) {
        let shared = &self.shared;
        shared.emit(|| {
            let inputs = failure.inputs().iter().map(|input| (input.name.to_string(), input.shown.clone()));
            // The client looks the class up by this id, so it must be one of the prompt.
            let class = failure.node().and_then(|id| self.prompt.get(id.as_str())).map(|node| node.class_type.clone());
            Event::ExecutionError(Box::new(ErrorEvent {
                prompt_id: shared.prompt_id.clone(),
                node_id: failure.node().cloned(),
                node_type: class,
                executed: failure.executed().to_vec(),
                exception_message: failure.message().to_owned(),
                exception_type: failure.node_error().type_name().to_owned(),
                traceback: failure.node_path().iter().map(ToString::to_string).collect(),
                current_inputs: serde_json::Value::Object(inputs.collect()),
                current_outputs: self.current_outputs(),
                timestamp: Some(now()),
            }))
        });
    }

    /// Nodes whose outputs are there.
    fn current_outputs(&self) -> Vec<NodeId> {
        let has = |ix: NodeIx| {
            let sockets = self.nodes[ix].sockets;
            (0..sockets.count).any(|n| sockets.at(n).is_some_and(|at| self.store.is_present(at)))
        };
        self.nodes.iter().map(|(ix, _)| ix).filter(|ix| has(*ix)).map(|ix| self.nodes.id(ix)).collect()
    }

    /// Writes into the trace, if there is one.
    pub(super) fn record(&mut self, ix: NodeIx, what: impl FnOnce() -> What) {
        if self.trace.is_none() {
            return;
        }
        let step = Step {
            node: self.nodes.id(ix),
            class_type: self.nodes.source(ix).map(|node| node.class_type.clone()).unwrap_or_default(),
            what: what(),
            at_micros: self.begun.elapsed().as_micros() as u64,
            live_bytes: self.session.live_bytes.live(),
        };
        if let Some(trace) = &mut self.trace {
            trace.steps.push(step);
        }
    }

    /// Why each node ran or did not.
    pub(super) fn explanations(&self) -> Vec<Explanation> {
        let Some(trace) = &self.trace else { return Vec::new() };
        self.session.memory.explain(self.prompt, trace)
    }

    pub(super) fn record_run(&mut self, ix: NodeIx, bytes: u64) {
        if self.trace.is_none() {
            return;
        }
        let sources = self.list.inputs(ix).map(|edge| self.nodes.id(self.list.edge(edge).from)).collect();
        let micros = self.last_elapsed.as_micros() as u64;
        self.record(ix, || What::Ran { micros, bytes, sources });
    }
}
