//! The context of a call: who is running, how to report progress, how to return a graph, which services there are.

use std::any::Any;
use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kiln_graph::NodeId;

use crate::build::{GraphBuilder, Handles, Outputs};
use crate::cancel::Cancel;
use crate::error::NodeError;
use crate::host::Host;
use crate::node::outcome::{Expansion, Outcome};
use crate::node::schedule::ScheduleRequests;
use crate::observe::{Event, Listener, NodeProgress, NodeState, Preview};

/// What a node may know of the run that calls it.
#[derive(Clone)]
pub struct Cx {
    pub(crate) shared: Arc<Shared>,
    pub(crate) ids: Ids,
    pub(crate) call: u32,
    pub(crate) graphs: u32,
}

/// What all calls of one run share.
pub(crate) struct Shared {
    pub prompt_id: Arc<str>,
    pub cancel: Cancel,
    /// The run is over for another reason: calls that are still under way stop at their next checkpoint.
    pub halted: AtomicBool,
    pub host: Arc<Host>,
    /// What nodes request of the schedule.
    pub requests: Arc<ScheduleRequests>,
    pub listener: Option<Listener>,
    /// Whether [`Event::ProgressState`] is reported.
    pub progress_states: bool,
}

impl Shared {
    /// Reports to whoever listens. The event is built only then.
    #[inline]
    pub(crate) fn emit(&self, event: impl FnOnce() -> Event) {
        if let Some(listener) = &self.listener {
            listener(&event());
        }
    }

    /// Reports how far a node is, in the form in which clients draw all nodes at once.
    /// `ids` is asked only where somebody listens.
    pub(crate) fn emit_state<I: Borrow<Ids>>(&self, ids: impl FnOnce() -> I, value: f64, max: f64, state: NodeState) {
        if self.progress_states {
            self.emit(|| ids().borrow().progress(&self.prompt_id, value, max, state));
        }
    }
}

/// The ids of a node: its own, and for a node out of an expansion those of its ancestors.
#[derive(Clone)]
pub(crate) struct Ids {
    pub id: NodeId,
    pub ancestry: Option<Arc<Ancestry>>,
}

/// Where a node out of an expansion comes from.
pub(crate) struct Ancestry {
    pub display: NodeId,
    pub parent: NodeId,
    pub real: NodeId,
}

impl Ids {
    pub(crate) fn display(&self) -> &NodeId {
        self.ancestry.as_ref().map_or(&self.id, |a| &a.display)
    }
    pub(crate) fn real(&self) -> &NodeId {
        self.ancestry.as_ref().map_or(&self.id, |a| &a.real)
    }
    pub(crate) fn parent(&self) -> Option<&NodeId> {
        self.ancestry.as_ref().map(|a| &a.parent)
    }
    /// From the node of the prompt down to this one, as far as it is known here.
    pub(crate) fn path(&self) -> Vec<NodeId> {
        let mut path = vec![self.real().clone(), self.parent().unwrap_or(&self.id).clone(), self.id.clone()];
        path.dedup();
        path
    }
    fn progress(&self, prompt_id: &Arc<str>, value: f64, max: f64, state: NodeState) -> Event {
        let progress = NodeProgress {
            value,
            max,
            state,
            node_id: self.id.clone(),
            prompt_id: prompt_id.clone(),
            display_node_id: self.display().clone(),
            parent_node_id: self.parent().cloned(),
            real_node_id: self.real().clone(),
        };
        Event::ProgressState { prompt_id: prompt_id.clone(), nodes: vec![progress] }
    }
}

impl Cx {
    /// The id of the running node, its own also when it came out of an expansion.
    pub fn node_id(&self) -> &NodeId {
        &self.ids.id
    }

    /// The id of the run.
    pub fn prompt_id(&self) -> &Arc<str> {
        &self.shared.prompt_id
    }

