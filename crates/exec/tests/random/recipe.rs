//! Random graphs as data: small numbers that any shrinking keeps valid, turned into prompts.

use kiln_exec::graph::{Input, PromptNode};
use kiln_exec::{Link, NodeId, Prompt, Reply, Value, json};
use proptest::prelude::*;

/// One node: what it is, what it reads, two small numbers. Everything is taken modulo what there is.
#[derive(Clone, Debug)]
pub struct Spec {
    pub kind: u8,
    pub reads: [u16; 3],
    pub n: u8,
    pub m: u8,
}

/// A graph, the graphs that its expanding nodes answer with, and which nodes are shown.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub nodes: Vec<Spec>,
    pub subs: Vec<Vec<Spec>>,
    pub sinks: Vec<u16>,
    /// Expansions may link to any earlier node of the prompt.
    pub late: bool,
    /// Expanding nodes get links that they pass on to their expansions.
    pub raw: bool,
}

pub const KINDS: u8 = 12;

fn spec() -> impl Strategy<Value = Spec> {
    (0..KINDS, any::<[u16; 3]>(), any::<u8>(), any::<u8>()).prop_map(|(kind, reads, n, m)| Spec { kind, reads, n, m })
}

pub fn recipes() -> impl Strategy<Value = Recipe> {
    let subs = prop::collection::vec(prop::collection::vec(spec(), 1..5), 1..3);
    (prop::collection::vec(spec(), 1..12), subs, prop::collection::vec(any::<u16>(), 1..4), any::<bool>())
        .prop_map(|(nodes, subs, sinks, late)| Recipe { nodes, subs, sinks, late, raw: true })
}

/// What a node of a graph may read.
struct Readable<'a> {
    /// Earlier nodes of the same graph, by place.
    prefix: &'a str,
    earlier: usize,
    /// Things from outside: payloads and links.
    outside: &'a [Input],
    raw: bool,
}

impl Readable<'_> {
    fn pick(&self, choice: u16) -> Input {
        let count = self.earlier + self.outside.len();
        if count == 0 {
            return Input::Literal(json!(choice % 10));
        }
        match choice as usize % (count + 1) {
            at if at < self.earlier => Input::link(format!("{}{at}", self.prefix), usize::from(choice >> 8 & 1)),
            at if at < count => self.outside[at - self.earlier].clone(),
            _ => Input::Literal(json!(choice % 10)),
        }
    }

    fn link(&self, choice: u16) -> Option<Input> {
        let links: Vec<Input> = (0..self.earlier)
            .map(|at| Input::link(format!("{}{at}", self.prefix), 0))
            .chain(self.outside.iter().filter(|input| input.as_link().is_some()).cloned())
            .collect();
        (!links.is_empty()).then(|| links[choice as usize % links.len()].clone())
    }
}

fn node(spec: &Spec, from: &Readable<'_>, depth: u8, root: usize) -> PromptNode {
    let (a, b, c) = (from.pick(spec.reads[0]), from.pick(spec.reads[1]), from.pick(spec.reads[2]));
    match spec.kind % KINDS {
        0 => PromptNode::new("Const").with("a", json!(spec.n % 16)),
        1 | 2 => PromptNode::new("Mix").with("a", a).with("b", b),
        3 => PromptNode::new("Many").with("a", a).with("n", json!(spec.n % 4)),
        4 => PromptNode::new("Whole").with("a", a).with("b", b),
        5 => PromptNode::new("Switch").with("pick", a).with("a", b).with("b", c),
        6 => PromptNode::new("Block").with("a", a).with("m", json!(2 + spec.m % 3)),
        7 => PromptNode::new("Once").with("a", a),
        8 => PromptNode::new("Wait").with("a", a).with("b", b),
        9 => PromptNode::new(if spec.n.is_multiple_of(2) { "Pool" } else { "Lane" }).with("a", a).with("b", b),
        _ if depth == 0 => PromptNode::new("Mix").with("a", a).with("b", b),
        _ => {
            let node = PromptNode::new("Expand").with("a", a).with("sub", json!(spec.n)).with("depth", json!(depth));
            let node = node.with("root", json!(root)).with("how", json!(spec.m));
            match from.link(spec.reads[2]).filter(|_| from.raw) {
                Some(link) => node.with("raw", link),
                None => node,
            }
        }
    }
}

impl Recipe {
    /// The prompt: nodes `n0`, `n1`, … and sinks `s0`, `s1`, …
    pub fn prompt(&self) -> Prompt {
        let mut prompt = Prompt::new();
        for (at, spec) in self.nodes.iter().enumerate() {
            let from = Readable { prefix: "n", earlier: at, outside: &[], raw: self.raw };
            prompt.insert(format!("n{at}"), node(spec, &from, 2, at));
        }
        for (at, sink) in self.sinks.iter().enumerate() {
            let shown = *sink as usize % self.nodes.len();
            prompt.insert(format!("s{at}"), PromptNode::new("Sink").with("a", Input::link(format!("n{shown}"), 0)));
        }
        prompt
    }

    /// The graph that an `Expand` node answers with, and its two results.
    pub fn expansion(&self, prefix: &str, x: &Value, params: Params, raw: Option<&Link>) -> (Prompt, Vec<Reply>) {
        let sub = &self.subs[params.sub as usize % self.subs.len()];
        let mut outside = vec![Reply::from(x.clone()).into()];
        outside.extend(raw.map(|link| Input::Link(link.clone())));
        if self.late {
            outside.extend((0..params.root).map(|at| Input::link(format!("n{at}"), at % 2)));
        }
        let mut graph = Prompt::new();
        for (at, spec) in sub.iter().enumerate() {
            let from = Readable { prefix, earlier: at, outside: &outside, raw: self.raw };
            graph.insert(format!("{prefix}{at}"), node(spec, &from, params.depth - 1, params.root));
        }
        if params.how.is_multiple_of(5) {
            graph.insert(
                format!("{prefix}shown"),
                PromptNode::new("Sink").with("a", Input::link(format!("{prefix}0"), 0)),
            );
        }
        let last = Link::new(NodeId::from(format!("{prefix}{}", sub.len() - 1)), 0);
        let first = Link::new(NodeId::from(format!("{prefix}0")), 1);
        let second = match (params.how % 4, outside.iter().rev().find_map(Input::as_link)) {
            (0, _) => Reply::from(x.clone()),
            (1, Some(old)) => Reply::Link(old.clone()),
            _ => Reply::Link(first),
        };
        (graph, vec![Reply::Link(last), second])
    }
}

/// An `Expand` node's literals.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    pub sub: u8,
    pub depth: u8,
    pub root: usize,
    pub how: u8,
}
