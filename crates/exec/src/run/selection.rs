//! How the next node is chosen among those that may start.

use std::collections::HashMap;

use kiln_graph::schedule::NodeIx;

/// How the next node is chosen.
#[derive(Default)]
pub(super) enum Selection {
    /// By what leads to outputs.
    #[default]
    Comfy,
    /// By a place in the best order.
    Exact(HashMap<NodeIx, usize>),
    /// By how many bytes a step adds.
    Greedy,
}
