//! Abandoned calls: nodes that did not come back after a cancel. Knows what they hold, not how they came to be stuck.

use std::fmt;
use std::time::Instant;

use kiln_graph::NodeId;

use crate::sync::{Arc, Mutex, Weak, lock};

/// A node that did not come back after a cancel. Its thread cannot be ended from outside; it holds what it holds until
/// it returns by itself.
#[derive(Clone)]
pub struct AbandonedCall {
    /// The node.
    pub node: Option<NodeId>,
    /// The node of the prompt that it comes from.
    pub real_node: Option<NodeId>,
    /// The run it was part of.
    pub prompt_id: std::sync::Arc<str>,
    /// When it was abandoned.
    pub since: Instant,
    /// Payload bytes that its call, or its whole run, still refers to and that the engine no longer counts.
    pub bytes: u64,
}

impl fmt::Debug for AbandonedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.node.as_ref().map_or("?", NodeId::as_str);
        write!(f, "node \"{node}\" of run {}, {} bytes, for {:?}", self.prompt_id, self.bytes, self.since.elapsed())
    }
}

/// Says, by being alive, that a call has not returned.
pub(crate) type CallToken = Arc<()>;

/// All calls that were abandoned and have not come back.
#[derive(Default)]
pub(crate) struct AbandonedCalls(Mutex<Vec<(Weak<()>, AbandonedCall)>>);

impl AbandonedCalls {
    pub(crate) fn add(&self, token: Weak<()>, node: AbandonedCall) {
        let mut all = lock(&self.0);
        all.retain(|(token, _)| token.strong_count() > 0);
        all.push((token, node));
    }

    pub(crate) fn list(&self) -> Vec<AbandonedCall> {
        let mut all = lock(&self.0);
        all.retain(|(token, _)| token.strong_count() > 0);
        all.iter().map(|(_, node)| node.clone()).collect()
    }
}
