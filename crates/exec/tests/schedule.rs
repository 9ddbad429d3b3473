//! What nodes may ask of the schedule: the operations that ComfyUI's core loops of 2026 are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::unnecessary_wraps, missing_docs, unreachable_pub)]

mod common;

use common::{def, graph, int};
use kiln_exec::graph::{Input, InputDef, NodeDef, PromptNode};
use kiln_exec::*;

/// A class that may ask.
fn asking(class: &str, inputs: &[&str], outputs: usize) -> NodeDef {
    def(class, inputs, outputs).input(InputDef::new("schedule", "EXECUTION_LIST").hidden())
}

/// `Asks` passes `x` on and does what the closure says.
fn asks(ask: impl Fn(&Schedule) + Send + Sync + 'static) -> (common::World, Engine) {
    let world = common::World::default();
    let node = DynNode::new(asking("Asks", &["x"], 1), move |args, _: &mut Cx| {
        ask(&args.take::<Schedule>("schedule")?);
        Ok(args.get("x").cloned().unwrap_or_default())
    });
    let engine = Engine::builder(common::registry(&world).with_dyn(node)).cache(CachePolicy::None).build();
    (world, engine)
}

fn shown(report: &Report, id: &str) -> i64 {
    report.ui(id).unwrap().get("n").unwrap()[0].as_i64().unwrap()
}

#[test]
fn a_node_that_was_added_runs_although_nothing_needs_it() {
    let (world, engine) = asks(|schedule| schedule.add_node("extra"));
    let text = "a: Asks(x=1); extra: Make(n=2); other: Make(n=3); out: Sink(x=a)";
    engine.run(graph(text)).unwrap();
    assert_eq!((world.ran("extra"), world.ran("other")), (1, 0));
    assert_eq!(world.alive(), 0);
}

#[test]
fn inhibited_nodes_do_not_run_and_others_take_their_place() {
    let (world, engine) = asks(|schedule| {
        schedule.inhibit_nodes(["z".into(), "b".into()]);
        schedule.override_node("c", PromptNode::new("Pass").with("x", json!(9)));
    });
    let text = "a: Asks(x=1); z: Pass(x=a); b: Pass(x=z); c: Pass(x=b); out: Sink(x=c)";
    let report = engine.run(graph(text)).unwrap();
    assert_eq!(shown(&report, "out"), 9);
    assert_eq!((world.ran("z"), world.ran("b"), world.ran("c")), (0, 0, 1));
}

#[test]
fn whoever_still_waits_for_an_inhibited_node_gets_an_error_and_no_hang() {
    let (_, engine) = asks(|schedule| schedule.inhibit_nodes(["b".into()]));
    let error = engine.run(graph("a: Asks(x=1); b: Pass(x=a); out: Sink(x=b)")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DependencyCycle);
    assert!(engine.run(graph("m: Make(n=1); out: Sink(x=m)")).is_ok());
}

#[test]
fn an_overridden_node_is_another_one_for_this_run_only() {
    let (world, engine) = asks(|schedule| {
        schedule.override_node("b", PromptNode::new("Add").with("x", Input::link("m", 0)).with("y", json!(40)));
    });
    let text = "a: Asks(x=1); m: Make(n=2); b: Pass(x=a); out: Sink(x=b)";
    assert_eq!(shown(&engine.run(graph(text)).unwrap(), "out"), 42);
    let plain = "a: Make(n=1); m: Make(n=2); b: Pass(x=a); out: Sink(x=b)";
    assert_eq!(shown(&engine.run(graph(plain)).unwrap(), "out"), 1);
    assert_eq!(world.alive(), 0);
}

#[test]
fn a_blocked_node_waits_for_its_release_from_another_thread() {
    let (world, engine) = asks(|schedule| {
        schedule.block("b");
        let schedule = schedule.clone();
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            schedule.release("b");
        });
    });
    let report = engine.run(graph("a: Asks(x=1); b: Pass(x=a); out: Sink(x=b)")).unwrap();
    assert_eq!((shown(&report, "out"), world.ran("b")), (1, 1));
}

#[test]
fn a_block_may_be_released_with_the_outputs() {
    let (world, engine) = asks(|schedule| {
        schedule.block("b");
        let schedule = schedule.clone();
        std::thread::spawn(move || schedule.release_with("b", vec![Value::Int(7).into()]));
    });
    let report = engine.run(graph("a: Asks(x=1); b: Pass(x=a); out: Sink(x=b)")).unwrap();
    assert_eq!((shown(&report, "out"), world.ran("b")), (7, 0));
    assert_eq!(world.alive(), 0);
}

