//! How long outputs live: event logs of small graphs, each behaviour a sentence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::unnecessary_wraps, missing_docs, unreachable_pub)]

mod common;

use common::{LATE, bench, def, int};
use kiln_exec::graph::{Input, OutputDef};
use kiln_exec::*;

/// A lazy input asks for `x` after its eager reader has finished.
const LAZY: &str = "x: Make(n=1); e: Pass(x=x); pick: Pick(pick=0, a=x, b=e); out: Sink(x=pick)";

fn level(retention: Retention) -> RunOptions {
    RunOptions { retention, order: Order::Comfy, deterministic: true, ..RunOptions::default() }
}

#[test]
fn a_late_edge_to_a_dropped_output_runs_its_node_again_and_nothing_else() {
    let ran = bench(CachePolicy::None).run_with(LATE, level(Retention::Unreadable));
    insta::assert_snapshot!(ran.log, @"a -a b d+ a' -b a -a d.0.0.1 -d.0.0.1 d -d out");
    assert_eq!(ran.shown("out"), [1]);
    assert_eq!(ran.report().summary.reexecuted, 1);
}

#[test]
fn with_level_0_a_late_edge_finds_everything_still_there() {
    let bench = bench(CachePolicy::None);
    let ran = bench.run_with(LATE, level(Retention::Keep));
    insta::assert_snapshot!(ran.log, @"a b d+ d.0.0.1 d out");
    drop(ran);
    assert_eq!(bench.world.alive(), 0);
}

#[test]
fn level_1_drops_only_what_was_never_referenced() {
    let text = "two: Two(n=1); p: Pass(x=two.1); out: Sink(x=p)";
    assert_eq!(bench(CachePolicy::None).run_with(text, level(Retention::Unreferenced)).log, "-two two p out");
    assert_eq!(bench(CachePolicy::None).run_with(LATE, level(Retention::Unreferenced)).log, "a b d+ d.0.0.1 d out");
}

#[test]
fn level_2_keeps_what_a_lazy_input_may_still_ask_for() {
    let bench = bench(CachePolicy::None);
    let ran = bench.run_with(LAZY, level(Retention::Unreadable));
    assert_eq!(bench.world.ran("x"), 1);
    assert_eq!(ran.report().summary.reexecuted, 0);
}

#[test]
fn a_lazy_input_that_is_not_asked_for_lets_go_of_its_source_when_its_node_finishes() {
    let text = "x: Make(n=1); s: Sink(x=x); y: Make(n=2); pick: Pick(pick=1, a=x, b=y); out: Sink(x=pick)";
    let bench = bench(CachePolicy::None);
    let ran = bench.run_with(text, level(Retention::Unreadable));
    assert!(ran.log.find("-x") > ran.log.find('y'), "{}", ran.log);
    assert_eq!(bench.world.alive(), alive_in(&ran.result));
}

fn alive_in(result: &Result<Report, RunError>) -> i64 {
    // The report itself holds what output nodes put on their sockets.
    let values = result.as_ref().map(|report| report.outputs.values().map(|output| output.values.len()).sum());
    values.unwrap_or(0_usize) as i64
}

#[test]
fn eager_counts_strong_edges_only_so_a_late_request_runs_the_node_again() {
    let bench = bench(CachePolicy::None);
    let ran = bench.run_with(
        "x: Make(n=1); e: Pass(x=x); first: Sink(x=e); n: Pass(x=e); pick: Pick(pick=n, a=x, b=e); out: Sink(x=pick)",
        level(Retention::Eager),
    );
    assert_eq!(ran.shown("out").len(), 1);
    let lazy = bench
        .run_with("x: Make(n=0); e: Pass(x=x); pick: Pick(pick=e, a=x); out: Sink(x=pick)", level(Retention::Eager));
    assert_eq!(bench.world.ran("x"), 2, "{}", lazy.log);
    assert_eq!(lazy.report().summary.reexecuted, 1);
}

#[test]
fn static_only_drops_until_the_first_expansion_and_keeps_from_then_on() {
    let ran = bench(CachePolicy::None).run_with(LATE, level(Retention::StaticOnly));
    assert!(ran.log.starts_with("a -a b d+"), "{}", ran.log);
    assert!(!ran.log[ran.log.find("d+").unwrap()..].contains('-'), "{}", ran.log);
}

