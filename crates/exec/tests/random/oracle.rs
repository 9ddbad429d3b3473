//! The oracle: evaluates a random graph by plain recursion, keeps everything, schedules nothing.
//!
//! Shares with the engine under test the functions of the nodes, and nothing else.

use std::collections::{BTreeMap, HashMap};

use kiln_exec::graph::{Input, PromptNode, expansion_prefix};
use kiln_exec::{Link, NodeId, Prompt, Reply, Value, Values};

use crate::nodes::{blocks, many, mixed, needs, number, switched, whole};
use crate::recipe::{Params, Recipe};

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
    /// Values computed so far.
    size: usize,
}

/// Lists of lists of lists soon have millions of elements; such cases teach nothing and are passed over.
const TOO_BIG: usize = 4000;

impl<'r> Oracle<'r> {
    pub fn new(recipe: &'r Recipe, prompt: &Prompt) -> Self {
        let nodes = prompt.nodes.iter().map(|(id, node)| (id.clone(), node.clone())).collect();
        let mut oracle = Self { recipe, nodes, known: HashMap::new(), shown: BTreeMap::new(), size: 0 };
        for (id, node) in &prompt.nodes {
            if &*node.class_type == "Sink" {
                oracle.node(id);
            }
        }
        oracle
    }

    /// Whether the graph has grown too big to be worth running.
    pub fn is_too_big(&self) -> bool {
        self.size > TOO_BIG
    }

    /// Whether this node's value is needed for what is shown.
    pub fn needed(&self, id: &NodeId) -> bool {
        self.known.contains_key(id)
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
        let found = if &*node.class_type == "Whole" { self.in_one_call(&node) } else { self.mapped(id, &node) };
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

    fn in_one_call(&mut self, node: &PromptNode) -> Sockets {
        let (a, b) = (self.input(&node.inputs["a"]), self.input(&node.inputs["b"]));
        let whole = |list: &[Cell]| list.iter().copied().collect::<Option<Vec<i64>>>();
        match (whole(&a), whole(&b)) {
            (Some(a), Some(b)) => vec![vec![Some(whole_(&a, &b))], vec![Some(whole_(&a, &b) + 1)]],
            _ => vec![vec![None], vec![None]],
        }
    }

    fn mapped(&mut self, id: &NodeId, node: &PromptNode) -> Sockets {
        let lazy = |name: &str| &*node.class_type == "Switch" && name != "pick";
        let mut lists: HashMap<&str, Vec<Cell>> = HashMap::new();
        for (name, input) in &node.inputs {
            if !(lazy(name) && input.as_link().is_some()) {
                lists.insert(name, self.input(input));
            }
        }
        if &*node.class_type == "Switch" {
            self.ask(node, &mut lists);
        }
        // A raw link is followed for its order only; what it carries does not count for the mapping.
        lists.remove("raw");
        let mut sockets: Sockets = vec![Vec::new(); if &*node.class_type == "Sink" { 0 } else { 2 }];
        for call in 0..calls(&lists) {
            if self.is_too_big() {
                break;
            }
            let Some(values) = row(&lists, call) else {
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
            for call in 0..calls(lists) {
                let Some(values) = row(lists, call) else { continue };
                let get = |name: &str| values.get(name).copied();
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

    fn call(&mut self, id: &NodeId, node: &PromptNode, call: usize, values: &HashMap<&str, i64>) -> Sockets {
        let get = |name: &str| values.get(name).copied();
        let (a, b) = (get("a").unwrap_or(0), get("b").unwrap_or(0));
        let two = |[a, b]: [i64; 2]| vec![vec![Some(a)], vec![Some(b)]];
        match &*node.class_type {
            "Const" => two([a, a + 1]),
            "Mix" | "Pool" | "Lane" | "Wait" => two(mixed(a, b)),
            "Once" => two(mixed(a, 7)),
            "Many" => {
                let all: Vec<Cell> = many(a, get("n").unwrap_or(0)).into_iter().map(Some).collect();
                vec![all.clone(), all]
            }
            "Switch" => {
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
            "Expand" => self.expanded(id, node, call, values),
            other => unreachable!("{other}"),
        }
    }

    fn expanded(&mut self, id: &NodeId, node: &PromptNode, call: usize, values: &HashMap<&str, i64>) -> Sockets {
        let params = Params {
            sub: values["sub"] as u8,
            depth: values["depth"] as u8,
            root: values["root"] as usize,
            how: values["how"] as u8,
        };
        let raw: Option<Link> = node.inputs.get("raw").and_then(Input::as_link).cloned();
        let x = Value::Int(i128::from(values["a"]));
        let prefix = expansion_prefix(id, call as u32, 0);
        let (graph, results) = self.recipe.expansion(&prefix, &x, params, raw.as_ref());
        let shows: Vec<NodeId> =
            graph.nodes.iter().filter(|(_, node)| &*node.class_type == "Sink").map(|(id, _)| id.clone()).collect();
        self.nodes.extend(graph.nodes);
        for id in &shows {
            self.node(id);
        }
        results
            .iter()
            .map(|reply| match reply {
                Reply::Link(link) => self.node(&link.node)[link.socket].clone(),
                Reply::Values(values) => cells(values),
            })
            .collect()
    }
}

fn whole_(a: &[i64], b: &[i64]) -> i64 {
    whole(a, b)
}

fn cells(values: &Values) -> Vec<Cell> {
    values.iter().map(|value| value.as_blocker().is_none().then(|| number(value))).collect()
}

fn calls(lists: &HashMap<&str, Vec<Cell>>) -> usize {
    if lists.values().any(Vec::is_empty) { 0 } else { lists.values().map(Vec::len).max().unwrap_or(1) }
}

/// The values of one call; `None` when one of them is a blocker.
fn row<'n>(lists: &HashMap<&'n str, Vec<Cell>>, call: usize) -> Option<HashMap<&'n str, i64>> {
    lists.iter().map(|(name, list)| Some((*name, list[call.min(list.len() - 1)]?))).collect()
}
