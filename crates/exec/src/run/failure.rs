//! A failure of a node on its way up to the loop.

use kiln_graph::schedule::NodeIx;

use crate::error::NodeError;

/// A failure on its way up, and the node it belongs to.
#[derive(Debug)]
pub(super) struct NodeFailure {
    pub node: Option<NodeIx>,
    pub error: NodeError,
}

impl NodeFailure {
    pub(super) fn at(node: NodeIx, error: NodeError) -> Self {
        Self { node: Some(node), error }
    }
}
