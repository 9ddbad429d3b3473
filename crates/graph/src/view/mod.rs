//! A prompt seen as a petgraph graph: order, cycles, images. Derived on demand, never the truth.
//!
//! Knows ids, classes and links. Knows no definitions and nothing of running.

mod svg;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use petgraph::Direction::Incoming;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use crate::id::NodeId;
use crate::prompt::{Prompt, PromptNode};

/// What an edge of a [`View`] stands for: output `socket` of its source goes into `input` of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire<'p> {
    /// The output's index.
    pub socket: usize,
    /// The input's name.
    pub input: &'p Arc<str>,
}

/// The graph of a prompt: one node per node in the prompt's order, one edge per link, from source to consumer. Links
/// to nodes that do not exist are left out.
#[derive(Debug)]
pub struct View<'p> {
    prompt: &'p Prompt,
    graph: DiGraph<&'p NodeId, Wire<'p>>,
}

impl<'p> View<'p> {
    /// Looks at a prompt.
    pub fn of(prompt: &'p Prompt) -> Self {
        let mut graph = DiGraph::with_capacity(prompt.len(), prompt.len());
        for id in prompt.nodes.keys() {
            graph.add_node(id);
        }
        for (to, node) in prompt.nodes.values().enumerate() {
            for (input, link) in node.links() {
                if let Some(from) = prompt.nodes.get_index_of(&link.node) {
                    let wire = Wire { socket: link.socket, input };
                    graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), wire);
                }
            }
        }
        Self { prompt, graph }
    }

    /// The graph itself, for petgraph's algorithms. A node's index is its place in the prompt.
    pub fn graph(&self) -> &DiGraph<&'p NodeId, Wire<'p>> {
        &self.graph
    }

    /// The nodes in an order in which all could run; among those that could be next, the one that became free first,
    /// at the start in the prompt's order.
    ///
    /// # Errors
    /// The nodes that cannot be ordered: those on cycles and those that need them.
    pub fn order(&self) -> Result<Vec<&'p NodeId>, Vec<&'p NodeId>> {
        let graph = &self.graph;
        let mut missing: Vec<usize> =
            graph.node_indices().map(|node| graph.edges_directed(node, Incoming).count()).collect();
        let mut free: VecDeque<NodeIndex> = graph.node_indices().filter(|node| missing[node.index()] == 0).collect();
        let mut order = Vec::with_capacity(graph.node_count());
        let mut consumers = Vec::new();
        while let Some(node) = free.pop_front() {
            order.push(graph[node]);
            // petgraph lists the newest edge first; consumers are freed in the prompt's order.
            consumers.extend(graph.neighbors(node));
            for consumer in consumers.drain(..).rev() {
                missing[consumer.index()] -= 1;
                if missing[consumer.index()] == 0 {
                    free.push_back(consumer);
                }
            }
        }
        if order.len() == graph.node_count() {
            return Ok(order);
        }
        Err(graph.node_indices().filter(|node| missing[node.index()] > 0).map(|node| graph[node]).collect())
    }

    /// Groups of nodes that need each other (strongly connected components that hold a cycle), each in the prompt's
    /// order. Empty for a prompt that can run.
    pub fn cycles(&self) -> Vec<Vec<&'p NodeId>> {
        let is_cycle = |group: &Vec<NodeIndex>| match group[..] {
            [one] => self.graph.contains_edge(one, one),
            _ => true,
        };
        let groups = kosaraju_scc(&self.graph).into_iter().filter(is_cycle);
        let mut named: Vec<Vec<NodeIndex>> = groups
            .map(|mut group| {
                group.sort_unstable();
                group
            })
            .collect();
        named.sort_unstable();
        named.into_iter().map(|group| group.into_iter().map(|node| self.graph[node]).collect()).collect()
    }

    fn nodes(&self) -> impl Iterator<Item = (usize, &'p NodeId, &'p PromptNode)> {
        self.prompt.nodes.iter().enumerate().map(|(place, (id, node))| (place, id, node))
    }

    fn edges(&self) -> impl Iterator<Item = (usize, usize, &Wire<'p>)> {
        self.graph.edge_references().map(|edge| (edge.source().index(), edge.target().index(), edge.weight()))
    }

    /// The graph in Graphviz's DOT language.
    pub fn to_dot(&self) -> String {
        self.to_dot_with(&|_| None)
    }

    /// Same as [`to_dot`](Self::to_dot), with a line of `note` below the nodes that have one: how long one took, what it held.
    pub fn to_dot_with(&self, note: &dyn Fn(&NodeId) -> Option<String>) -> String {
        let mut text = "digraph prompt {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
        for (place, id, node) in self.nodes() {
            let note = note(id).map(|note| format!("\n{note}")).unwrap_or_default();
            let label = (label(id, node) + &note).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  n{place} [label=\"{label}\"];");
        }
        for (from, to, wire) in self.edges() {
            let input = wire.input.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(text, "  n{from} -> n{to} [label=\"{} > {input}\"];", wire.socket);
        }
        text.push_str("}\n");
        text
    }

    /// The graph as a Mermaid flowchart, which many viewers of Markdown draw.
    pub fn to_mermaid(&self) -> String {
        let escape = |text: &str| text.replace('#', "#35;").replace('"', "#quot;").replace('\n', "<br/>");
        let mut text = "flowchart LR\n".to_owned();
        for (place, id, node) in self.nodes() {
            let _ = writeln!(text, "  n{place}[\"{}\"]", escape(&label(id, node)));
        }
        for (from, to, wire) in self.edges() {
            let _ = writeln!(text, "  n{from} -->|\"{} > {}\"| n{to}", wire.socket, escape(wire.input));
        }
        text
    }
}

/// `3: KSampler`, with the title that a person gave it below.
fn label(id: &NodeId, node: &PromptNode) -> String {
    match node.title().filter(|title| *title != &*node.class_type) {
        Some(title) => format!("{id}: {}\n{title}", node.class_type),
        None => format!("{id}: {}", node.class_type),
    }
}
