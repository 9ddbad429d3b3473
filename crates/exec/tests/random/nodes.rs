//! The nodes of the random graphs: pure functions of numbers, each in the shapes that nodes come in.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use kiln_exec::graph::{InputDef, NodeDef, OutputDef};
use kiln_exec::*;

use crate::case::{Fault, What};
use crate::recipe::{Manner, Params, Recipe};

/// A number as a payload, so that bytes and handles are counted.
#[derive(Clone)]
pub struct Token(Arc<Inner>);
struct Inner {
    number: i64,
    alive: Arc<AtomicI64>,
}
impl Drop for Inner {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}
object!(Token, "TOKEN", |_| 1000);

/// What a case watches.
#[derive(Default)]
pub struct Watch {
    /// Payloads that exist.
    pub alive: Arc<AtomicI64>,
    /// How often each node ran, and the index of its last call.
    pub ran: Mutex<HashMap<NodeId, (u32, u32)>>,
    /// What goes wrong, and when.
    pub script: Mutex<Script>,
    /// Cells of a coverage report.
    pub seen: Mutex<BTreeMap<&'static str, u32>>,
}

/// Faults that wait for their step, and those that came.
#[derive(Default)]
pub struct Script {
    pub faults: Vec<Fault>,
    pub cancel: Option<Cancel>,
    steps: u32,
    /// The nodes that failed.
    pub failed: Vec<NodeId>,
    /// A fault asked for a cancel.
    pub cancelled: bool,
    /// Calls that began after the first failure.
    pub late_calls: u32,
    /// What came, for coverage.
    pub came: Vec<&'static str>,
}

impl Script {
    pub fn new(faults: &[Fault], cancel: Option<Cancel>) -> Self {
        Self { faults: faults.to_vec(), cancel, ..Self::default() }
    }

    /// One more step of the run: what is to happen at it.
    fn due(&mut self, place: Place) -> Option<What> {
        let step = self.steps;
        self.steps += 1;
        let fault = self.faults.iter().find(|fault| u32::from(fault.step) == step)?;
        Some(if place == Place::Event { What::Cancel } else { fault.what })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Node,
    Event,
}

impl Watch {
    pub fn token(&self, number: i64) -> Value {
        self.alive.fetch_add(1, Ordering::SeqCst);
        Value::object(Token(Arc::new(Inner { number, alive: Arc::clone(&self.alive) })))
    }

    pub fn saw(&self, what: &'static str) {
        *self.seen.lock().unwrap().entry(what).or_insert(0) += 1;
    }

    /// A call begins.
    fn ran(&self, cx: &Cx) -> Result<(), NodeError> {
        let call = cx.call_index();
        let mut all = self.ran.lock().unwrap();
        let ran = all.entry(cx.node_id().clone()).or_insert((0, u32::MAX));
        // Calls of one run of a node have rising indices; the first may be skipped by a blocker.
        *ran = (ran.0 + u32::from(ran.1 == u32::MAX || call <= ran.1), call);
        drop(all);
        let mut script = self.script.lock().unwrap();
        script.late_calls += u32::from(!script.failed.is_empty());
        drop(script);
        self.step(cx)
    }

