//! Naming cycles: which nodes need themselves, and by which way round.
//!
//! Runs only after the walk met a cycle. Knows links, no definitions.

use std::collections::VecDeque;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use serde_json::json;

use super::error::{ErrorKind, MOST_REPORTED, ValidationError};
use crate::map::Map;
use crate::prompt::Prompt;

/// Longer ways round are cut in the middle.
const LONGEST_PATH: usize = 60;

/// One error for every node of every cycle on which the walk closed: the node, the error, and the number that stood
/// with the start. Of cycles that share nodes the shortest through the start is named.
pub(super) fn errors(
    prompt: &Prompt,
    bad: impl Fn(u32) -> bool,
    starts: &[(u32, usize)],
) -> Vec<(u32, ValidationError, usize)> {
    let (graph, places) = needs(prompt, bad);
    let mut component: Map<NodeIndex, usize> = Map::default();
    for (number, members) in kosaraju_scc(&graph).iter().enumerate() {
        component.extend(members.iter().map(|member| (*member, number)));
    }
    let mut named = crate::map::Set::default();
    let mut found = Vec::new();
    for (start, since) in starts {
        let Some(start) = places.get(start) else { continue };
        let Some(home) = component.get(start) else { continue };
        if !named.insert(*home) || found.len() >= MOST_REPORTED {
            continue;
        }
        let cycle = shortest(&graph, *start, |node| component.get(&node) == Some(home));
        let cycle: Vec<u32> = cycle.into_iter().filter_map(|node| graph.node_weight(node).copied()).collect();
        found.extend(describe(prompt, &cycle).into_iter().map(|(node, error)| (node, error, *since)));
    }
    found
}

/// The bad nodes, each with an edge to what it needs, and where each place of the prompt stands in the graph.
fn needs(prompt: &Prompt, bad: impl Fn(u32) -> bool) -> (DiGraph<u32, ()>, Map<u32, NodeIndex>) {
    let mut graph = DiGraph::new();
    let all = (0..prompt.len() as u32).filter(|place| bad(*place));
    let places: Map<u32, NodeIndex> = all.map(|place| (place, graph.add_node(place))).collect();
    for (place, from) in &places {
        let Some((_, node)) = prompt.nodes.get_index(*place as usize) else { continue };
        for (_, link) in node.links() {
            let source = prompt.nodes.get_index_of(&link.node).and_then(|source| places.get(&(source as u32)));
            if let Some(to) = source {
                graph.add_edge(*from, *to, ());
            }
        }
    }
    (graph, places)
}

/// The shortest way from `start` back to itself through nodes that are `inside`, start first.
fn shortest(graph: &DiGraph<u32, ()>, start: NodeIndex, inside: impl Fn(NodeIndex) -> bool) -> Vec<NodeIndex> {
    let mut from: Map<NodeIndex, NodeIndex> = Map::default();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for next in graph.neighbors(node).filter(|next| inside(*next)) {
            if next == start {
                let mut path: Vec<NodeIndex> = std::iter::successors(Some(node), |n| from.get(n).copied()).collect();
                path.reverse();
                return path;
            }
            if !from.contains_key(&next) {
                from.insert(next, node);
                queue.push_back(next);
            }
        }
    }
    Vec::new()
}

fn describe(prompt: &Prompt, cycle: &[u32]) -> Vec<(u32, ValidationError)> {
    let at = |place: &u32| prompt.nodes.get_index(*place as usize);
    let names = cycle.iter().filter_map(at).map(|(id, node)| format!("{id} ({})", node.class_type));
    let mut steps: Vec<String> = names.collect();
    steps.extend(steps.first().cloned());
    if steps.len() > LONGEST_PATH {
        let left_out = steps.len() - LONGEST_PATH;
        steps.splice(LONGEST_PATH / 2..LONGEST_PATH / 2 + left_out, [format!("... ({left_out} more) ...")]);
    }
    let path = steps.join(" -> ");
    let ids: Vec<_> = cycle.iter().filter_map(at).map(|(id, _)| id).take(LONGEST_PATH).collect();
    let error = |id| {
        ValidationError::new(ErrorKind::DependencyCycle)
            .message("Dependency cycle detected")
            .details(path.clone())
            .info("node_id", json!(id))
            .info("cycle_nodes", json!(ids))
            .plain(format!("it needs its own output: {path}; remove one of these links"))
    };
    cycle.iter().filter_map(|place| Some((*place, error(at(place)?.0)))).take(MOST_REPORTED).collect()
}
