//! Nodes that count and add, and an engine that knows them and loops.

use std::sync::{Arc, Mutex};

use kiln_exec::graph::{InputDef, NodeDef, OutputDef, Prompt};
use kiln_exec::{
    Args, CachePolicy, Cancel, Cx, DynNode, DynReply, Engine, Event, Link, NodeError, Outcome, Registry, Report,
    RunError, RunOptions, Ui, Value, Values, object,
};
use serde_json::json;

/// A thousand bytes with a number.
#[derive(Clone)]
struct Blob(i64);
object!(Blob, "BLOB", |_| 1000);

pub struct World {
    engine: Engine,
    /// The ids of the nodes that ran.
    log: Arc<Mutex<Vec<String>>>,
    cancel: Arc<Mutex<Cancel>>,
}

fn number(args: &Args, name: &str) -> i64 {
    match args.get(name) {
        Some(Value::Int(i)) => *i as i64,
        Some(Value::Bool(b)) => i64::from(*b),
        Some(other) => other.downcast_ref::<Blob>().map_or(0, |blob| blob.0),
        None => 0,
    }
}

fn def(class: &str, inputs: &[&str]) -> NodeDef {
    let def = inputs.iter().fold(NodeDef::new(class), |def, name| def.input(InputDef::new(*name, "*").optional()));
    def.output(OutputDef::new("*"))
}

fn int(value: i64) -> DynReply {
    Value::Int(value.into()).into()
}

fn show(args: &mut Args) -> DynReply {
    let ui = Ui::new().with("n", json!(number(args, "x")));
    DynReply::from(args.get("x").cloned().unwrap_or_default()).with_ui(ui)
}

impl World {
    pub fn new(cache: CachePolicy) -> Self {
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let cancel = Arc::new(Mutex::new(Cancel::new()));
        let mut registry = kiln_nodes::registry();
        classes(&mut registry, &log, &cancel);
        Self { engine: Engine::builder(registry).cache(cache).build(), log, cancel }
    }

    pub fn registry(&self) -> &Registry {
        self.engine.registry()
    }

    pub fn run(&self, prompt: &Prompt) -> Result<Report, RunError> {
        let run = self.engine.start(prompt.clone());
        *self.cancel.lock().unwrap() = run.cancel();
        run.run()
    }

    pub fn values(&self, prompt: &Prompt, node: &str) -> Values {
        self.values_with(prompt, node, RunOptions::default())
    }

    pub fn values_with(&self, prompt: &Prompt, node: &str, options: RunOptions) -> Values {
        let link = Link::new(node, 0);
        let options = RunOptions { fetch: vec![link.clone()], ..options };
        let report = self.engine.start(prompt.clone()).options(options).run();
        report.unwrap_or_else(|error| panic!("{error}")).values(&link).unwrap().clone()
    }

    pub fn events(&self, prompt: &Prompt) -> Vec<Event> {
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let kept = Arc::clone(&events);
        let run = self.engine.start(prompt.clone());
        run.on_event(move |event| kept.lock().unwrap().push(event.clone())).run().unwrap();
        let events = events.lock().unwrap();
        events.clone()
    }

    pub fn ran(&self, id: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|ran| *ran == id).count()
    }

    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

fn classes(registry: &mut Registry, log: &Arc<Mutex<Vec<String>>>, cancel: &Arc<Mutex<Cancel>>) {
    type Work = fn(&mut Args) -> Result<DynReply, NodeError>;
    let mut add = |def: NodeDef, work: Work| {
        let log = Arc::clone(log);
        registry.add_dyn(DynNode::new(def, move |args: &mut Args, cx: &mut Cx| {
            log.lock().unwrap().push(cx.node_id().to_string());
            work(args)
        }));
    };
    add(def("Add", &["a", "b"]), |args| Ok(int(number(args, "a").wrapping_add(number(args, "b")))));
    add(def("Mul", &["a", "b"]), |args| Ok(int(number(args, "a").wrapping_mul(number(args, "b")))));
    add(def("Blob", &["x"]), |args| Ok(Value::object(Blob(number(args, "x") + 1)).into()));
    add(def("Five", &[]), |_| Ok(int(5)));
    add(def("Same", &["x"]), |args| Ok(args.get("x").cloned().unwrap_or_default().into()));
    add(NodeDef { outputs: vec![OutputDef::new("*").list()], ..def("Range", &["first", "count"]) }, |args| {
        let (first, count) = (number(args, "first"), number(args, "count"));
        Ok((first..first + count).map(|i| Value::Int(i.into())).collect::<Values>().into())
    });
    add(def("Row", &["a", "b", "c", "d", "e"]), |args| {
        let json = |name| args.get(name).and_then(Value::to_json);
        Ok(Value::Json(Arc::new(["a", "b", "c", "d", "e"].map(json).into_iter().collect())).into())
    });
    add(def("BlockOdd", &["x"]), |args| match number(args, "x") {
        odd if odd % 2 == 1 => Ok(Outcome::Block(None).into()),
        even => Ok(int(even)),
    });
    add(def("FailAt", &["x", "at"]), |args| match number(args, "x") {
        x if x == number(args, "at") => Err(NodeError::new(format!("it is {x}"))),
        x => Ok(int(x)),
    });
    add(def("Show", &["x"]).output_node(true), |args| Ok(show(args)));
    add(def("ShowThrough", &["x"]).output_node(true), |args| Ok(show(args)));
    let lazy = |name: &str| InputDef::new(name, "*").lazy();
    let pick = NodeDef::new("Pick").input(InputDef::new("which", "BOOLEAN")).input(lazy("yes")).input(lazy("no"));
    let wanted = |args: &Args| if number(args, "which") == 1 { "yes" } else { "no" };
    let node = DynNode::new(pick.output(OutputDef::new("*")), move |args: &mut Args, _: &mut Cx| {
        Ok(args.get(wanted(args)).cloned().unwrap_or_default())
    });
    registry.add_dyn(node.needs(move |args, _| Ok(vec![wanted(args).into()])));
    let (log, cancel) = (Arc::clone(log), Arc::clone(cancel));
    registry.add_dyn(DynNode::new(def("CancelAt", &["x", "at"]), move |args: &mut Args, cx: &mut Cx| {
        log.lock().unwrap().push(cx.node_id().to_string());
        if number(args, "x") == number(args, "at") {
            cancel.lock().unwrap().cancel();
        }
        Ok(int(number(args, "x")))
    }));
}

/// The whole numbers of a list; nothing counts as 0.
pub fn ints(values: &Values) -> Vec<i64> {
    values.iter().map(|value| if let Value::Int(i) = value { *i as i64 } else { 0 }).collect()
}
