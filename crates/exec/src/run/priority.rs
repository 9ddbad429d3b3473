//! The order among nodes that may start: by peak bytes when sizes are known, else as ComfyUI prefers it.

use std::collections::HashMap;

use kiln_graph::schedule::{NodeIx, SizedNode, State, Use, optimal_order};

use crate::engine::Order;
use crate::run::execution::Execution;
use crate::run::selection::Selection;

/// So many pending nodes are ordered exactly; with more of them the next step is chosen greedily.
const EXACT: usize = 12;
/// So many ready nodes are looked at for the greedy step.
const WINDOW: usize = 64;

impl Execution<'_> {
    /// Chooses how to choose, once everything known is scheduled.
    pub(super) fn choose_order(&mut self) {
        if self.options.order == Order::Comfy || self.session.sizes.is_empty() {
            return;
        }
        self.selection = self.exact().map_or(Selection::Greedy, Selection::Exact);
    }

    /// The next node to start.
    pub(super) fn next(&mut self) -> Option<NodeIx> {
        match &self.selection {
            Selection::Comfy => self.list.pop(),
            Selection::Exact(places) => self.list.pop_best(WINDOW, |ix| places.get(&ix).copied().unwrap_or(usize::MAX)),
            Selection::Greedy => {
                let mut list = std::mem::take(&mut self.list);
                // While scores are computed the list is only read, through the reference that scoring gets.
                let scores: HashMap<NodeIx, i128> =
                    list.peek_ready(WINDOW).into_iter().map(|ix| (ix, self.growth(&list, ix))).collect();
                let next = list.pop_best(WINDOW, |ix| scores.get(&ix).copied().unwrap_or(i128::MAX));
                self.list = list;
                next
            }
        }
    }

    /// Bytes that are alive after this node more than before.
    fn growth(&self, list: &kiln_graph::schedule::ExecutionList, ix: NodeIx) -> i128 {
        let made = i128::from(self.size(ix));
        let freed: i128 = list
            .inputs(ix)
            .filter_map(|at| {
                let edge = list.edge(at);
                let socket = self.nodes[edge.from].sockets.at(edge.socket)?;
                (self.store.readers(socket) == 1).then(|| self.store.get(socket).map_or(0, |v| i128::from(v.bytes())))
            })
            .sum();
        made - freed
    }

    fn size(&self, ix: NodeIx) -> u64 {
        self.session.sizes.get(&self.nodes.id(ix)).copied().unwrap_or(0)
    }

    /// Places in the best order, for graphs small enough to find it.
    fn exact(&self) -> Option<HashMap<NodeIx, usize>> {
        if self.list.unfinished() > EXACT || self.nodes.len() > 4096 {
            return None;
        }
        let waiting = |ix: NodeIx| matches!(self.list.state(ix), State::Pending | State::Ready);
        let pending: Vec<NodeIx> = self.nodes.iter().map(|(ix, _)| ix).filter(|ix| waiting(*ix)).collect();
        let place: HashMap<NodeIx, usize> = pending.iter().enumerate().map(|(at, ix)| (*ix, at)).collect();
        let sized = |ix: &NodeIx| SizedNode {
            bytes: self.size(*ix),
            reads: self
                .list
                .inputs(*ix)
                .map(|at| self.list.edge(at))
                .filter(|edge| edge.usage == Use::Strong)
                .filter_map(|edge| place.get(&edge.from).copied())
                .collect(),
            kept: self.nodes[*ix].flags.once,
        };
        let nodes: Vec<SizedNode> = pending.iter().map(sized).collect();
        let plan = optimal_order(&nodes)?;
        Some(plan.order.into_iter().enumerate().map(|(at, node)| (pending[node], at)).collect())
    }
}
