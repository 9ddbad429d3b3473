//! A graph in one line, nodes for every behaviour, and the log of a run in one line.
//!
//! `graph("a: Make(n=1); b: Pass(x=a); out: Sink(x=b.0)")` is a prompt. The log of its run reads `a b -a out -b`: nodes
//! in the order in which they finished, `-a` for an output that was dropped, `d+` for an expansion, `a'` where a node
//! has to run again.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::unnecessary_wraps, missing_docs, unreachable_pub)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use kiln_exec::graph::{Input, InputDef, NodeDef, OutputDef, PromptNode};
use kiln_exec::*;

/// A payload of a thousand bytes per unit that knows how many of its kind exist.
#[derive(Clone)]
pub struct Blob(Arc<Inner>);
pub struct Inner {
    pub n: i64,
    pub bytes: u64,
    alive: Arc<AtomicI64>,
}
impl Drop for Inner {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}
object!(Blob, "BLOB", |b| b.0.bytes, device: |_| "cpu", storage: |b| Some(Arc::as_ptr(&b.0).addr() as u64));

#[derive(Clone, Default)]
pub struct World {
    pub alive: Arc<AtomicI64>,
    pub ran: Arc<Mutex<HashMap<String, u32>>>,
}
impl World {
    pub fn blob(&self, n: i64, kilobytes: u64) -> Value {
        self.alive.fetch_add(1, Ordering::SeqCst);
        Value::object(Blob(Arc::new(Inner { n, bytes: kilobytes * 1000, alive: Arc::clone(&self.alive) })))
    }
    pub fn ran(&self, id: &str) -> u32 {
        self.ran.lock().unwrap().get(id).copied().unwrap_or(0)
    }
    pub fn alive(&self) -> i64 {
        self.alive.load(Ordering::SeqCst)
    }
}

pub fn number(value: &Value) -> i64 {
    match value {
        Value::Int(i) => *i as i64,
        Value::Null => 0,
        other => other.downcast_ref::<Blob>().map_or(-1, |blob| blob.0.n),
    }
}

/// Reads `id: Class(name=value, …); …`. A value is a number, `true`, `'text'`, `[1 2]`, or a node with an optional
/// socket: `a.1`.
pub fn graph(text: &str) -> Prompt {
    let mut prompt = Prompt::new();
    for line in text.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        let (id, rest) = line.split_once(':').expect("id: Class(…)");
        let (class, inputs) = rest.trim().trim_end_matches(')').split_once('(').expect("Class(…)");
        let mut node = PromptNode::new(class.trim());
        for pair in inputs.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').expect("name=value");
            node = node.with(name.trim(), input(value.trim()));
        }
        prompt.insert(id.trim(), node);
    }
    prompt
}

fn input(value: &str) -> Input {
    if let Some(text) = value.strip_prefix('\'') {
        return Input::literal(json!(text.trim_end_matches('\'')));
    }
    if let Ok(number) = value.parse::<i64>() {
        return Input::literal(json!(number));
    }
    if value == "true" || value == "false" {
        return Input::literal(json!(value == "true"));
    }
    let (node, socket) = value.rsplit_once('.').unwrap_or((value, "0"));
    match socket.parse() {
        Ok(socket) => Input::link(node, socket),
        Err(_) => Input::link(value, 0),
    }
}

/// A definition with optional `*` inputs and so many `*` outputs.
pub fn def(class: &str, inputs: &[&str], outputs: usize) -> NodeDef {
    let def = inputs.iter().fold(NodeDef::new(class), |def, name| def.input(InputDef::new(*name, "*").optional()));
    (0..outputs).fold(def, |def, _| def.output(OutputDef::new("*")))
}

pub fn int(args: &Args, name: &str) -> i64 {
    args.get(name).map_or(0, number)
}

