//! The oracle: evaluates a random graph by plain recursion, keeps everything, schedules nothing.
//!
//! Shares with the engine under test the functions of the nodes, and nothing else.

use std::collections::{BTreeMap, HashMap};

use kiln_exec::graph::{Input, PromptNode, expansion_prefix};
use kiln_exec::{Link, NodeId, Prompt, Source, Value, Values};

use crate::nodes::{blocks, many, mixed, needs, number, switched, whole};
use crate::recipe::{Manner, Params, Recipe};

/// A number, or a blocker in its place.
type Cell = Option<i64>;
/// The lists on a node's sockets.
type Sockets = Vec<Vec<Cell>>;

pub struct Oracle<'r> {
    recipe: &'r Recipe,
    nodes: HashMap<NodeId, PromptNode>,
    known: HashMap<NodeId, Sockets>,
    /// What each output node showed.
    pub shown: BTreeMap<NodeId, Vec<i64>>,
    /// An expansion linked to a node that does not connect to the expanding one.
    pub links_elsewhere: bool,
    /// Cells of a coverage report.
    pub seen: BTreeMap<&'static str, u32>,
    /// Values computed so far.
    size: usize,
}

/// Classes whose nodes are run for their own sake.
pub fn is_shown(class: &str) -> bool {
    matches!(class, "Sink" | "Tee")
}

/// Lists of lists of lists soon have millions of elements; such cases teach nothing and are passed over.
const TOO_BIG: usize = 4000;

impl<'r> Oracle<'r> {
    /// Evaluates the output nodes, or those among the targets.
    pub fn new(recipe: &'r Recipe, prompt: &Prompt, targets: Option<&[NodeId]>) -> Self {
        let nodes = prompt.nodes.iter().map(|(id, node)| (id.clone(), node.clone())).collect();
        let mut oracle = Self {
            recipe,
            nodes,
            known: HashMap::new(),
            shown: BTreeMap::new(),
            links_elsewhere: false,
            seen: BTreeMap::new(),
            size: 0,
        };
        for (id, node) in &prompt.nodes {
            if is_shown(&node.class_type) && targets.is_none_or(|targets| targets.contains(id)) {
                oracle.node(id);
            }
        }
        oracle
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_insert(0) += 1;
    }

    /// Whether the graph has grown too big to be worth running.
    pub fn is_too_big(&self) -> bool {
        self.size > TOO_BIG
    }

    /// The nodes whose values are needed for what is shown.
    pub fn needed(&self) -> impl Iterator<Item = &NodeId> {
        self.known.keys()
    }

    pub fn class(&self, id: &NodeId) -> &str {
        self.nodes.get(id).map_or("", |node| &node.class_type)
    }

    fn node(&mut self, id: &NodeId) -> Sockets {
        if let Some(known) = self.known.get(id) {
            return known.clone();
        }
        if self.is_too_big() {
            return vec![vec![Some(0)]; 2];
        }
        let node = self.nodes[id].clone();
        let found = self.mapped(id, &node);
        self.note(&node, &found);
        self.size += 1 + found.iter().map(Vec::len).sum::<usize>();
        self.known.insert(id.clone(), found.clone());
        found
    }

    fn input(&mut self, input: &Input) -> Vec<Cell> {
        match input {
            Input::Link(link) => self.node(&link.node)[link.socket].clone(),
            Input::Literal(value) | Input::Malformed(value) => vec![Some(value.as_i64().unwrap())],
            Input::Opaque(payload) => cells(payload.downcast_ref::<Values>().unwrap()),
        }
    }

    fn note(&mut self, node: &PromptNode, found: &Sockets) {
        for list in found {
            match list.as_slice() {
                [] => self.saw("empty lists"),
                [_] => {}
                more if more.iter().any(Option::is_none) => self.saw("blockers inside lists"),
                _ => self.saw("lists"),
            }
        }
        match &*node.class_type {
            "Wait" | "ExpandLater" => self.saw("waiting nodes"),
            "Pool" => self.saw("nodes on the pool"),
            "Lane" => self.saw("nodes on a lane"),
            "Once" | "Always" => self.saw("nodes that must not run twice"),
            "Whole" | "SwitchAll" | "ExpandAll" => self.saw("whole lists as inputs"),
            "Many" => self.saw("lists as outputs"),
            _ => {}
        }
    }

