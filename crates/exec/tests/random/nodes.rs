//! The nodes of the random graphs: pure functions of numbers, each in the shapes that nodes come in.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use kiln_exec::graph::{InputDef, NodeDef, OutputDef};
use kiln_exec::*;

use crate::recipe::{Params, Recipe};

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
    /// The node that fails when it runs; empty for none.
    pub fails: Mutex<String>,
    /// The node that cancels the run when it runs.
    pub cancels: Mutex<Option<(String, Cancel)>>,
}

impl Watch {
    pub fn token(&self, number: i64) -> Value {
        self.alive.fetch_add(1, Ordering::SeqCst);
        Value::object(Token(Arc::new(Inner { number, alive: Arc::clone(&self.alive) })))
    }

    /// How often a node ran.
    pub fn count(&self, id: &str) -> u32 {
        self.ran.lock().unwrap().get(id).map_or(0, |ran| ran.0)
    }

    fn ran(&self, cx: &Cx) -> Result<(), NodeError> {
        let call = cx.call_index();
        let mut all = self.ran.lock().unwrap();
        let ran = all.entry(cx.node_id().clone()).or_insert((0, u32::MAX));
        // Calls of one run of a node have rising indices; the first may be skipped by a blocker.
        *ran = (ran.0 + u32::from(ran.1 == u32::MAX || call <= ran.1), call);
        drop(all);
        let id = cx.node_id().as_str();
        if *self.fails.lock().unwrap() == id {
            return Err(NodeError::new("failed on purpose"));
        }
        if let Some((node, cancel)) = &*self.cancels.lock().unwrap()
            && node == id
        {
            cancel.cancel();
        }
        Ok(())
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
pub fn many(a: i64, n: i64) -> Vec<i64> {
    (0..n).map(|i| mix(a, i)).collect()
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
        .with_dyn(DynNode::new(once, with(|watch, args| two(watch, mixed(int(args, "a").unwrap_or(0), 7)))));
    registry.add_dyn(block(watch));
    registry.add_dyn(list(watch));
    registry.add_dyn(folds(watch));
    registry.add_dyn(switch(watch));
    registry.add_dyn(waits(watch));
    registry.add_dyn(expands(watch, recipe));
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
        let all = many(int(args, "a").unwrap_or(0), int(args, "n").unwrap_or(0));
        let values = || all.iter().map(|n| watch.token(*n)).collect::<Values>();
        Ok(vec![values(), values()])
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

fn switch(watch: &Arc<Watch>) -> DynNode {
    let mut def = def("Switch", &["pick", "a", "b"], 2);
    def.inputs[1].lazy = true;
    def.inputs[2].lazy = true;
    let watch = Arc::clone(watch);
    let run = move |args: &mut Args, cx: &mut Cx| {
        watch.ran(cx)?;
        let all = switched(int(args, "pick").unwrap_or(0), int(args, "a"), int(args, "b"));
        Ok::<_, NodeError>(two(&watch, [all, all + 1]))
    };
    DynNode::new(def, run).needs(|args, _| {
        let asked = needs(int(args, "pick").unwrap_or(0), int(args, "a"), int(args, "b"));
        Ok(asked.into_iter().map(Arc::from).collect())
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
            Ok(two(&watch, mixed(a, b)))
        }
    })
}

fn expands(watch: &Arc<Watch>, recipe: &Arc<Recipe>) -> DynNode {
    let mut def = def("Expand", &["a", "sub", "depth", "root", "how", "raw"], 2);
    def.inputs[5].raw_link = true;
    let (watch, recipe) = (Arc::clone(watch), Arc::clone(recipe));
    DynNode::new(def, move |args, cx| {
        watch.ran(cx)?;
        let params = Params {
            sub: int(args, "sub").unwrap_or(0) as u8,
            depth: int(args, "depth").unwrap_or(1) as u8,
            root: int(args, "root").unwrap_or(0) as usize,
            how: int(args, "how").unwrap_or(0) as u8,
        };
        let x = args.get("a").cloned().unwrap_or_default();
        let prefix = cx.graph().prefix().to_owned();
        let (graph, results) = recipe.expansion(&prefix, &x, params, args.link("raw"));
        Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(graph, results)))
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