/// The nodes that tests of this crate are made of.
pub fn registry(world: &World) -> Registry {
    let counted = |f: fn(&World, &Args, &mut Cx) -> Result<DynReply, NodeError>| {
        let world = world.clone();
        move |args: &mut Args, cx: &mut Cx| {
            *world.ran.lock().unwrap().entry(cx.node_id().to_string()).or_insert(0) += 1;
            f(&world, args, cx)
        }
    };
    let make = counted(|world, args, _| Ok(world.blob(int(args, "n"), int(args, "kb").max(1) as u64).into()));
    let pass = counted(|_, args, _| Ok(args.get("x").cloned().unwrap_or_default().into()));
    let add = counted(|world, args, _| Ok(world.blob(int(args, "x") + int(args, "y"), 1).into()));
    let two =
        counted(|world, args, _| Ok(vec![world.blob(int(args, "n"), 1), world.blob(int(args, "n") + 1, 1)].into()));
    let list = counted(|world, args, _| Ok((0..int(args, "n")).map(|i| world.blob(i, 1)).collect::<Values>().into()));
    let whole = counted(|world, args, _| {
        let sum = args.list("x").map_or(0, |list| list.iter().map(number).sum());
        Ok(vec![world.blob(sum, 1), Value::Int(args.list("x").map_or(0, Values::len) as i128)].into())
    });
    let pick = counted(|_, args, _| {
        let from = if int(args, "pick") == 0 { "a" } else { "b" };
        Ok(args.get(from).cloned().unwrap_or_default().into())
    });
    let fails = counted(|_, _, _| Err(NodeError::new("it is broken")));
    let panics = counted(|_, _, _| panic!("shapes differ"));
    let cancels = counted(|_, args, cx| {
        cx.cancel().cancel();
        cx.checkpoint()?;
        Ok(args.get("x").cloned().unwrap_or_default().into())
    });
    let block = counted(|_, args, _| {
        let blocker = match args.get("say") {
            Some(Value::String(text)) => Blocker::with_message(&**text),
            _ => Blocker::silent(),
        };
        let stop = args.get("on").is_none_or(|on| number(on) == int(args, "x"));
        Ok(if stop { Value::Blocker(blocker).into() } else { args.get("x").cloned().unwrap_or_default().into() })
    });
    let sink = counted(|_, args, _| {
        Ok(DynReply::from(args.get("x").cloned().unwrap_or_default()).with_ui(Ui::new().with("n", int(args, "x"))))
    });
    let mut list_def = def("List", &["n"], 1);
    list_def.outputs[0].is_list = true;
    let mut pick_def = def("Pick", &["pick", "a", "b"], 1);
    pick_def.inputs[1].lazy = true;
    pick_def.inputs[2].lazy = true;
    let mut registry = Registry::new()
        .with_dyn(DynNode::new(def("Make", &["n", "kb", "after"], 1), make))
        .with_dyn(DynNode::new(def("Pass", &["x", "after"], 1), pass))
        .with_dyn(DynNode::new(def("Add", &["x", "y"], 1), add))
        .with_dyn(DynNode::new(def("Two", &["n"], 2), two))
        .with_dyn(DynNode::new(list_def, list))
        .with_dyn(DynNode::new(NodeDef { input_is_list: true, ..def("Whole", &["x"], 2) }, whole))
        .with_dyn(
            DynNode::new(pick_def, pick)
                .needs(|args, _| Ok(vec![if int(args, "pick") == 0 { "a".into() } else { "b".into() }])),
        )
        .with_dyn(DynNode::new(def("Fails", &["x"], 1), fails))
        .with_dyn(DynNode::new(def("Panics", &["x"], 1), panics))
        .with_dyn(DynNode::new(def("Cancels", &["x"], 1), cancels))
        .with_dyn(DynNode::new(def("Block", &["x", "on", "say"], 1), block))
        .with_dyn(DynNode::new(NodeDef { output_node: true, ..def("Sink", &["x", "after"], 1) }, sink));
    let noise = counted(|world, _, _| Ok(world.blob(7, 1).into()));
    registry.add_dyn(DynNode::new(NodeDef { not_idempotent: true, ..def("Noise", &["x"], 1) }, noise));
    let always = counted(|_, args, _| Ok(args.get("x").cloned().unwrap_or_default().into()));
    registry.add_dyn(DynNode::new(def("Always", &["x"], 1), always).fingerprint(|_| Ok(Fingerprint::Always)));
    let into = counted(|_, args, cx| expand_into(args, cx));
    registry.add_dyn(DynNode::new(def("Into", &["x", "to", "how"], 1), into));
    registry
}