#[test]
fn restrict_refuses_a_link_to_a_node_that_does_not_connect_to_the_expanding_one() {
    let options = RunOptions { late_edges: LateEdges::Restrict, ..RunOptions::default() };
    let ran = bench(CachePolicy::None).run_with(LATE, options.clone());
    assert_eq!(ran.error().kind(), ErrorKind::RestrictedLink);
    assert_eq!(ran.error().node().unwrap(), "d");
    let direct = "a: Make(n=3); d: Into(x=a, to='a'); out: Sink(x=d)";
    assert_eq!(bench(CachePolicy::None).run_with(direct, options).shown("out"), [3]);
}

#[test]
fn a_node_that_is_not_idempotent_stays_for_late_edges_and_never_runs_twice() {
    let bench = bench(CachePolicy::None);
    let ran = bench.run("a: Noise(); b: Pass(x=a); d: Into(x=b, to='a'); out: Sink(x=d)");
    assert_eq!(bench.world.ran("a"), 1, "{}", ran.log);
}

#[test]
fn a_node_that_changes_by_itself_never_runs_twice_for_one_value() {
    let bench = bench(CachePolicy::None);
    bench.run("a: Always(x=1); b: Pass(x=a); d: Into(x=b, to='a'); out: Sink(x=d)").report();
    assert_eq!(bench.world.ran("a"), 1);
}

#[test]
fn a_result_may_link_straight_to_an_old_node() {
    let ran = bench(CachePolicy::None).run(&LATE.replace("to='a'", "to='a', how='direct'"));
    assert_eq!(ran.shown("out"), [1]);
    assert_eq!(ran.report().summary.reexecuted, 1);
}

#[test]
fn an_output_node_inside_an_expansion_runs_once_and_is_shown() {
    let bench = bench(CachePolicy::None);
    let ran = bench.run(&LATE.replace("to='a'", "to='a', how='show'"));
    assert_eq!(ran.shown("d.0.0.2"), [1]);
    assert_eq!(bench.world.ran("d.0.0.2"), 1);
    let shown = &ran.report().outputs["d.0.0.2"];
    assert_eq!((shown.real_node.as_str(), shown.display_node.as_str()), ("d", "d"));
}

/// Two loaders with detector-like payloads, then a step that needs a lot: what the levels were invented for.
#[test]
fn the_hungry_step_after_two_detectors_peaks_lower_with_every_level_that_drops_more() {
    const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
    let peak = |retention: Retention| {
        let world = common::World::default();
        let maker = world.clone();
        let outputs = [common_output("anything"), common_output("tensor")];
        let mut allocate = def("AllocateVRAM", &["anything", "size"], 0);
        allocate.outputs = outputs.to_vec();
        let registry = common::registry(&world).with_dyn(DynNode::new(allocate, move |args, _| {
            let Some(Value::Float(size)) = args.get("size") else { return Err(NodeError::missing("size")) };
            let tensor = maker.blob(0, (size * GIB / 1000.0) as u64);
            Ok(vec![args.get("anything").cloned().unwrap_or_default(), tensor])
        }));
        let mut prompt = common::graph(
            "l1: AllocateVRAM(); d1: Whole(x=l1.1); l2: AllocateVRAM(anything=d1); d2: Add(x=d1, y=l2.0); big: AllocateVRAM(anything=d2); out: Sink(x=big.0)",
        );
        for (id, size) in [("l1", 2.0), ("l2", 3.0), ("big", 4.0)] {
            prompt.nodes[id].inputs.insert("size".into(), Input::literal(json!(size)));
        }
        let engine = Engine::builder(registry).cache(CachePolicy::None).build();
        let report = engine.start(prompt).options(level(retention)).run().unwrap();
        (report.summary.peak_bytes as f64 / GIB * 10.0).round() / 10.0
    };
    assert_eq!(peak(Retention::Keep), 9.0);
    assert_eq!(peak(Retention::Unreferenced), 6.0, "l2's and big's tensors were never referenced");
    assert_eq!(peak(Retention::Unreadable), 4.0);
    assert_eq!(peak(Retention::Eager), 4.0);
}

fn common_output(name: &str) -> OutputDef {
    OutputDef::new("*").named(name)
}

#[test]
fn two_readers_of_two_sockets_release_each_socket_by_itself() {
    let text = "two: Two(n=1); p: Pass(x=two.0); q: Pass(x=two.1, after=p); out: Sink(x=q)";
    let log = bench(CachePolicy::None).run_with(text, level(Retention::Unreadable)).log;
    insta::assert_snapshot!(log, @"two -two p -two.1 -p q -q out");
}

