//! Schedule requests: what nodes want of the schedule of their run.
//!
//! ComfyUI of 2026 hands nodes the execution list itself; its core loops use four of its operations. Here a node asks
//! for them, from whatever thread, and the run does what was asked between two nodes. Knows ids, no schedule.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use kiln_graph::{NodeId, PromptNode};

use crate::sync::{Arc, Mutex, lock};
use crate::value::Values;

/// Something to be done to the schedule.
#[derive(Debug)]
pub(crate) enum Request {
    /// The node is to run.
    Add(NodeId),
    /// These are not to run any more.
    Inhibit(Vec<NodeId>),
    /// The node is another one, for this run.
    Override(NodeId, Box<PromptNode>),
    /// The node waits for something outside.
    Block(NodeId),
    /// It waits no longer. With outputs it need not run at all.
    Release(NodeId, Option<Vec<Values>>),
}

/// What nodes of one run have asked for.
#[derive(Default)]
pub(crate) struct ScheduleRequests {
    requests: Mutex<Vec<(NodeId, Request)>>,
    any: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl ScheduleRequests {
    /// Wakes the run when something is asked.
    pub(crate) fn set_waker(&self, waker: Waker) {
        *lock(&self.waker) = Some(waker);
    }

    fn push(&self, by: &NodeId, request: Request) {
        lock(&self.requests).push((by.clone(), request));
        self.any.store(true, Ordering::Release);
        if let Some(waker) = &*lock(&self.waker) {
            waker.wake_by_ref();
        }
    }

    /// Whether something was asked since the last [`take`](Self::take).
    pub(crate) fn has_requests(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// What was asked, in order, and by whom.
    pub(crate) fn take(&self) -> Vec<(NodeId, Request)> {
        self.any.store(false, Ordering::Release);
        std::mem::take(&mut *lock(&self.requests))
    }
}

/// `EXECUTION_LIST`: the schedule of the run that the node is part of, as a place to ask.
///
/// What is asked happens once the call has returned, before another node starts; from another thread, between two
/// nodes. An ask that makes no sense then (there is no such node, it has run already) is an error of the asking node.
/// The run waits for a [`block`](Self::block) as long as somebody holds a `Schedule` who could release it.
#[derive(Clone)]
pub struct Schedule {
    requests: Arc<ScheduleRequests>,
    by: NodeId,
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Schedule for \"{}\"", self.by)
    }
}

impl Schedule {
    pub(crate) fn new(requests: &Arc<ScheduleRequests>, by: NodeId) -> Self {
        Self { requests: Arc::clone(requests), by }
    }

    /// The node is to run, also if nothing needs it.
    pub fn add_node(&self, node: impl Into<NodeId>) {
        self.requests.push(&self.by, Request::Add(node.into()));
    }

    /// These nodes are not to run any more in this run. Whatever still waits for one of them must be given another
    /// definition, or outputs.
    pub fn inhibit_nodes(&self, nodes: impl IntoIterator<Item = NodeId>) {
        self.requests.push(&self.by, Request::Inhibit(nodes.into_iter().collect()));
    }

    /// For this run the node is another one, of as many outputs. It must not have run yet.
    pub fn override_node(&self, node: impl Into<NodeId>, definition: PromptNode) {
        self.requests.push(&self.by, Request::Override(node.into(), Box::new(definition)));
    }

    /// The node is to run, but not before it is released as often as it was blocked.
    pub fn block(&self, node: impl Into<NodeId>) {
        self.requests.push(&self.by, Request::Block(node.into()));
    }

    /// Takes a [`block`](Self::block) away.
    pub fn release(&self, node: impl Into<NodeId>) {
        self.requests.push(&self.by, Request::Release(node.into(), None));
    }

    /// Takes a [`block`](Self::block) away and gives the node its outputs: it does not run.
    pub fn release_with(&self, node: impl Into<NodeId>, outputs: Vec<Values>) {
        self.requests.push(&self.by, Request::Release(node.into(), Some(outputs)));
    }
}
