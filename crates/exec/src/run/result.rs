//! Results: what a node's calls returned becomes its outputs; the end of a run becomes a report or an error.

use std::sync::Arc;

use kiln_graph::NodeId;
use kiln_graph::schedule::{NodeIx, State};

use crate::engine::{InputReport, Report, RunError, RunErrorInner};
use crate::error::NodeError;
use crate::node::{Answer, Arg, Produced};
use crate::observe::What;
use crate::run::call::{CallResult, Prepared, Where};
use crate::run::execution::Execution;
use crate::run::expansion::{join_ui, joined, padded};
use crate::run::failure::NodeFailure;
use crate::run::nodes::Node;
use crate::value::{Blocker, Value, Values};
use kiln_graph::Validated;

impl Execution<'_> {
    /// The usual case: one call, and it returned values.
    pub(super) fn finish_call(&mut self, ix: NodeIx, produced: &mut Produced) {
        let ui = produced.ui.take();
        self.complete(ix, &mut produced.outputs, ui);
    }

    /// All calls of a node have returned.
    pub(super) fn answered(&mut self, ix: NodeIx, results: Vec<CallResult>) -> Result<(), NodeFailure> {
        if results.iter().any(|result| matches!(result.answer, Answer::Expand(_))) {
            return self.expand(ix, results);
        }
        let count = self.nodes[ix].sockets.count as usize;
        let mut sockets: Vec<Vec<Values>> = vec![Vec::with_capacity(results.len()); count];
        let mut ui = None;
        for CallResult { answer, mut produced } in results {
            join_ui(&mut ui, produced.ui.take());
            let values = match answer {
                Answer::Done => padded(produced.outputs, count),
                Answer::Block(blocker) => vec![Values::One(Value::Blocker(blocker)); count],
                // Handled above.
                Answer::Expand(_) => vec![Values::One(Value::Blocker(Blocker::silent())); count],
            };
            sockets.iter_mut().zip(values).for_each(|(all, one)| all.push(one));
        }
        let mut outputs: Vec<Values> = sockets.into_iter().map(joined).collect();
        self.complete(ix, &mut outputs, ui);
        Ok(())
    }

    /// The end: everything is released, and whoever waits gets a report.
    pub(super) fn end(mut self, driven: Result<(), NodeFailure>, checked: Validated) -> Result<Report, RunError> {
        let failure = driven.err().map(|failure| {
            if let Some(ix) = failure.node {
                self.record(ix, || What::Failed);
            }
            self.run_error(failure.node, failure.error)
        });
        self.emit_end(failure.as_ref());
        let report = self.report(checked);
        match failure {
            None => Ok(report),
            Some(failure) => Err(failure.with_report(report)),
        }
    }

    fn report(&mut self, checked: Validated) -> Report {
        let fetched = self.fetched();
        let explanations = if self.trace.is_some() { self.explanations() } else { Vec::new() };
        self.session.memory.remember(self.prompt);
        if let Some(provider) = &self.engine.provider {
            provider.prompt_end(&self.shared.prompt_id);
        }
        self.hits.clear();
        self.store.clear(&mut self.session.live_bytes);
        let mut summary = self.summary;
        summary.peak_bytes = self.session.live_bytes.peak();
        summary.live_bytes_at_end = self.session.live_bytes.live();
        summary.peak_nodes = self.nodes.peak as u64;
        Report {
            prompt_id: Arc::clone(&self.shared.prompt_id),
            outputs: std::mem::take(&mut self.outputs),
            fetched,
            failures: std::mem::take(&mut self.failures),
            node_errors: checked.node_errors,
            summary,
            trace: self.trace.take(),
            explanations,
        }
    }

    /// An error with everything that is known about its node.
    pub(super) fn run_error(&self, node: Option<NodeIx>, error: NodeError) -> RunError {
        let finished =
            |ix: NodeIx, node: &Node| node.runs > 0 && !node.flags.failed && self.list.state(ix) == State::Done;
        let executed = self.nodes.iter().filter(|(ix, node)| finished(*ix, node)).map(|(ix, _)| self.nodes.id(ix));
        let executed = executed.collect();
        let class = node.and_then(|ix| self.nodes.source(ix)).map(|source| source.class_type.clone());
        RunError::new(RunErrorInner {
            error,
            class_type: class,
            path: node.map(|ix| self.graph.path(&self.nodes.id(ix))).unwrap_or_default(),
            shown: node.and_then(|ix| self.shown_instead(ix)),
            inputs: node.map(|ix| self.input_reports(ix)).unwrap_or_default(),
            executed,
            refused: None,
            report: None,
        })
    }

    /// The node that is shown in place of one out of an expansion, unless that is where the expansion comes from.
    fn shown_instead(&self, ix: NodeIx) -> Option<NodeId> {
        let ids = self.nodes.ids(ix);
        Some(ids.display()).filter(|shown| *shown != ids.real() && Some(*shown) != ids.parent()).cloned()
    }

    /// Types and sizes of a node's inputs, as far as they are there.
    fn input_reports(&self, ix: NodeIx) -> Vec<InputReport> {
        let Some(node) = self.nodes.source(ix).filter(|_| self.nodes[ix].flags.planned) else { return Vec::new() };
        let class = self.class(ix);
        let mut prepared = Prepared::default();
        // What cannot be gathered is left out: the report is about what there was.
        let _ = self.prepare(ix, &node, class, &mut prepared);
        let report = |(place, arg): (Where, Arg)| {
            let Arg::Values(values) = arg else { return None };
            let name = match place {
                Where::Slot(slot) => class.def.inputs[slot as usize].name.clone(),
                Where::Extra(name) => name,
            };
            let shown =
                values.iter().take(16).map(|value| value.to_json().unwrap_or_else(|| format!("{value:?}").into()));
            Some(InputReport {
                name,
                type_name: values.at(0).map_or("", Value::type_name).to_owned(),
                count: values.len(),
                bytes: values.bytes(),
                shown: shown.collect(),
            })
        };
        prepared.inputs.into_iter().filter_map(report).collect()
    }
}
