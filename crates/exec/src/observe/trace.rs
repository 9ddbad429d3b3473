//! Traces: what ran when, for how long, and what it held. The material for pictures and explanations.

use std::sync::Arc;

use kiln_graph::NodeId;
use serde::Serialize;

/// Everything that ran in one run, in order.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Trace {
    /// One entry per thing that happened.
    pub steps: Vec<Step>,
}

/// One thing that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// To which node.
    pub node: NodeId,
    /// Its class.
    pub class_type: Arc<str>,
    /// What happened.
    pub what: What,
    /// Microseconds since the run began.
    pub at_micros: u64,
    /// Payload bytes alive afterwards.
    pub live_bytes: u64,
}

/// What happened to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It ran.
    Ran {
        /// Time in its own code.
        micros: u64,
        /// Bytes of its outputs.
        bytes: u64,
        /// Where its inputs came from.
        sources: Vec<NodeId>,
    },
    /// Its result was taken from the cache.
    Cached,
    /// It returned a graph of so many nodes.
    Expanded {
        /// How many.
        nodes: usize,
    },
    /// One of its outputs was dropped.
    Dropped {
        /// Which.
        socket: u32,
        /// Bytes that came free.
        bytes: u64,
    },
    /// It has to run again, because somebody needs what was dropped.
    NeededAgain {
        /// Who.
        by: NodeId,
    },
    /// It failed.
    Failed,
}
