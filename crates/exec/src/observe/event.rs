//! Events: ComfyUI's messages as types, plus what only Kiln reports (dropped, reexecuted, expanded).
//!
//! As JSON they are `{"type": …, "data": {…}}`, to the letter of ComfyUI's websocket dialect.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use kiln_graph::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Something that happened during a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A run begins.
    ExecutionStart {
        /// Which run.
        prompt_id: Arc<str>,
        /// Milliseconds since 1970.
        timestamp: u64,
    },
    /// The nodes of the prompt whose outputs are known already. Sent even when there are none.
    ExecutionCached {
        /// Ids in prompt order.
        nodes: Vec<NodeId>,
        /// Which run.
        prompt_id: Arc<str>,
        /// Milliseconds since 1970.
        timestamp: u64,
    },
    /// A node is about to be called; without a node: the run is over.
    Executing {
        /// The node, with its own id also when it came out of an expansion.
        node: Option<NodeId>,
        /// The node to highlight.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        display_node: Option<NodeId>,
        /// Which run.
        prompt_id: Arc<str>,
    },
    /// State of nodes that have begun.
    ProgressState {
        /// Which run.
        prompt_id: Arc<str>,
        /// In JSON they stand by id.
        #[serde(with = "by_id")]
        nodes: Vec<NodeProgress>,
    },
    /// A node made a step.
    Progress {
        /// Steps made.
        value: f64,
        /// Steps in all.
        max: f64,
        /// Which run.
        prompt_id: Arc<str>,
        /// Which node.
        node: NodeId,
        /// A picture of the work so far, for whoever listens in the same process.
        #[serde(skip)]
        preview: Option<Preview>,
    },
    /// A line of text that stands at a node: how far a loop is. (ComfyUI sends it as a binary message.)
    ProgressText {
        /// Which run.
        prompt_id: Arc<str>,
        /// Which node.
        node: NodeId,
        /// What stands there.
        text: Arc<str>,
    },
    /// A node has something to show, or is an output node served from the cache (then `output` may be null).
    Executed {
        /// The node.
        node: NodeId,
        /// The node to show it on.
        display_node: NodeId,
        /// What it shows.
        output: Option<Json>,
        /// Which run.
        prompt_id: Arc<str>,
        /// How many outputs it has. No part of ComfyUI's message.
        #[serde(skip)]
        sockets: u32,
    },
    /// The run reached its end.
    ExecutionSuccess {
        /// Which run.
        prompt_id: Arc<str>,
        /// Milliseconds since 1970.
        timestamp: u64,
    },
    /// A node failed, or a blocker with a message met its first consumer.
    ExecutionError(Box<ErrorEvent>),
    /// The run was cancelled.
    ExecutionInterrupted {
        /// Which run.
        prompt_id: Arc<str>,
        /// The node of the prompt that was at work.
        node_id: Option<NodeId>,
        /// Its class.
        node_type: Option<Arc<str>>,
        /// Nodes that had finished.
        executed: Vec<NodeId>,
        /// Milliseconds since 1970.
        timestamp: u64,
    },
    /// A node finished. Kiln only; ComfyUI says nothing about nodes without `ui`.
    Finished {
        /// Which run.
        prompt_id: Arc<str>,
        /// The node.
        node: NodeId,
        /// Time spent in the node's own code, in microseconds.
        micros: u64,
        /// How many outputs it has.
        sockets: u32,
        /// Bytes of its outputs.
        bytes: u64,
    },
    /// An output was released because nothing can read it any more. Kiln only.
    Dropped {
        /// Which run.
        prompt_id: Arc<str>,
        /// The node.
        node: NodeId,
        /// Which of its outputs.
        socket: u32,
        /// Bytes that came free.
        bytes: u64,
    },
    /// An output that must not be computed twice went out of memory, as nothing reads it now. Kiln only.
    Spilled {
        /// Which run.
        prompt_id: Arc<str>,
        /// The node.
        node: NodeId,
        /// Which of its outputs.
        socket: u32,
        /// Bytes that came free.
        bytes: u64,
    },
    /// A spilled output is in memory again, for a node that reads it. Kiln only.
    Recalled {
        /// Which run.
        prompt_id: Arc<str>,
        /// The node.
        node: NodeId,
        /// Which of its outputs.
        socket: u32,
        /// Bytes that it takes.
        bytes: u64,
    },
    /// A node runs again because a new link needs an output that was dropped. Kiln only.
    Reexecuted {
        /// Which run.
        prompt_id: Arc<str>,
        /// The node that runs again.
        node: NodeId,
        /// Which of its outputs is needed.
        socket: u32,
        /// Who needs it.
        needed_by: NodeId,
    },
    /// A node returned a graph. Kiln only.
    Expanded {
        /// Which run.
        prompt_id: Arc<str>,
        /// The node.
        node: NodeId,
        /// The nodes it added, in order.
        nodes: Vec<NodeId>,
    },
}

/// The data of `execution_error`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields are ComfyUI's, described in its own words there
pub struct ErrorEvent {
    pub prompt_id: Arc<str>,
    pub node_id: Option<NodeId>,
    pub node_type: Option<Arc<str>>,
    pub executed: Vec<NodeId>,
    pub exception_message: String,
    pub exception_type: String,
    pub traceback: Vec<String>,
    pub current_inputs: Json,
    pub current_outputs: Vec<NodeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
}

/// How far a node is, for `progress_state`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeProgress {
    /// Steps made.
    pub value: f64,
    /// Steps in all.
    pub max: f64,
    /// `running`, `finished` or `error`.
    pub state: NodeState,
    /// Its own id.
    pub node_id: NodeId,
    /// Which run.
    pub prompt_id: Arc<str>,
    /// The node to highlight.
    pub display_node_id: NodeId,
    /// The node that expanded into it.
    pub parent_node_id: Option<NodeId>,
    /// The node of the prompt it comes from.
    pub real_node_id: NodeId,
}

/// A list of nodes' states as an object of states by id: a map of one entry would be what costs most about an event.
mod by_id {
    use indexmap::IndexMap;
    use kiln_graph::NodeId;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::NodeProgress;

    pub(super) fn serialize<S: Serializer>(nodes: &[NodeProgress], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(nodes.iter().map(|node| (&node.node_id, node)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<NodeProgress>, D::Error> {
        IndexMap::<NodeId, NodeProgress>::deserialize(deserializer).map(|nodes| nodes.into_values().collect())
    }
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Not begun.
    Pending,
    /// Begun.
    Running,
    /// Done.
    Finished,
    /// Failed.
    Error,
}

/// A payload that rides along with a progress step. Only listeners in the same process see it.
#[derive(Clone)]
pub struct Preview(pub Arc<dyn Any + Send + Sync>);

impl fmt::Debug for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preview")
    }
}
impl PartialEq for Preview {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Somebody who listens to a run. Called on the thread where the event happens; must not block for long.
pub type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