#[test]
fn a_block_that_nobody_can_release_is_an_error_and_one_that_somebody_may_can_be_cancelled() {
    let (_, engine) = asks(|schedule| schedule.block("b"));
    let text = "a: Asks(x=1); b: Pass(x=a); out: Sink(x=b)";
    assert_eq!(engine.run(graph(text)).unwrap_err().kind(), ErrorKind::DependencyCycle);

    let held = std::sync::Arc::new(std::sync::Mutex::new(None));
    let keep = std::sync::Arc::clone(&held);
    let (_, engine) = asks(move |schedule| {
        schedule.block("b");
        *keep.lock().unwrap() = Some(schedule.clone());
    });
    let run = engine.start(graph(text));
    let cancel = run.cancel();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        cancel.cancel();
    });
    assert!(run.run().unwrap_err().is_interrupted());
    thread.join().unwrap();
}

#[test]
fn an_ask_that_makes_no_sense_is_an_error_of_the_asking_node() {
    let senseless: [fn(&Schedule); 5] = [
        |schedule| schedule.add_node("nobody"),
        |schedule| schedule.release("b"),
        |schedule| schedule.block("m"),
        |schedule| schedule.override_node("m", PromptNode::new("Pass")),
        |schedule| schedule.override_node("b", PromptNode::new("Two")),
    ];
    for ask in senseless {
        let (_, engine) = asks(ask);
        let error = engine.run(graph("m: Make(n=1); a: Asks(x=m); b: Pass(x=a); out: Sink(x=b)")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest, "{error}");
        assert_eq!(error.node().map(NodeId::as_str), Some("a"), "{error}");
    }
    let (_, engine) = asks(|schedule| schedule.override_node("b", PromptNode::new("Unheard")));
    let error = engine.run(graph("a: Asks(x=1); b: Pass(x=a); out: Sink(x=b)")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownClass);
}

#[test]
fn a_node_that_asks_is_not_served_from_the_cache() {
    let world = common::World::default();
    let node = DynNode::new(asking("Asks", &["x"], 1), |args, _: &mut Cx| {
        args.take::<Schedule>("schedule")?.add_node("extra");
        Ok(args.get("x").cloned().unwrap_or_default())
    });
    let engine = Engine::new(common::registry(&world).with_dyn(node));
    for _ in 0..2 {
        let text = "a: Asks(x=1); extra: Noise(x=1); out: Sink(x=a)";
        assert_eq!(engine.run(graph(text)).unwrap().outputs.len(), 1);
    }
    assert_eq!(world.ran("extra"), 1, "kept from the first run, added in both");
}

/// A loop as ComfyUI of 2026 runs it: `Start` makes all iterations at once, takes the original body out of the
/// schedule, blocks `End`, and `Result`, the last node of the expansion, releases it with its value.
fn loop_registry(world: &common::World) -> Registry {
    let start = DynNode::new(asking("Start", &["x", "times", "end"], 1), |args, cx: &mut Cx| {
        let schedule = args.take::<Schedule>("schedule")?;
        let end = match args.get("end") {
            Some(Value::String(end)) => NodeId::from(&**end),
            _ => return Err(NodeError::new("`end` names the end of the loop")),
        };
        let g = cx.graph();
        let mut last =
            g.add_spec(NodeSpec::new("Pass").input("x", Source::from(args.get("x").cloned().unwrap_or_default())));
        for _ in 0..int(args, "times") {
            last = g.add_spec(NodeSpec::new("Add").input("x", Link::new(last, 0)).input("y", json!(1)));
        }
        let result = NodeSpec::new("Result").input("x", Link::new(last, 0)).input("end", json!(end.as_str()));
        let result = g.add_spec(result);
        schedule.add_node(end.clone());
        schedule.block(end.clone());
        schedule.inhibit_nodes(["body".into()]);
        schedule.override_node(end, PromptNode::new("Pass").with("x", json!(0)));
        schedule.add_node(result);
        let nothing = vec![Source::from(Value::Null)];
        Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(g.into_prompt(), nothing)))
    });
    let result = DynNode::new(asking("Result", &["x", "end"], 0), |args, _: &mut Cx| {
        let schedule = args.take::<Schedule>("schedule")?;
        if let Some(Value::String(end)) = args.get("end") {
            schedule.release_with(&**end, vec![args.list("x").cloned().unwrap_or_else(Values::empty)]);
        }
        Ok(())
    });
    common::registry(world).with_dyn(start).with_dyn(result)
}

#[test]
fn a_loop_that_makes_all_its_iterations_at_once_ends_with_the_last_ones_value() {
    for retention in [Retention::Keep, Retention::Unreadable, Retention::Eager, Retention::StaticOnly] {
        for cache in [CachePolicy::None, CachePolicy::Classic] {
            let world = common::World::default();
            let engine = Engine::builder(loop_registry(&world)).cache(cache).build();
            for times in [0, 3, 50] {
                let text = format!(
                    "start: Start(x=10, times={times}, end='end'); body: Pass(x=start); end: Pass(x=body); out: Sink(x=end)"
                );
                let options = RunOptions::default().with_retention(retention);
                let report = engine.start(graph(&text)).options(options).run().unwrap();
                assert_eq!(shown(&report, "out"), 10 + times, "{retention:?}");
                assert_eq!((world.ran("body"), world.ran("end")), (0, 0));
            }
            engine.free();
            assert_eq!(world.alive(), 0);
        }
    }
}
