//! An observer accompanies every run of an engine, and classes say what they have to do with resources.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::sync::{Arc, Mutex};

use common::{World, graph, registry};
use kiln_exec::graph::{InputDef, NodeDef, OutputDef};
use kiln_exec::*;

/// Writes down what it is told.
#[derive(Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn word(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::ExecutionStart { .. } => "start",
        Event::ExecutionSuccess { .. } => "success",
        Event::ExecutionError(_) => "error",
        _ => return None,
    })
}

impl RunObserver for Log {
    fn begin(&self, registry: &Registry, prompt: &Arc<Prompt>) -> Listener {
        self.0.lock().unwrap().push(format!("{} of {} classes", prompt.len(), registry.len().min(1)));
        let log = Arc::clone(&self.0);
        Arc::new(move |event| log.lock().unwrap().extend(word(event).map(Into::into)))
    }

    fn end(&self, cached: u64) {
        self.0.lock().unwrap().push(format!("end, {cached} bytes kept"));
    }
}

fn engine(log: &Arc<Log>) -> Engine {
    Engine::builder(registry(&World::default())).observer(log.clone()).build()
}

#[test]
fn an_observer_hears_each_run_before_its_listener_and_learns_what_is_kept() {
    let log = Arc::new(Log::default());
    let engine = engine(&log);
    let also = Arc::clone(&log.0);
    let run = engine.start(graph("a: Make(n=1, kb=2); out: Sink(x=a)"));
    run.on_event(move |event| also.lock().unwrap().extend(word(event).map(|word| format!("run's {word}"))))
        .run()
        .unwrap();
    let heard = log.lines();
    let start = ["2 of 1 classes", "start", "run's start", "success", "run's success"];
    assert_eq!(heard[..5], start);
    assert_eq!(heard[5], format!("end, {} bytes kept", engine.cache_size().1));
    engine.run(graph("out: Sink(x=1)")).unwrap();
    assert_eq!(log.lines()[6..9], ["1 of 1 classes", "start", "success"]);
}

#[test]
fn a_run_that_fails_ends_for_the_observer_too_and_one_that_is_refused_does_not_begin() {
    let log = Arc::new(Log::default());
    let engine = engine(&log);
    engine.run(graph("a: Fails(); out: Sink(x=a)")).unwrap_err();
    assert_eq!(log.lines(), ["2 of 1 classes", "start", "error", "end, 0 bytes kept"]);
    engine.run(graph("a: Unheard()")).unwrap_err();
    assert_eq!(log.lines()[4..], ["end, 0 bytes kept"]);
}

#[test]
fn an_observer_learns_that_the_cache_was_emptied_between_runs() {
    let log = Arc::new(Log::default());
    let engine = engine(&log);
    let last = |log: &Log| log.lines().last().cloned().unwrap();
    engine.run(graph("a: Make(n=1, kb=2); out: Sink(x=a)")).unwrap();
    assert_ne!(last(&log), "end, 0 bytes kept");
    engine.free();
    assert_eq!(last(&log), "end, 0 bytes kept");
    engine.run(graph("a: Make(n=1, kb=2); out: Sink(x=a)")).unwrap();
    engine.set_cache(CachePolicy::None);
    assert_eq!(last(&log), "end, 0 bytes kept");
}

#[derive(Clone)]
struct Net;
object!(Net, "NET");

/// Opens a net.
#[derive(Node)]
struct Load {
    /// Its file.
    #[input(provides(NET = "body", HEAD = "head"))]
    file: String,
}
impl Execute for Load {
    type Output = Net;
    fn execute(self, _: &mut Cx) -> Result<Net, NodeError> {
        Err(NodeError::new(self.file))
    }
}

/// Runs a net.
#[derive(Node)]
struct Apply {
    /// The net.
    #[input(uses = rounds)]
    net: Net,
    /// What decorates it.
    #[input(carries)]
    decoration: Net,
    /// What it is asked first.
    #[input(uses)]
    first: Net,
    /// How often.
    rounds: i64,
}
impl Execute for Apply {
    type Output = Net;
    fn execute(self, _: &mut Cx) -> Result<Net, NodeError> {
        Ok(match self.rounds.signum() {
            1 => self.net,
            -1 => self.decoration,
            _ => self.first,
        })
    }
}

fn rounds(node: NodeView<'_>) -> u32 {
    node.number("rounds").unwrap_or(9) as u32
}

#[test]
fn a_class_says_what_it_loads_uses_and_carries() {
    let registry = Registry::new().with::<Load>().with::<Apply>();
    let load = registry.get("Load").unwrap().resources();
    let parts: Vec<_> = load.provides().iter().map(|part| (&*part.input, &*part.socket_type, &*part.name)).collect();
    assert_eq!(parts, [("file", "NET", "body"), ("file", "HEAD", "head")]);

    let prompt = graph("n: Load(file='a'); m: Apply(net=n, decoration=n, first=n, rounds=3)");
    let node = NodeView::new(&registry, &prompt, &"m".into()).unwrap();
    let apply = registry.get("Apply").unwrap().resources();
    let uses: Vec<_> = apply.uses().map(|(input, passes)| (input, passes(node))).collect();
    assert_eq!(uses, [("net", 3), ("first", 1)]);
    assert_eq!(apply.carries().collect::<Vec<_>>(), ["decoration"]);
}

#[test]
fn a_dynamic_class_says_so_as_well() {
    let def = NodeDef::new("Dyn").input(InputDef::new("net", "NET")).output(OutputDef::new("NET"));
    let node =
        DynNode::new(def, |_, _| Ok(Value::Null)).uses("net", |_| 2).carries("other").provides("file", "NET", "body");
    let registry = Registry::new().with_dyn(node);
    let resources = registry.get("Dyn").unwrap().resources();
    assert_eq!(resources.uses().count() + resources.carries().count() + resources.provides().len(), 3);
}

#[test]
fn a_view_follows_inputs_of_one_type_and_ends_in_a_circle() {
    let registry = Registry::new().with::<Load>().with::<Apply>();
    let prompt =
        graph("l: Load(file='a'); b: Apply(net=l, rounds=1); c: Apply(net=b, rounds=2); d: Apply(net=d, rounds=1)");
    let view = |id: &str| NodeView::new(&registry, &prompt, &id.into()).unwrap();
    assert_eq!(view("c").trace("net", "file").unwrap().text("file"), Some("a"));
    assert!(view("d").trace("net", "file").is_none());
    assert!(view("l").trace("file", "file").is_none(), "no link");
}

#[test]
fn a_run_without_progress_states_reports_all_else_in_the_same_order() {
    let events = |states: bool| {
        let (heard, engine) = (Arc::new(Mutex::new(Vec::new())), Engine::new(registry(&World::default())));
        let log = Arc::clone(&heard);
        let run = engine.start(graph("a: Make(n=1, kb=2); out: Sink(x=a)"));
        let name = |event: &Event| serde_json::to_value(event).unwrap()["type"].as_str().unwrap().to_owned();
        run.options(RunOptions::new().with_progress_states(states))
            .on_event(move |event| log.lock().unwrap().push(name(event)))
            .run()
            .unwrap();
        std::mem::take(&mut *heard.lock().unwrap())
    };
    let (mut all, without) = (events(true), events(false));
    assert!(all.iter().any(|event| event == "progress_state"), "{all:?}");
    all.retain(|event| event != "progress_state");
    assert_eq!(all, without);
}
