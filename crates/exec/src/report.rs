//! Reports: what a run leaves behind for whoever started it.

use std::sync::Arc;

use kiln_graph::{Link, Map, NodeErrors, NodeId};
use serde::Serialize;

use crate::error::RunError;
use crate::explain::Explanation;
use crate::trace::Trace;
use crate::ui::Ui;
use crate::values::Values;

/// What a run leaves behind.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The run's id.
    pub prompt_id: Arc<str>,
    /// Output nodes that finished, those of expansions included, and what they showed.
    pub outputs: Map<NodeId, NodeOutput>,
    /// Outputs that were asked for with [`RunOptions::fetch`](crate::RunOptions::fetch).
    pub fetched: Vec<(Link, Values)>,
    /// Nodes that failed, where the run was told to continue.
    pub failures: Vec<RunError>,
    /// What validation found wrong with outputs that were left out.
    pub node_errors: Map<NodeId, NodeErrors>,
    /// Counts and bytes.
    pub summary: Summary,
    /// What ran when, if a trace was asked for.
    pub trace: Option<Trace>,
    /// Why each node ran or did not, if a trace was asked for.
    pub explanations: Vec<Explanation>,
}

/// What an output node showed.
#[derive(Clone, Debug)]
pub struct NodeOutput {
    /// What it showed.
    pub ui: Option<Ui>,
    /// The values on its sockets.
    pub values: Vec<Values>,
    /// The node that is shown as having run.
    pub display_node: NodeId,
    /// The node whose expansion it is part of.
    pub parent_node: Option<NodeId>,
    /// The node of the prompt it comes from.
    pub real_node: NodeId,
    /// It was not run but taken from the cache.
    pub cached: bool,
}

/// Counts and bytes of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Nodes that ran, counting each time.
    pub executed: u64,
    /// Nodes whose results were known: those of the prompt that were in the cache when the run began, and those that
    /// found an equal one's result on the way.
    pub cached: u64,
    /// Nodes that ran once more because a dropped output was needed again; they count as executed, too.
    pub reexecuted: u64,
    /// Nodes that expanded.
    pub expanded: u64,
    /// Outputs released before the end.
    pub dropped: u64,
    /// The most payload bytes alive at any time, outputs and cache together.
    pub peak_bytes: u64,
    /// Payload bytes alive after the end: what the cache keeps.
    pub live_bytes_at_end: u64,
    /// The most nodes known at any time.
    pub peak_nodes: u64,
}

impl Report {
    /// The values of an output that was asked for, or of an output node's socket.
    pub fn values(&self, link: &Link) -> Option<&Values> {
        let fetched = self.fetched.iter().find(|(asked, _)| asked == link).map(|(_, values)| values);
        fetched.or_else(|| self.outputs.get(&link.node)?.values.get(link.socket))
    }

    /// What an output node showed.
    pub fn ui(&self, node: &str) -> Option<&Ui> {
        self.outputs.get(node)?.ui.as_ref()
    }
}
