//! Nodes that never yield: a cancel ends their run all the same, and the engine goes on without them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::unnecessary_wraps, missing_docs, unreachable_pub)]

mod common;

use std::future::IntoFuture;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{def, graph};
use kiln_exec::graph::{NodeDef, ValidatorDef};
use kiln_exec::*;

/// How long a node may take after a cancel, in these tests.
const GRACE: Duration = Duration::from_millis(100);

/// Where nodes of these tests are stuck until they are let go, so that the test can end.
#[derive(Clone, Default)]
struct Trap {
    open: Arc<AtomicBool>,
    caught: Arc<AtomicU32>,
}

impl Trap {
    fn enter(&self) {
        self.caught.fetch_add(1, Ordering::SeqCst);
        while !self.open.load(Ordering::Acquire) {
            std::hint::spin_loop();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn wait_for(&self, caught: u32) {
        while self.caught.load(Ordering::SeqCst) < caught {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Lets the stuck go also when a test fails.
impl Drop for Trap {
    fn drop(&mut self) {
        if Arc::strong_count(&self.open) == 1 {
            self.open.store(true, Ordering::Release);
        }
    }
}

fn engine(world: &common::World, trap: &Trap, cache: CachePolicy) -> Engine {
    let stuck = |class: &str, lane: Lane| {
        let trap = trap.clone();
        let node = DynNode::new(def(class, &["x"], 1), move |args: &mut Args, _: &mut Cx| {
            let x = args.get("x").cloned().unwrap_or_default();
            trap.enter();
            Ok(x)
        });
        node.on(lane)
    };
    let mut registry = common::registry(world)
        .with_dyn(stuck("Stuck", Lane::Inline))
        .with_dyn(stuck("StuckLane", Lane::Serial("device".into())))
        .with_dyn(stuck("StuckPool", Lane::Parallel))
        .with_dyn(
            DynNode::new(def("Lane", &["x"], 1), |args: &mut Args, _: &mut Cx| {
                Ok(args.get("x").cloned().unwrap_or_default())
            })
            .on(Lane::Serial("device".into())),
        )
        .with_dyn(
            DynNode::new(def("Pool", &["x"], 1), |args: &mut Args, _: &mut Cx| {
                Ok(args.get("x").cloned().unwrap_or_default())
            })
            .on(Lane::Parallel),
        );
    let asks = trap.clone();
    let mut lazy = def("StuckNeeds", &["x"], 1);
    lazy.inputs[0].lazy = true;
    registry.add_dyn(DynNode::new(lazy, |_, _| Ok(Value::Null)).needs(move |_, _| {
        asks.enter();
        Ok(Vec::new())
    }));
    let prints = trap.clone();
    registry.add_dyn(DynNode::new(def("StuckFingerprint", &["x"], 1), |_, _| Ok(Value::Null)).fingerprint(move |_| {
        prints.enter();
        Ok(Fingerprint::Stable)
    }));
    let validates = trap.clone();
    let mut checked = NodeDef { output_node: true, ..def("StuckValidator", &["x"], 0) };
    checked.validator = Some(ValidatorDef { takes_kwargs: true, ..ValidatorDef::default() });
    registry.add_dyn(DynNode::new(checked, |_, _| Ok(())).validate(move |_| {
        validates.enter();
        Ok(())
    }));
    let polls = trap.clone();
    registry.add_dyn(DynNode::new_async(def("StuckPoll", &["x"], 1), move |_, _| {
        let polls = polls.clone();
        async move {
            polls.enter();
            Ok(Value::Null)
        }
    }));
    let opens = trap.clone();
    registry.add_dyn(DynNode::new(def("Around", &["x"], 1), move |args, cx: &mut Cx| {
        let _held = &opens;
        let x = args.get("x").cloned().unwrap_or_default();
        let g = cx.graph();
        let inner = g.add_spec(NodeSpec::new("Stuck").input("x", Source::from(x)));
        Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(g.into_prompt(), vec![Link::new(inner, 0).into()])))
    }));
    Engine::builder(registry).cache(cache).build()
}

/// Runs, cancels as soon as so many nodes are stuck, and answers how that ended and how long it took from then on.
fn cancelled(engine: &Engine, trap: &Trap, text: &str, caught: u32, options: RunOptions) -> (RunError, Duration) {
    let run = engine.start(graph(text)).options(options.with_grace(GRACE));
    let cancel = run.cancel();
    std::thread::scope(|scope| {
        let ended = scope.spawn(move || (run.run(), Instant::now()));
        trap.wait_for(caught);
        let at = Instant::now();
        cancel.cancel();
        let (ended, when) = ended.join().unwrap();
        (ended.expect_err("it was cancelled"), when - at)
    })
}

fn goes_on(engine: &Engine) {
    let text = "n: Make(n=5); l: Lane(x=n); p: Pool(x=l); out: Sink(x=p)";
    let report = engine.run(graph(text)).unwrap();
    assert_eq!(report.ui("out").unwrap().get("n").unwrap(), [json!(5)]);
}

fn comes_home(engine: &Engine, trap: &Trap) {
    trap.open.store(true, Ordering::Release);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !engine.abandoned_calls().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(engine.abandoned_calls().is_empty(), "{:?}", engine.abandoned_calls());
}

#[test]
fn a_node_in_an_endless_loop_ends_in_a_cancel_wherever_it_runs() {
    for (class, deterministic) in
        [("Stuck", false), ("Stuck", true), ("StuckLane", false), ("StuckLane", true), ("StuckPool", false)]
    {
        let (world, trap) = (common::World::default(), Trap::default());
        let engine = engine(&world, &trap, CachePolicy::None);
        let text = format!("a: Make(n=1, kb=4); s: {class}(x=a); out: Sink(x=s)");
        let options = RunOptions::default().with_deterministic(deterministic);
        let (error, took) = cancelled(&engine, &trap, &text, 1, options);
        assert!(error.is_interrupted(), "{class}: {error}");
        assert!(took < GRACE + Duration::from_secs(5), "{class}: {took:?}");
        assert_eq!(error.report().unwrap().summary.live_bytes_at_end, 0);
        let behind = engine.abandoned_calls();
        assert_eq!(behind.len(), 1, "{class}");
        assert_eq!(behind[0].node.as_ref().unwrap().as_str(), "s", "{class}");
        assert_eq!(behind[0].bytes, 4000, "{class}: what it holds is told");
        assert_eq!(engine.live_bytes(), 0);
        assert_eq!(world.alive(), 1, "{class}: only what the stuck call itself refers to");
        goes_on(&engine);
        comes_home(&engine, &trap);
        drop(error);
        let deadline = Instant::now() + Duration::from_secs(10);
        while world.alive() > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(world.alive(), 0, "{class}: and that goes when it returns");
        goes_on(&engine);
    }
}

#[test]
fn a_stuck_pool_is_replaced_whole() {
    let (world, trap) = (common::World::default(), Trap::default());
    let engine = engine(&world, &trap, CachePolicy::None);
    let cores = std::thread::available_parallelism().unwrap().get() as u32;
    let nodes: Vec<String> = (0..cores).map(|n| format!("s{n}: StuckPool(x={n}); o{n}: Sink(x=s{n})")).collect();
    let (error, _) = cancelled(&engine, &trap, &nodes.join("; "), cores, RunOptions::default());
    assert!(error.is_interrupted());
    assert_eq!(engine.abandoned_calls().len(), cores as usize);
    goes_on(&engine);
    comes_home(&engine, &trap);
}

#[test]
fn also_the_rest_of_a_nodes_code_may_never_yield() {
    for class in ["StuckNeeds", "StuckFingerprint", "StuckValidator", "StuckPoll"] {
        let (world, trap) = (common::World::default(), Trap::default());
        let engine = engine(&world, &trap, CachePolicy::Classic);
        let text = format!("a: Make(n=1); s: {class}(x=a); out: Sink(x=a, after=s)");
        let text = if class == "StuckValidator" { text.replace(", after=s", "") } else { text };
        let (error, _) = cancelled(&engine, &trap, &text, 1, RunOptions::default());
        assert!(error.is_interrupted(), "{class}: {error}");
        assert_eq!(engine.abandoned_calls().len(), 1, "{class}");
        goes_on(&engine);
        comes_home(&engine, &trap);
    }
}

#[test]
fn what_the_cache_kept_before_a_stuck_node_is_kept() {
    let (world, trap) = (common::World::default(), Trap::default());
    let engine = engine(&world, &trap, CachePolicy::Classic);
    let (error, _) =
        cancelled(&engine, &trap, "a: Make(n=1, kb=3); s: Stuck(x=a); out: Sink(x=s)", 1, RunOptions::default());
    assert!(error.is_interrupted());
    assert_eq!((engine.cache_size().0, engine.live_bytes()), (1, 3000));
    comes_home(&engine, &trap);
    let report = engine.run(graph("a: Make(n=1, kb=3); s: Stuck(x=a); out: Sink(x=s)")).unwrap();
    assert_eq!(report.summary.cached, 1, "`a` is there still");
    assert_eq!(report.summary.executed, 2, "the stuck node left no result");
}

#[test]
fn a_stuck_node_inside_an_expansion_is_named_with_its_path() {
    let (world, trap) = (common::World::default(), Trap::default());
    let engine = engine(&world, &trap, CachePolicy::None);
    let (error, _) = cancelled(&engine, &trap, "a: Around(x=1); out: Sink(x=a)", 1, RunOptions::default());
    let path: Vec<&str> = error.node_path().iter().map(NodeId::as_str).collect();
    assert_eq!(path, ["a", "a.0.0.1"]);
    assert_eq!(error.class_type(), Some("Around"), "the class of the node that a client knows");
    comes_home(&engine, &trap);
}

#[test]
fn the_end_of_a_stuck_run_is_told_once_and_nothing_after_it() {
    let (world, trap) = (common::World::default(), Trap::default());
    let engine = engine(&world, &trap, CachePolicy::None);
    let heard: Arc<Mutex<Vec<Event>>> = Arc::default();
    let hears = Arc::clone(&heard);
    let run = engine.start(graph("a: Make(n=1); s: Stuck(x=a); out: Sink(x=s)"));
    let run = run
        .options(RunOptions::default().with_grace(GRACE))
        .on_event(move |event| hears.lock().unwrap().push(event.clone()));
    let cancel = run.cancel();
    let ended = std::thread::spawn(move || futures::executor::block_on(run.into_future()));
    trap.wait_for(1);
    cancel.cancel();
    assert!(ended.join().unwrap().unwrap_err().is_interrupted());
    comes_home(&engine, &trap);
    goes_on(&engine);
    let heard = heard.lock().unwrap();
    let ends = heard.iter().filter(|event| matches!(event, Event::ExecutionInterrupted { .. })).count();
    assert_eq!(ends, 1);
    let Some(Event::ExecutionInterrupted { node_id, node_type, .. }) = heard.last() else { panic!("{heard:?}") };
    assert_eq!(node_id.as_ref().map(NodeId::as_str), Some("s"));
    assert_eq!(node_type.as_deref(), Some("Stuck"));
}

#[test]
fn a_run_that_waits_for_its_turn_can_be_cancelled() {
    let (world, trap) = (common::World::default(), Trap::default());
    let engine = engine(&world, &trap, CachePolicy::None);
    let first = engine.start(graph("s: Stuck(x=1); out: Sink(x=s)"));
    let second = engine.start(graph("a: Make(n=1); out: Sink(x=a)"));
    let cancel = second.cancel();
    std::thread::scope(|scope| {
        let first = scope.spawn(move || first.run());
        trap.wait_for(1);
        let second = scope.spawn(move || second.run());
        cancel.cancel();
        assert!(second.join().unwrap().unwrap_err().is_interrupted());
        trap.open.store(true, Ordering::Release);
        assert!(first.join().unwrap().is_ok());
    });
}
