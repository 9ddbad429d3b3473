//! Nodes that may start now, in the order in which a person wants to see them start.

use std::collections::VecDeque;

use super::edge::NodeIx;

/// ComfyUI's preference: what shows or waits first, then what leads there in one step, in two, then the rest.
pub(super) const RANKS: usize = 4;

#[derive(Clone, Debug, Default)]
pub(super) struct Ready {
    queues: [VecDeque<NodeIx>; RANKS],
}

impl Ready {
    pub(super) fn push(&mut self, node: NodeIx, rank: u8) {
        self.queues[usize::from(rank).min(RANKS - 1)].push_back(node);
    }

    pub(super) fn pop(&mut self) -> Option<NodeIx> {
        self.queues.iter_mut().find_map(VecDeque::pop_front)
    }

    /// The one with the lowest score among the first `window`; among equals the first.
    pub(super) fn pop_best<S: PartialOrd>(
        &mut self,
        window: usize,
        mut score: impl FnMut(NodeIx) -> S,
    ) -> Option<NodeIx> {
        let mut best: Option<(S, usize, usize)> = None;
        let all = self
            .queues
            .iter()
            .enumerate()
            .flat_map(|(q, queue)| queue.iter().enumerate().map(move |(i, n)| (q, i, *n)));
        for (queue, at, node) in all.take(window) {
            let score = score(node);
            if best.as_ref().is_none_or(|(lowest, ..)| score < *lowest) {
                best = Some((score, queue, at));
            }
        }
        let (_, queue, at) = best?;
        self.queues[queue].remove(at)
    }

    pub(super) fn first(&self, window: usize) -> Vec<NodeIx> {
        self.queues.iter().flatten().take(window).copied().collect()
    }

    pub(super) fn remove(&mut self, node: NodeIx) {
        self.queues.iter_mut().for_each(|queue| queue.retain(|ready| *ready != node));
    }

    pub(super) fn len(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    pub(super) fn clear(&mut self) {
        self.queues.iter_mut().for_each(VecDeque::clear);
    }
}
