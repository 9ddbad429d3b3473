//! The part of a prompt in which loops are looked for, as bare edges, and the walks through it.
//!
//! Knows places in the prompt. Knows nothing of what a pair is.

use crate::map::{Map, Set};
use crate::prompt::Prompt;

/// Edges by node: where they lead.
type Edges = Map<u32, Vec<u32>>;

/// The nodes that outputs need, and those behind outputs that end in a loop's end.
pub(super) struct LoopGraph {
    children: Edges,
    parents: Edges,
    pub(super) starts: Set<u32>,
    pub(super) ends: Set<u32>,
    outputs: Set<u32>,
    /// Outputs that nothing depends on: past them there is no way back into a loop.
    terminal: Set<u32>,
}

impl LoopGraph {
    /// `known` are the nodes that the outputs need.
    pub(super) fn new(prompt: &Prompt, outputs: &[u32], known: &Set<u32>, starts: &Set<u32>, ends: &Set<u32>) -> Self {
        let (children, parents) = edges(prompt, |_| true);
        let outputs: Set<u32> = outputs.iter().copied().collect();
        // An output inside of a loop leads to its end, which no output need depend on.
        let mut continued = walk(&outputs, &children, starts).0;
        continued.retain(|node| !starts.contains(node) || known.contains(node));
        let closing: Set<u32> = ends.intersection(&continued).copied().collect();
        let above = walk(&closing, &parents, starts).0;
        let inside: Set<u32> = known.iter().copied().chain(continued).chain(above).collect();
        let (children, parents) = edges(prompt, |node| inside.contains(&node));
        let terminal = outputs.iter().copied().filter(|output| !children.contains_key(output)).collect();
        let only = |of: &Set<u32>| of.intersection(&inside).copied().collect();
        Self { starts: only(starts), ends: only(ends), children, parents, outputs, terminal }
    }

    /// The nearest free starts above a node.
    pub(super) fn starts_above(&self, node: u32, free: &Set<u32>) -> Set<u32> {
        walk(next(&self.parents, node), &self.parents, free).1
    }

    /// All starts below a start.
    pub(super) fn starts_below(&self, start: u32) -> Set<u32> {
        let below = walk(next(&self.children, start), &self.children, &Set::default()).0;
        below.intersection(&self.starts).copied().collect()
    }

    /// The nearest ends above an end.
    pub(super) fn ends_above(&self, end: u32) -> Set<u32> {
        walk(next(&self.parents, end), &self.parents, &self.ends).1
    }

    /// What a start leads to past its end: ends that are still open, and outputs.
    pub(super) fn escapes(&self, start: u32, end: u32, open: &Set<u32>) -> Set<u32> {
        let stops: Set<u32> = open.iter().copied().chain(self.terminal.iter().copied()).chain([end]).collect();
        let mut reached = walk(next(&self.children, start), &self.children, &stops).1;
        reached.swap_remove(&end);
        reached
    }

    /// The nodes between a start and its end.
    pub(super) fn between(&self, start: u32, end: u32) -> Vec<u32> {
        let mut found = walk(next(&self.children, start), &self.children, &[end].into_iter().collect()).0;
        found.swap_remove(&end);
        found.into_iter().collect()
    }

    /// The outputs that are among these nodes or below them.
    pub(super) fn outputs_below(&self, nodes: &Set<u32>) -> Set<u32> {
        walk(nodes, &self.children, &Set::default()).0.intersection(&self.outputs).copied().collect()
    }

    /// These nodes and what they need.
    pub(super) fn needed_by(&self, nodes: &[u32]) -> Set<u32> {
        walk(nodes, &self.parents, &Set::default()).0
    }
}

fn next(edges: &Edges, node: u32) -> &[u32] {
    edges.get(&node).map(Vec::as_slice).unwrap_or_default()
}

/// Who reads from whom, and the other way round, among the nodes that are `inside`.
fn edges(prompt: &Prompt, inside: impl Fn(u32) -> bool) -> (Edges, Edges) {
    let (mut children, mut parents) = (Edges::default(), Edges::default());
    for (place, node) in (0_u32..).zip(prompt.nodes.values()).filter(|(place, _)| inside(*place)) {
        for (_, link) in node.links() {
            let Some(source) = prompt.nodes.get_index_of(&link.node) else { continue };
            let source = source as u32;
            if inside(source) {
                children.entry(source).or_default().push(place);
                parents.entry(place).or_default().push(source);
            }
        }
    }
    (children, parents)
}

/// Everything that can be reached from `from`, which counts as reached, and the stops among it. No way leads past one.
fn walk<'n>(from: impl IntoIterator<Item = &'n u32>, edges: &Edges, stops: &Set<u32>) -> (Set<u32>, Set<u32>) {
    let (mut found, mut stopped) = (Set::default(), Set::default());
    let mut todo: Vec<u32> = from.into_iter().copied().collect();
    while let Some(node) = todo.pop() {
        if !found.insert(node) {
            continue;
        }
        if stops.contains(&node) {
            stopped.insert(node);
        } else {
            todo.extend(next(edges, node));
        }
    }
    (found, stopped)
}
