//! Results that a cache keeps are given back when others need their bytes, whatever the policy.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::sync::{Arc, Mutex, OnceLock};

use common::{World, def, graph, int, registry};
use kiln_exec::*;

/// Keeps the handle that it is given, and what it is told.
#[derive(Default)]
struct Memory {
    results: OnceLock<KeptResults>,
    gave_back: Mutex<Vec<u64>>,
}

impl RunObserver for Memory {
    fn attach(&self, results: KeptResults) {
        self.results.set(results).unwrap();
    }
    fn gave_back(&self, bytes: u64) {
        self.gave_back.lock().unwrap().push(bytes);
    }
    fn begin(&self, _: &Registry, _: &Arc<Prompt>) -> Listener {
        Arc::new(|_| {})
    }
    fn end(&self, _: u64) {}
}

impl Memory {
    fn ask(&self, bytes: u64) -> u64 {
        self.results.get().unwrap().give_back(bytes)
    }
}

struct House {
    world: World,
    memory: Arc<Memory>,
    engine: Engine,
}

/// An engine with one more node: `Short(kb=100)` asks for so much of the cache while it runs, and shows what it got.
fn house(cache: CachePolicy) -> House {
    let (world, memory) = (World::default(), Arc::new(Memory::default()));
    let mut registry = registry(&world);
    let asks = memory.clone();
    let short = move |args: &mut Args, _: &mut Cx| -> Result<DynReply, NodeError> {
        Ok(Value::Int(asks.ask(int(args, "kb") as u64 * 1000).into()).into())
    };
    registry.add_dyn(DynNode::new(def("Short", &["kb", "after"], 1), short));
    let engine = Engine::builder(registry).cache(cache).observer(memory.clone()).build();
    House { world, memory, engine }
}

const TWO: &str = "a: Make(n=1, kb=100); b: Make(n=2, kb=10); x: Sink(x=a); y: Sink(x=b)";

#[test]
fn between_runs_the_large_results_go_first_and_what_went_is_made_again() {
    for cache in [CachePolicy::Classic, CachePolicy::Lru(100), CachePolicy::Bytes(1 << 30)] {
        let house = house(cache);
        house.engine.run(graph(TWO)).unwrap();
        assert_eq!(house.engine.live_bytes(), 110_000);
        assert_eq!(house.memory.ask(50_000), 100_000);
        assert_eq!(house.engine.live_bytes(), 10_000);
        house.engine.run(graph(TWO)).unwrap();
        assert_eq!((house.world.ran("a"), house.world.ran("b")), (2, 1));
        assert_eq!(house.memory.ask(u64::MAX), 110_000);
        assert_eq!((house.engine.live_bytes(), house.world.alive()), (0, 0));
    }
}

#[test]
fn a_node_that_is_short_gets_what_only_the_cache_holds_and_the_run_goes_on() {
    let house = house(CachePolicy::Classic);
    house.engine.run(graph("a: Make(n=1, kb=100); x: Sink(x=a)")).unwrap();
    // `a` is part of this prompt, too, and its result would be served; `m` is read by the node after the short one.
    let prompt = "a: Make(n=1, kb=100); x: Sink(x=a); m: Make(n=3, kb=20); s: Short(kb=1000, after=m); z: Sink(x=m, after=s); w: Sink(x=s)";
    let report = house.engine.run(graph(prompt)).unwrap();
    let freed = |id: &str| report.outputs[&NodeId::from(id)].values[0].at(0).cloned();
    assert!(matches!(freed("w"), Some(Value::Int(0 | 100_000))), "{:?}", freed("w"));
    assert_eq!(freed("z").map(|value| common::number(&value)), Some(3));
    assert_eq!((house.world.ran("a"), house.world.ran("m")), (1, 1));
}

#[test]
fn an_engine_at_work_gives_back_once_its_node_has_finished() {
    let house = house(CachePolicy::Lru(100));
    house.engine.run(graph("a: Make(n=1, kb=100); x: Sink(x=a)")).unwrap();
    let asks = house.memory.clone();
    let run = house.engine.start(graph("b: Make(n=2, kb=10); y: Sink(x=b)")).on_event(move |event| {
        if let Event::Finished { node, .. } = event
            && node.as_str() == "b"
        {
            assert_eq!(asks.ask(50_000), 0, "the engine is at work");
        }
    });
    run.run().unwrap();
    assert_eq!(*house.memory.gave_back.lock().unwrap(), [100_000]);
    assert_eq!(house.engine.live_bytes(), 10_000);
}

#[test]
fn what_the_classic_cache_lets_go_of_when_a_run_begins_is_reported() {
    let house = house(CachePolicy::Classic);
    house.engine.run(graph("a: Make(n=1, kb=100); x: Sink(x=a)")).unwrap();
    house.engine.run(graph("b: Make(n=2, kb=10); y: Sink(x=b)")).unwrap();
    assert_eq!(*house.memory.gave_back.lock().unwrap(), [100_000]);
}

#[test]
fn what_came_with_a_nan_runs_in_every_prompt_with_all_that_reads_it() {
    for is_changed in ["NaN", "[NaN]", r#"{"a": [1, NaN]}"#] {
        let text = format!(
            r#"{{"a": {{"class_type": "Make", "inputs": {{"n": 1, "kb": 1}}, "is_changed": {is_changed}}},
                "b": {{"class_type": "Make", "inputs": {{"n": 2, "kb": 1}}, "is_changed": -Infinity}},
                "p": {{"class_type": "Pass", "inputs": {{"x": ["a", 0]}}}},
                "x": {{"class_type": "Sink", "inputs": {{"x": ["p", 0]}}}},
                "y": {{"class_type": "Sink", "inputs": {{"x": ["b", 0]}}}}}}"#
        );
        let house = house(CachePolicy::Lru(100));
        for _ in 0..3 {
            house.engine.run(Prompt::from_json(&text).unwrap()).unwrap();
        }
        let ran = |id| house.world.ran(id);
        assert_eq!((ran("a"), ran("p"), ran("b")), (3, 3, 1), "{is_changed}");
    }
}
