//! Random graphs as data: small numbers that any shrinking keeps valid, turned into prompts.

use kiln_exec::graph::{Input, PromptNode};
use kiln_exec::{Link, NodeId, Prompt, Source, Values, json};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// What a node is. The class has the same name, but where there is nothing to expand into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A number.
    Const,
    /// Two numbers into one.
    Mix,
    /// The same, a waiting node.
    Wait,
    /// The same, on the pool.
    Pool,
    /// The same, on a serial lane.
    Lane,
    /// Answers with lists, sometimes empty ones, with blockers inside, or with a blocker in their place.
    Many,
    /// Gets whole lists.
    Whole,
    /// Lazy inputs, asked for in up to two rounds.
    Switch,
    /// Lazy inputs that are whole lists.
    SwitchAll,
    /// Blocks some elements.
    Block,
    /// Not idempotent.
    Once,
    /// Changes by itself, says its fingerprint.
    Always,
    /// An output node with outputs.
    Tee,
    /// Answers with a graph, with values, or with a blocker, call by call.
    Expand,
    /// The same after waiting.
    ExpandLater,
    /// The same, given whole lists.
    ExpandAll,
}

/// Every kind, those that matter most several times.
const KINDS: [Kind; 20] = [
    Kind::Const,
    Kind::Mix,
    Kind::Mix,
    Kind::Wait,
    Kind::Pool,
    Kind::Lane,
    Kind::Many,
    Kind::Many,
    Kind::Whole,
    Kind::Switch,
    Kind::Switch,
    Kind::SwitchAll,
    Kind::Block,
    Kind::Once,
    Kind::Always,
    Kind::Tee,
    Kind::Expand,
    Kind::Expand,
    Kind::ExpandLater,
    Kind::ExpandAll,
];

/// One node: what it is, what it reads, two small numbers. Everything is taken modulo what there is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    pub kind: Kind,
    pub reads: [u16; 3],
    pub n: u8,
    pub m: u8,
}

/// A graph, the graphs that its expanding nodes answer with, and which nodes are shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recipe {
    pub nodes: Vec<Spec>,
    pub subs: Vec<Vec<Spec>>,
    pub sinks: Vec<u16>,
    /// Expansions may link to any earlier node of the prompt.
    pub late: bool,
    /// Expanding nodes get links that they pass on to their expansions.
    pub raw: bool,
    /// Expansions name nodes of earlier expansions.
    #[serde(default)]
    pub names: bool,
}

pub fn specs() -> impl Strategy<Value = Spec> {
    (prop::sample::select(&KINDS[..]), any::<[u16; 3]>(), any::<u8>(), any::<u8>())
        .prop_map(|(kind, reads, n, m)| Spec { kind, reads, n, m })
}

pub fn recipes() -> impl Strategy<Value = Recipe> {
    let subs = prop::collection::vec(prop::collection::vec(specs(), 1..5), 1..3);
    let nodes = prop::collection::vec(specs(), 1..18);
    (nodes, subs, prop::collection::vec(any::<u16>(), 1..4), any::<bool>())
        .prop_map(|(nodes, subs, sinks, late)| Recipe { nodes, subs, sinks, late, raw: true, names: false })
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
            return Input::literal(json!(choice % 10));
        }
        match choice as usize % (count + 1) {
            at if at < self.earlier => Input::link(format!("{}{at}", self.prefix), usize::from(choice >> 8 & 1)),
            at if at < count => self.outside[at - self.earlier].clone(),
            _ => Input::literal(json!(choice % 10)),
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
    let class = format!("{:?}", spec.kind);
    match spec.kind {
        Kind::Const => PromptNode::new("Const").with("a", json!(spec.n % 16)),
        Kind::Many => PromptNode::new("Many").with("a", a).with("n", json!(spec.n % 4)),
        Kind::Switch | Kind::SwitchAll => PromptNode::new(&*class).with("pick", a).with("a", b).with("b", c),
        Kind::Block => PromptNode::new("Block").with("a", a).with("m", json!(2 + spec.m % 3)),
        Kind::Once | Kind::Always | Kind::Tee => PromptNode::new(&*class).with("a", a),
        Kind::Mix | Kind::Wait | Kind::Pool | Kind::Lane | Kind::Whole => {
            PromptNode::new(&*class).with("a", a).with("b", b)
        }
        Kind::Expand | Kind::ExpandLater | Kind::ExpandAll if depth == 0 => {
            PromptNode::new("Mix").with("a", a).with("b", b)
        }
        Kind::Expand | Kind::ExpandLater | Kind::ExpandAll => {
            let node = PromptNode::new(&*class).with("a", a).with("sub", json!(spec.n)).with("depth", json!(depth));
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
            prompt.insert(format!("n{at}"), node(spec, &from, 3, at));
        }
        for (at, sink) in self.sinks.iter().enumerate() {
            let shown = *sink as usize % self.nodes.len();
            prompt.insert(format!("s{at}"), PromptNode::new("Sink").with("a", Input::link(format!("n{shown}"), 0)));
        }
        prompt
    }

    /// The graph that an expanding node answers with, and its two results.
    /// `exists` tells of nodes of earlier expansions.
    pub fn expansion(
        &self,
        prefix: &str,
        x: &Values,
        params: Params,
        raw: Option<&Link>,
        exists: impl Fn(&NodeId) -> bool,
    ) -> (Prompt, Vec<Source>) {
        let sub = &self.subs[params.sub as usize % self.subs.len()];
        let mut outside = vec![Source::from(x.clone()).into()];
        outside.extend(raw.map(|link| Input::Link(link.clone())));
        let named = raw.map(|link| NodeId::from(format!("{}.0.0.0", link.node)));
        if let Some(named) = named.filter(|id| self.names && exists(id)) {
            outside.push(Input::Link(Link::new(named.clone(), 0)));
            outside.push(Input::Link(Link::new(named, 1)));
        }
        if self.late {
            outside.extend((0..params.root).map(|at| Input::link(format!("n{at}"), at % 2)));
        }
        let old = outside.iter().rev().find_map(Input::as_link).cloned();
        if let (6, Some(old)) = (params.how % 7, &old) {
            // Nothing new at all, only other names for what there was.
            return (Prompt::new(), vec![Source::Link(old.clone()), Source::from(x.clone())]);
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
        let second = match (params.how % 4, old) {
            (0, _) => Source::from(x.clone()),
            (1, Some(old)) => Source::Link(old),
            _ => Source::Link(first),
        };
        (graph, vec![Source::Link(last), second])
    }
}

/// An expanding node's literals.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    pub sub: u8,
    pub depth: u8,
    pub root: usize,
    pub how: u8,
}

/// What a call of an expanding node answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Graph,
    Values,
    Block,
}

impl Params {
    /// How a call that got `a` answers.
    pub fn manner(self, a: i64) -> Manner {
        match (a + i64::from(self.how)).rem_euclid(16) {
            3 | 9 => Manner::Values,
            5 => Manner::Block,
            _ => Manner::Graph,
        }
    }
}