#[test]
fn a_value_is_gone_before_the_next_node_starts() {
    let world = common::World::default();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (watch, counts) = (world.clone(), std::sync::Arc::clone(&seen));
    let registry = common::registry(&world).with_dyn(DynNode::new(def("Look", &["x"], 1), move |args, _| {
        counts.lock().unwrap().push(watch.alive());
        Ok(Value::Int(int(args, "x").into()))
    }));
    let engine = Engine::builder(registry).cache(CachePolicy::None).build();
    let chain = "a: Make(n=1); b: Look(x=a); c: Look(x=b); d: Look(x=c); out: Sink(x=d)";
    engine.run(common::graph(chain)).unwrap();
    assert_eq!(*seen.lock().unwrap(), [1, 0, 0]);
}

#[test]
fn under_eager_a_node_that_runs_again_for_a_lazy_reader_leaves_what_its_other_readers_have() {
    // `Choose` has `pick` and asks for `a` later, when that output of the same expanding node is gone.
    let world = common::World::default();
    let mut choose = def("Choose", &["pick", "a"], 1);
    choose.inputs[1].lazy = true;
    let both = |args: &mut Args, _: &mut Cx| Ok(Value::Int(i128::from(int(args, "pick") * 10 + int(args, "a"))));
    let registry = common::registry(&world)
        .with_dyn(DynNode::new(choose, both).needs(|_, _| Ok(vec!["a".into()])))
        .with_dyn(DynNode::new(def("Pair", &["n"], 2), |args, cx: &mut Cx| {
            let n = args.get("n").cloned().unwrap_or_default();
            let g = cx.graph();
            let two = g.add_spec(NodeSpec::new("Two").input("n", Source::from(n)));
            let results = vec![Link::new(two.clone(), 0).into(), Link::new(two, 1).into()];
            Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(g.into_prompt(), results)))
        }))
        .with_dyn(DynNode::new(def("Outer", &["n"], 1), |args, cx: &mut Cx| {
            let n = args.get("n").cloned().unwrap_or_default();
            let g = cx.graph();
            let pair = g.add_spec(NodeSpec::new("Pair").input("n", Source::from(n)));
            let links = (Link::new(pair.clone(), 0), Link::new(pair, 1));
            let chosen = g.add_spec(NodeSpec::new("Choose").input("pick", links.0).input("a", links.1));
            let results = vec![Link::new(chosen, 0).into()];
            Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(g.into_prompt(), results)))
        }));
    let engine = Engine::builder(registry).cache(CachePolicy::None).build();
    let options = RunOptions { tail_depth: 0, ..level(Retention::Eager) };
    let report = engine.start(common::graph("o: Outer(n=3); out: Sink(x=o)")).options(options).run().unwrap();
    assert_eq!(report.ui("out").unwrap().get("n").unwrap(), [json!(34)]);
}

#[test]
fn results_of_a_deep_expansion_run_also_where_nobody_reads_them() {
    // The second result, which nobody reads, expands into something that is shown.
    let world = common::World::default();
    let registry = common::registry(&world).with_dyn(DynNode::new(def("Deep", &["n"], 2), |args, cx: &mut Cx| {
        let n = int(args, "n");
        let g = cx.graph();
        let made = g.add_spec(NodeSpec::new("Make").input("n", Source::from(Value::Int(7))));
        let shows = g.add_spec(
            NodeSpec::new("Into")
                .input("to", Source::from(Value::String("a".into())))
                .input("how", Source::from(Value::String("show".into()))),
        );
        let next = if n > 0 {
            g.add_spec(NodeSpec::new("Deep").input("n", Source::from(Value::Int(i128::from(n) - 1))))
        } else {
            made
        };
        let results = vec![Link::new(next, 0).into(), Link::new(shows, 0).into()];
        Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(g.into_prompt(), results)))
    }));
    let engine = Engine::builder(registry).cache(CachePolicy::None).build();
    let shown = |tail_depth: u32| {
        let options = RunOptions { tail_depth, ..level(Retention::Unreadable) };
        let report = engine.start(common::graph("a: Make(n=1); d: Deep(n=3); out: Sink(x=d)")).options(options).run();
        report.unwrap().outputs.keys().cloned().collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(shown(0), shown(1000));
    assert_eq!(shown(0).len(), 5, "one in each of four expansions, and the last");
}