    /// A moment within a call.
    fn step(&self, cx: &Cx) -> Result<(), NodeError> {
        let mut script = self.script.lock().unwrap();
        match script.due(Place::Node) {
            Some(What::Fail) => {
                let inside = cx.node_id().as_str().contains('.');
                script.came.push(if inside { "failures inside expansions" } else { "failures" });
                script.failed.push(cx.node_id().clone());
                Err(NodeError::new("failed on purpose"))
            }
            Some(What::Panic) => {
                script.came.push("panics");
                script.failed.push(cx.node_id().clone());
                drop(script);
                panic!("on purpose")
            }
            Some(What::Cancel) => {
                script.came.push("cancels inside nodes");
                script.cancelled = true;
                script.cancel.iter().for_each(Cancel::cancel);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Something was told: between nodes, mostly.
    pub fn heard(&self, event: &Event) {
        let end = matches!(
            event,
            Event::ExecutionSuccess { .. } | Event::ExecutionError(_) | Event::ExecutionInterrupted { .. }
        );
        let mut script = self.script.lock().unwrap();
        if !end && script.due(Place::Event).is_some() {
            script.came.push("cancels between nodes");
            script.cancelled = true;
            script.cancel.iter().for_each(Cancel::cancel);
        }
    }
}

pub fn number(value: &Value) -> i64 {
    match value {
        Value::Int(i) => *i as i64,
        other => other.downcast_ref::<Token>().map_or(-1, |token| token.0.number),
    }
}

pub fn mix(a: i64, b: i64) -> i64 {
    (a.wrapping_mul(31).wrapping_add(b.wrapping_mul(17)).wrapping_add(3)).rem_euclid(1009)
}
/// Both outputs of the nodes that mix two numbers.
pub fn mixed(a: i64, b: i64) -> [i64; 2] {
    [mix(a, b), mix(b, a) + 1]
}
/// A list of `n`, with a blocker in it now and then; `None`: a blocker in its place.
pub fn many(a: i64, n: i64) -> Option<Vec<Option<i64>>> {
    (a % 13 != 5).then(|| (0..n).map(|i| (a % 5 != 4 || i != 1).then(|| mix(a, i))).collect())
}
pub fn whole(a: &[i64], b: &[i64]) -> i64 {
    a.iter().chain(b).fold(a.len() as i64, |all, one| mix(all, *one))
}
pub fn blocks(a: i64, m: i64) -> bool {
    a % m == 0
}
/// Which lazy inputs a switch still needs: one by the pick, and then sometimes the other.
pub fn needs(pick: i64, a: Option<i64>, b: Option<i64>) -> Vec<&'static str> {
    match (pick % 2, a, b) {
        (0, None, _) => vec!["a"],
        (0, Some(a), None) if a % 3 == 0 => vec!["b"],
        (0, ..) => vec![],
        (_, _, None) => vec!["b"],
        _ => vec![],
    }
}
pub fn switched(pick: i64, a: Option<i64>, b: Option<i64>) -> i64 {
    mix(a.unwrap_or(0) + pick, b.unwrap_or(0))
}

fn def(class: &str, inputs: &[&str], outputs: usize) -> NodeDef {
    let def = inputs.iter().fold(NodeDef::new(class), |def, name| def.input(InputDef::new(*name, "*").optional()));
    (0..outputs).fold(def, |def, _| def.output(OutputDef::new("*")))
}

fn int(args: &Args, name: &str) -> Option<i64> {
    args.get(name).map(number)
}

/// Lets others go first, so many times.
struct Yield(u8);
impl Future for Yield {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn two(watch: &Watch, [a, b]: [i64; 2]) -> Vec<Value> {
    vec![watch.token(a), watch.token(b)]
}

pub fn registry(watch: &Arc<Watch>, recipe: &Arc<Recipe>) -> Registry {
    let with = |f: fn(&Watch, &Args) -> Vec<Value>| {
        let watch = Arc::clone(watch);
        move |args: &mut Args, cx: &mut Cx| {
            watch.ran(cx)?;
            Ok::<_, NodeError>(f(&watch, args))
        }
    };
    let mixing =
        |watch: &Watch, args: &Args| two(watch, mixed(int(args, "a").unwrap_or(0), int(args, "b").unwrap_or(0)));
    let once = NodeDef { not_idempotent: true, ..def("Once", &["a"], 2) };
    let mut registry = Registry::new()
        .with_dyn(DynNode::new(
            def("Const", &["a"], 2),
            with(|watch, args| {
                let a = int(args, "a").unwrap_or(0);
                two(watch, [a, a + 1])
            }),
        ))
        .with_dyn(DynNode::new(def("Mix", &["a", "b"], 2), with(mixing)))
        .with_dyn(DynNode::new(def("Pool", &["a", "b"], 2), with(mixing)).on(Lane::Parallel))
        .with_dyn(DynNode::new(def("Lane", &["a", "b"], 2), with(mixing)).on(Lane::Serial("device".into())))
        .with_dyn(DynNode::new(once, with(|watch, args| two(watch, mixed(int(args, "a").unwrap_or(0), 7)))))
        .with_dyn(
            DynNode::new(
                def("Always", &["a"], 2),
                with(|watch, args| two(watch, mixed(int(args, "a").unwrap_or(0), 9))),
            )
            .fingerprint(|_| Ok(Fingerprint::Always)),
        );
    registry.add_dyn(block(watch));
    registry.add_dyn(list(watch));
    registry.add_dyn(folds(watch));
    registry.add_dyn(switch(watch));
    registry.add_dyn(switch_all(watch));
    registry.add_dyn(waits(watch));
    registry.add_dyn(tee(watch));
    registry.add_dyn(expands("Expand", watch, recipe));
    registry.add_dyn(expands("ExpandAll", watch, recipe));
    registry.add_dyn(expands_later(watch, recipe));
    registry.add_dyn(sink(watch));
    registry
}

fn block(watch: &Arc<Watch>) -> DynNode {
    let watch = Arc::clone(watch);
    DynNode::new(def("Block", &["a", "m"], 2), move |args, cx| {
        watch.ran(cx)?;
        let a = int(args, "a").unwrap_or(0);
        let stop = blocks(a, int(args, "m").unwrap_or(2));
        let one = if stop { Value::Blocker(Blocker::silent()) } else { watch.token(a) };
        Ok(vec![one, watch.token(a)])
    })
}

fn list(watch: &Arc<Watch>) -> DynNode {
    let mut def = def("Many", &["a", "n"], 2);
    def.outputs.iter_mut().for_each(|output| output.is_list = true);
    let watch = Arc::clone(watch);
    DynNode::new(def, move |args, cx| {
        watch.ran(cx)?;
        let Some(all) = many(int(args, "a").unwrap_or(0), int(args, "n").unwrap_or(0)) else {
            return Ok(DynReply::from(Outcome::Block(None)));
        };
        let blocker = || Value::Blocker(Blocker::silent());
        let values = || all.iter().map(|n| n.map_or_else(blocker, |n| watch.token(n))).collect::<Values>();
        Ok(vec![values(), values()].into())
    })
}

fn folds(watch: &Arc<Watch>) -> DynNode {
    let def = NodeDef { input_is_list: true, ..def("Whole", &["a", "b"], 2) };
    let watch = Arc::clone(watch);
    DynNode::new(def, move |args, cx| {
        watch.ran(cx)?;
        let list = |name: &str| args.list(name).map(|l| l.iter().map(number).collect::<Vec<_>>()).unwrap_or_default();
        let all = whole(&list("a"), &list("b"));
        Ok(two(&watch, [all, all + 1]))
    })
}

/// A switch asks, and is counted doing so.
fn asks(watch: &Watch, pick: i64, a: Option<i64>, b: Option<i64>) -> Vec<Arc<str>> {
    let asked = needs(pick, a, b);
    match (asked.is_empty(), a.is_some()) {
        (false, false) => watch.saw("lazy inputs asked for"),
        (false, true) => watch.saw("lazy inputs asked for in a second round"),
        _ => {}
    }
    asked.into_iter().map(Arc::from).collect()
}

fn switch(watch: &Arc<Watch>) -> DynNode {
    let mut def = def("Switch", &["pick", "a", "b"], 2);
    def.inputs[1].lazy = true;
    def.inputs[2].lazy = true;
    let asking = Arc::clone(watch);
    let watch = Arc::clone(watch);
    let run = move |args: &mut Args, cx: &mut Cx| {
        watch.ran(cx)?;
        let all = switched(int(args, "pick").unwrap_or(0), int(args, "a"), int(args, "b"));
        Ok::<_, NodeError>(two(&watch, [all, all + 1]))
    };
    DynNode::new(def, run)
        .needs(move |args, _| Ok(asks(&asking, int(args, "pick").unwrap_or(0), int(args, "a"), int(args, "b"))))
}

fn folded(args: &Args, name: &str) -> Option<i64> {
    let list = args.list(name)?;
    Some(whole(&list.iter().map(number).collect::<Vec<_>>(), &[]))
}

fn switch_all(watch: &Arc<Watch>) -> DynNode {
    let mut def = NodeDef { input_is_list: true, ..def("SwitchAll", &["pick", "a", "b"], 2) };
    def.inputs[1].lazy = true;
    def.inputs[2].lazy = true;
    let asking = Arc::clone(watch);
    let watch = Arc::clone(watch);
    let run = move |args: &mut Args, cx: &mut Cx| {
        watch.ran(cx)?;
        let all = switched(folded(args, "pick").unwrap_or(0), folded(args, "a"), folded(args, "b"));
        Ok::<_, NodeError>(two(&watch, [all, all + 1]))
    };
    DynNode::new(def, run).needs(move |args, _| {
        Ok(asks(&asking, folded(args, "pick").unwrap_or(0), folded(args, "a"), folded(args, "b")))
    })
}

fn waits(watch: &Arc<Watch>) -> DynNode {
    let watch = Arc::clone(watch);
    DynNode::new_async(def("Wait", &["a", "b"], 2), move |args: Args, cx: Cx| {
        let watch = Arc::clone(&watch);
        async move {
            watch.ran(&cx)?;
            let (a, b) = (int(&args, "a").unwrap_or(0), int(&args, "b").unwrap_or(0));
            Yield((a % 3) as u8).await;
            watch.step(&cx)?;
            Ok(two(&watch, mixed(a, b)))
        }
    })
}

fn tee(watch: &Arc<Watch>) -> DynNode {
    let def = NodeDef { output_node: true, ..def("Tee", &["a"], 2) };
    let watch = Arc::clone(watch);
    DynNode::new(def, move |args, cx| {
        watch.ran(cx)?;
        let shown = int(args, "a").unwrap_or(0);
        Ok(DynReply::from(two(&watch, [shown, shown + 1])).with_ui(Ui::new().with("v", shown)))
    })
}

fn expanding_def(class: &str) -> NodeDef {
    let mut def = def(class, &["a", "sub", "depth", "root", "how", "raw"], 2);
    def.inputs[5].raw_link = true;
    def.input_is_list = class == "ExpandAll";
    def.input(InputDef::new("live", "DYNPROMPT").hidden())
}

/// What an expanding node answers.
fn expansion(watch: &Watch, recipe: &Recipe, args: &mut Args, cx: &mut Cx) -> Result<Outcome<Vec<Values>>, NodeError> {
    let LivePrompt(live) = args.take("live")?;
    let params = Params {
        sub: int(args, "sub").unwrap_or(0) as u8,
        depth: int(args, "depth").unwrap_or(1) as u8,
        root: int(args, "root").unwrap_or(0) as usize,
        how: int(args, "how").unwrap_or(0) as u8,
    };
    let x = args.list("a").cloned().unwrap_or_else(Values::empty);
    let first = x.at(0).map_or(0, number);
    Ok(match params.manner(first) {
        Manner::Values => Outcome::Done(vec![Values::One(watch.token(first)), Values::One(watch.token(first + 1))]),
        Manner::Block => Outcome::Block(None),
        Manner::Graph => {
            let prefix = cx.graph().prefix().to_owned();
            let exists = |id: &NodeId| live.is_ephemeral(id.as_str());
            let (graph, results) = recipe.expansion(&prefix, &x, params, args.link("raw"), exists);
            Outcome::Expand(Expansion::new(graph, results))
        }
    })
}

fn expands(class: &str, watch: &Arc<Watch>, recipe: &Arc<Recipe>) -> DynNode {
    let (watch, recipe) = (Arc::clone(watch), Arc::clone(recipe));
    DynNode::new(expanding_def(class), move |args, cx| {
        watch.ran(cx)?;
        expansion(&watch, &recipe, args, cx)
    })
}

fn expands_later(watch: &Arc<Watch>, recipe: &Arc<Recipe>) -> DynNode {
    let (watch, recipe) = (Arc::clone(watch), Arc::clone(recipe));
    DynNode::new_async(expanding_def("ExpandLater"), move |mut args: Args, mut cx: Cx| {
        let (watch, recipe) = (Arc::clone(&watch), Arc::clone(&recipe));
        async move {
            watch.ran(&cx)?;
            Yield(1).await;
            watch.step(&cx)?;
            expansion(&watch, &recipe, &mut args, &mut cx)
        }
    })
}

fn sink(watch: &Arc<Watch>) -> DynNode {
    let def = NodeDef { output_node: true, ..def("Sink", &["a"], 0) };
    let watch = Arc::clone(watch);
    DynNode::new(def, move |args, cx| {
        watch.ran(cx)?;
        let shown = int(args, "a").unwrap_or(0);
        Ok(DynReply::from(()).with_ui(Ui::new().with("v", shown)))
    })
}