    /// Which call of a mapped node this is, from 0.
    pub fn call_index(&self) -> u32 {
        self.call
    }

    /// The service of type `T` that the embedding program lent to the engine.
    ///
    /// # Errors
    /// When there is none.
    pub fn host<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, NodeError> {
        self.shared.host.require()
    }

    /// The service of type `T`, if the embedding program lent one.
    pub fn try_host<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.shared.host.get()
    }

    /// The flag that cancels this run, for code that runs elsewhere and wants to look.
    pub fn cancel(&self) -> &Cancel {
        &self.shared.cancel
    }

    /// Returns at once, with an error when the run was cancelled: `cx.checkpoint()?`.
    ///
    /// # Errors
    /// `Interrupted`.
    pub fn checkpoint(&self) -> Result<(), NodeError> {
        let over = self.shared.cancel.is_cancelled() || self.shared.halted.load(Ordering::Acquire);
        if over { Err(NodeError::interrupted()) } else { Ok(()) }
    }

    /// A bar of `max` steps. Every step is a cancellation point: `bar.step()?`.
    pub fn progress(&self, max: impl Into<f64>) -> Progress {
        Progress { cx: self.clone(), value: 0.0, max: max.into() }
    }

    /// Shows a line of text at a node, this one or another: how far a loop is.
    pub fn show_text(&self, node: &NodeId, text: impl FnOnce() -> String) {
        let shared = &self.shared;
        shared.emit(|| Event::ProgressText {
            prompt_id: shared.prompt_id.clone(),
            node: node.clone(),
            text: text().into(),
        });
    }

    /// A builder whose nodes get ids under this node's own.
    pub fn graph(&mut self) -> GraphBuilder {
        let prefix = kiln_graph::expansion_prefix(&self.ids.id, self.call, self.graphs);
        self.graphs += 1;
        GraphBuilder::with_prefix(prefix)
    }

    /// Returns a graph in place of values. Its nodes are scheduled, cached and cancelled like any other.
    pub fn expand<T: Outputs>(&mut self, build: impl FnOnce(&GraphBuilder) -> T::Handles) -> Outcome<T> {
        let graph = self.graph();
        let results = build(&graph).sources();
        Outcome::Expand(Expansion::new(graph.into_prompt(), results))
    }
}

/// A progress bar. Dropping it early is fine.
pub struct Progress {
    cx: Cx,
    value: f64,
    max: f64,
}

impl Progress {
    /// One more step is done.
    ///
    /// # Errors
    /// `Interrupted` when the run was cancelled.
    pub fn step(&mut self) -> Result<(), NodeError> {
        self.set(self.value + 1.0)
    }

    /// One more step is done, and this is what it looks like so far.
    ///
    /// # Errors
    /// `Interrupted` when the run was cancelled.
    pub fn step_with(&mut self, preview: impl Any + Send + Sync) -> Result<(), NodeError> {
        self.report(self.value + 1.0, Some(Preview(Arc::new(preview))))
    }

    /// `value` of the steps are done.
    ///
    /// # Errors
    /// `Interrupted` when the run was cancelled.
    pub fn set(&mut self, value: impl Into<f64>) -> Result<(), NodeError> {
        self.report(value.into(), None)
    }

    /// Whether anybody listens; a preview that costs something need not be made otherwise.
    pub fn is_watched(&self) -> bool {
        self.cx.shared.listener.is_some()
    }

    fn report(&mut self, value: f64, preview: Option<Preview>) -> Result<(), NodeError> {
        self.cx.checkpoint()?;
        self.value = value.min(self.max);
        let (shared, ids) = (&self.cx.shared, &self.cx.ids);
        shared.emit_state(|| ids, self.value, self.max, NodeState::Running);
        shared.emit(|| Event::Progress {
            value: self.value,
            max: self.max,
            prompt_id: shared.prompt_id.clone(),
            node: ids.id.clone(),
            preview,
        });
        Ok(())
    }
}