/// `Into(to='a')` answers with a graph around node `a` of the prompt: `how='pass'` (default) passes its output on,
/// `direct` names it as the result, `show` also shows it.
fn expand_into(args: &Args, cx: &mut Cx) -> Result<DynReply, NodeError> {
    let text = |name: &str| match args.get(name) {
        Some(Value::String(text)) => text.to_string(),
        _ => String::new(),
    };
    let (to, how) = (Link::new(text("to"), 0), text("how"));
    let g = cx.graph();
    let inner = g.add_spec(NodeSpec::new("Pass").input("x", to.clone()));
    if how == "show" {
        g.add_spec(NodeSpec::new("Sink").input("x", Link::new(&inner, 0)));
    }
    let result = if how == "direct" { to } else { Link::new(inner, 0) };
    Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(g.into_prompt(), vec![result.into()])).into())
}

pub struct Bench {
    pub world: World,
    pub engine: Engine,
}

/// An engine with the nodes above.
pub fn bench(cache: CachePolicy) -> Bench {
    let world = World::default();
    let engine = Engine::builder(registry(&world)).cache(cache).build();
    Bench { world, engine }
}

pub struct Ran {
    pub result: Result<Report, RunError>,
    pub events: Vec<Event>,
    pub log: String,
}

impl Bench {
    pub fn run(&self, text: &str) -> Ran {
        self.run_with(text, RunOptions::default())
    }

    pub fn run_with(&self, text: &str, options: RunOptions) -> Ran {
        self.world.ran.lock().unwrap().clear();
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        let run = self.engine.start(graph(text)).options(options);
        let result = run.on_event(move |event| heard.lock().unwrap().push(event.clone())).run();
        let events = events.lock().unwrap().clone();
        Ran { result, log: log(&events), events }
    }
}

impl Ran {
    pub fn report(&self) -> &Report {
        self.result.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }
    pub fn shown(&self, id: &str) -> Vec<i64> {
        let ui = self.report().ui(id).and_then(|ui| ui.get("n"));
        ui.unwrap_or_default().iter().map(|n| n.as_i64().unwrap()).collect()
    }
    pub fn error(&self) -> &RunError {
        self.result.as_ref().expect_err("the run should have failed")
    }
}

/// A run in one line.
pub fn log(events: &[Event]) -> String {
    let token = |event: &Event| match event {
        Event::Finished { node, .. } => Some(node.to_string()),
        Event::Dropped { node, socket: 0, .. } => Some(format!("-{node}")),
        Event::Dropped { node, socket, .. } => Some(format!("-{node}.{socket}")),
        Event::Reexecuted { node, .. } => Some(format!("{node}'")),
        Event::Expanded { node, .. } => Some(format!("{node}+")),
        _ => None,
    };
    events.iter().filter_map(token).collect::<Vec<_>>().join(" ")
}

/// Edge to `a` appears after its only reader has finished.
pub const LATE: &str = "a: Make(n=1); b: Pass(x=a); d: Into(x=b, to='a'); out: Sink(x=d)";

/// One order only, ComfyUI's.
pub fn exact() -> RunOptions {
    RunOptions { deterministic: true, order: Order::Comfy, ..RunOptions::default() }
}
