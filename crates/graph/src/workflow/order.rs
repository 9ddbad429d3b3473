//! The order in which the page runs the nodes of one graph. Knows links, nothing of what nodes are.

use std::collections::VecDeque;

use super::ui::Graph;
use crate::map::Map;

/// The page's execution order: nodes that need nothing in file order, then whatever became free; loops come last.
pub(super) fn order(graph: &Graph) -> Vec<&str> {
    let nodes = &graph.nodes;
    let mut missing = vec![0_usize; nodes.len()];
    let mut consumers: Map<usize, Vec<usize>> = Map::default();
    for link in graph.links.values() {
        if let (Some(from), Some(to)) = (nodes.get_index_of(&link.from), nodes.get_index_of(&link.to)) {
            missing[to] += 1;
            consumers.entry(from).or_default().push(to);
        }
    }
    let mut free: VecDeque<usize> = (0..nodes.len()).filter(|place| missing[*place] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(place) = free.pop_front() {
        order.push(place);
        for consumer in consumers.get(&place).into_iter().flatten() {
            missing[*consumer] -= 1;
            if missing[*consumer] == 0 {
                free.push_back(*consumer);
            }
        }
    }
    order.extend((0..nodes.len()).filter(|place| missing[*place] > 0));
    order.into_iter().filter_map(|place| nodes.get_index(place)).map(|(id, _)| id.as_str()).collect()
}