    /// Lists as the node's calls see them: one call with everything, or one per element.
    fn lists_of<'n>(node: &PromptNode, lists: &HashMap<&'n str, Vec<Cell>>) -> Vec<Option<Row<'n>>> {
        let whole = matches!(&*node.class_type, "Whole" | "SwitchAll" | "ExpandAll");
        if whole {
            let row =
                |(name, list): (&&'n str, &Vec<Cell>)| Some((*name, list.iter().copied().collect::<Option<_>>()?));
            return vec![lists.iter().map(row).collect()];
        }
        (0..calls(lists)).map(|call| row(lists, call)).collect()
    }

    fn mapped(&mut self, id: &NodeId, node: &PromptNode) -> Sockets {
        let is_lazy = matches!(&*node.class_type, "Switch" | "SwitchAll");
        let lazy = |name: &str| is_lazy && name != "pick";
        let mut lists: HashMap<&str, Vec<Cell>> = HashMap::new();
        for (name, input) in &node.inputs {
            if !(lazy(name) && input.as_link().is_some()) {
                lists.insert(name, self.input(input));
            }
        }
        if is_lazy {
            self.ask(node, &mut lists);
        }
        // A raw link is followed for its order only; what it carries does not count for the mapping.
        lists.remove("raw");
        let mut sockets: Sockets = vec![Vec::new(); if &*node.class_type == "Sink" { 0 } else { 2 }];
        for (call, values) in Self::lists_of(node, &lists).into_iter().enumerate() {
            if self.is_too_big() {
                break;
            }
            let Some(values) = values else {
                for socket in &mut sockets {
                    socket.push(None);
                }
                continue;
            };
            let one = self.call(id, node, call, &values);
            sockets.iter_mut().zip(one).for_each(|(all, one)| all.extend(one));
        }
        sockets
    }

    fn ask<'n>(&mut self, node: &'n PromptNode, lists: &mut HashMap<&'n str, Vec<Cell>>) {
        loop {
            let mut asked: Vec<&'static str> = Vec::new();
            for values in Self::lists_of(node, lists).into_iter().flatten() {
                let get = |name: &str| number_of(node, values.get(name)?);
                asked.extend(needs(get("pick").unwrap_or(0), get("a"), get("b")));
            }
            asked.retain(|name| !lists.contains_key(name));
            if asked.is_empty() {
                return;
            }
            for name in asked {
                let found = self.input(&node.inputs[name]);
                lists.insert(name, found);
            }
        }
    }

    fn call(&mut self, id: &NodeId, node: &PromptNode, call: usize, values: &Row<'_>) -> Sockets {
        let get = |name: &str| number_of(node, values.get(name)?);
        let (a, b) = (get("a").unwrap_or(0), get("b").unwrap_or(0));
        let two = |[a, b]: [i64; 2]| vec![vec![Some(a)], vec![Some(b)]];
        match &*node.class_type {
            "Const" => two([a, a + 1]),
            "Mix" | "Pool" | "Lane" | "Wait" => two(mixed(a, b)),
            "Once" => two(mixed(a, 7)),
            "Always" => two(mixed(a, 9)),
            "Many" => match many(a, get("n").unwrap_or(0)) {
                Some(all) => vec![all.clone(), all],
                None => vec![vec![None], vec![None]],
            },
            "Whole" => {
                let all = whole(&values["a"], &values["b"]);
                two([all, all + 1])
            }
            "Switch" | "SwitchAll" => {
                let all = switched(get("pick").unwrap_or(0), get("a"), get("b"));
                two([all, all + 1])
            }
            "Block" => {
                let stop = blocks(a, get("m").unwrap_or(2));
                vec![vec![(!stop).then_some(a)], vec![Some(a)]]
            }
            "Sink" => {
                self.shown.entry(id.clone()).or_default().push(a);
                Vec::new()
            }
            "Tee" => {
                self.shown.entry(id.clone()).or_default().push(a);
                two([a, a + 1])
            }
            "Expand" | "ExpandLater" | "ExpandAll" => self.expanded(id, node, call, values),
            other => unreachable!("{other}"),
        }
    }

    fn expanded(&mut self, id: &NodeId, node: &PromptNode, call: usize, values: &Row<'_>) -> Sockets {
        let one = |name: &str| values[name][0];
        let params = Params {
            sub: one("sub") as u8,
            depth: one("depth") as u8,
            root: one("root") as usize,
            how: one("how") as u8,
        };
        let first = values["a"].first().copied().unwrap_or(0);
        match params.manner(first) {
            Manner::Values => {
                self.saw("expanding nodes that answer with values");
                return vec![vec![Some(first)], vec![Some(first + 1)]];
            }
            Manner::Block => return vec![vec![None], vec![None]],
            Manner::Graph => {}
        }
        let raw: Option<Link> = node.inputs.get("raw").and_then(Input::as_link).cloned();
        let x: Values = values["a"].iter().map(|x| Value::Int(i128::from(*x))).collect();
        let prefix = expansion_prefix(id, call as u32, 0);
        let (graph, results) =
            self.recipe.expansion(&prefix, &x, params, raw.as_ref(), |id| self.nodes.contains_key(id));
        self.note_expansion(id, node, &graph, &results);
        let shows: Vec<NodeId> =
            graph.nodes.iter().filter(|(_, node)| is_shown(&node.class_type)).map(|(id, _)| id.clone()).collect();
        self.nodes.extend(graph.nodes);
        for id in &shows {
            self.saw("output nodes inside expansions");
            self.node(id);
        }
        results
            .iter()
            .map(|reply| match reply {
                Source::Link(link) => self.node(&link.node)[link.socket].clone(),
                Source::Values(values) => cells(values),
            })
            .collect()
    }

    fn note_expansion(&mut self, id: &NodeId, node: &PromptNode, graph: &Prompt, results: &[Source]) {
        let depth = id.as_str().matches('.').count() / 3;
        self.saw(["expansions", "expansions inside expansions", "expansions three deep"][depth.min(2)]);
        if graph.is_empty() {
            self.saw("expansions without a node");
        }
        let connects = |link: &Link| {
            graph.nodes.contains_key(&link.node) || node.links().any(|(_, input)| input.node == link.node)
        };
        let linked = results.iter().filter_map(|reply| match reply {
            Source::Link(link) => Some(link),
            Source::Values(_) => None,
        });
        let mut links = graph.nodes.values().flat_map(|node| node.links().map(|(_, link)| link)).chain(linked);
        if links.any(|link| !connects(link)) {
            self.saw("links to elsewhere");
            self.links_elsewhere = true;
        }
    }
}

/// The values of one call, each a list for nodes that take lists, else of one.
type Row<'n> = HashMap<&'n str, Vec<i64>>;

/// What a node that reckons with numbers makes of an input: a whole list is folded into one.
fn number_of(node: &PromptNode, list: &[i64]) -> Option<i64> {
    match &*node.class_type {
        "SwitchAll" => Some(whole(list, &[])),
        _ => list.first().copied(),
    }
}

fn cells(values: &Values) -> Vec<Cell> {
    values.iter().map(|value| value.as_blocker().is_none().then(|| number(value))).collect()
}

fn calls(lists: &HashMap<&str, Vec<Cell>>) -> usize {
    if lists.values().any(Vec::is_empty) { 0 } else { lists.values().map(Vec::len).max().unwrap_or(1) }
}

/// The values of one call; `None` when one of them is a blocker.
fn row<'n>(lists: &HashMap<&'n str, Vec<Cell>>, call: usize) -> Option<Row<'n>> {
    lists.iter().map(|(name, list)| Some((*name, vec![list[call.min(list.len() - 1)]?]))).collect()
}
