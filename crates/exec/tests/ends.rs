//! How runs end, and what is reported afterwards: errors, limits, cancels, explanations, timelines.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod common;

use std::future::IntoFuture;

use common::{Bench, LATE, World, bench, def, exact, graph};
use kiln_exec::*;

#[test]
fn an_error_says_where_through_all_expansions() {
    let world = World::default();
    let registry = common::registry(&world).with_dyn(DynNode::new(def("Deep", &["x"], 1), |_, cx| {
        let g = cx.graph();
        let inner = g.add_spec(NodeSpec::new("Fails"));
        Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(g.into_prompt(), vec![Link::new(&inner, 0).into()])))
    }));
    let error = Engine::new(registry).run(graph("d: Deep(x=1); out: Sink(x=d)")).unwrap_err();
    assert_eq!(error.node_path(), ["d".into(), NodeId::from("d.0.0.1")]);
    assert_eq!(error.to_string(), "Fails \"d\" → \"d.0.0.1\": it is broken");
}

#[test]
fn limits_end_a_graph_that_never_stops_growing() {
    let world = World::default();
    let registry = common::registry(&world).with_dyn(DynNode::new(def("Forever", &["x"], 1), |_, cx| {
        let g = cx.graph();
        let inner = g.add_spec(NodeSpec::new("Forever"));
        let wrap = g.add_spec(NodeSpec::new("Pass").input("x", Link::new(&inner, 0)));
        Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(g.into_prompt(), vec![Link::new(&wrap, 0).into()])))
    }));
    let engine = Engine::new(registry);
    let run = |options| engine.start(graph("f: Forever(x=1); out: Sink(x=f)")).options(options).run().unwrap_err();
    assert_eq!(run(RunOptions { max_depth: 2000, ..RunOptions::default() }).kind(), ErrorKind::Limit);
    assert_eq!(run(RunOptions { max_nodes: 3000, ..RunOptions::default() }).kind(), ErrorKind::Limit);
}

#[test]
fn an_expansion_may_not_take_a_foreign_id_or_link_into_nothing() {
    let world = World::default();
    let expand = |nodes: &'static str, result: &'static str| {
        DynNode::new(def("Odd", &["x"], 1), move |_, _| {
            Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(graph(nodes), vec![Link::new(result, 0).into()])))
        })
    };
    let kind = |nodes, result| {
        let engine = Engine::new(common::registry(&world).with_dyn(expand(nodes, result)));
        engine.run(graph("o: Odd(x=1); out: Sink(x=o)")).unwrap_err().kind()
    };
    assert_eq!(kind("out: Make(n=1)", "out"), ErrorKind::DuplicateId);
    assert_eq!(kind("n: Make(n=1)", "nowhere"), ErrorKind::DanglingLink);
    assert_eq!(kind("n: Pass(x=nowhere)", "n"), ErrorKind::DanglingLink);
    assert_eq!(kind("n: Nonsense(x=1)", "n"), ErrorKind::UnknownClass);
    assert_eq!(kind("n: Pass(x=m.7); m: Make(n=1)", "n"), ErrorKind::DanglingLink);
}

#[test]
fn a_cancel_while_everybody_waits_ends_the_run_at_once() {
    let world = World::default();
    let never = DynNode::new_async(def("Never", &["x"], 1), |_, _| async {
        futures::future::pending::<()>().await;
        Ok(Value::Null)
    });
    let engine = Engine::new(common::registry(&world).with_dyn(never));
    let run = engine.start(graph("n: Never(x=1); out: Sink(x=n)"));
    let cancel = run.cancel();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        cancel.cancel();
    });
    assert!(run.run().unwrap_err().is_interrupted());
    canceller.join().unwrap();
}

#[test]
fn an_awaited_run_gives_the_same_report_without_blocking_the_caller() {
    let Bench { engine, .. } = bench(CachePolicy::None);
    let report =
        futures::executor::block_on(engine.start(graph("a: Make(n=4); out: Sink(x=a)")).into_future()).unwrap();
    assert_eq!(report.ui("out").unwrap().get("n").unwrap(), [json!(4)]);
}

#[test]
fn explanations_name_the_literal_that_changed_and_what_was_dropped_too_early() {
    let bench = bench(CachePolicy::Classic);
    let options = || exact().with_trace(true);
    bench.run_with("a: Make(n=1); b: Make(n=5); s: Add(x=a, y=b); out: Sink(x=s)", options()).report();
    let ran = bench.run_with("a: Make(n=2); b: Make(n=5); s: Add(x=a, y=b); out: Sink(x=s)", options());
    let told: Vec<String> = ran.report().explanations.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "Make \"a\": input `n` 1 → 2",
            "Make \"b\": unchanged, taken from the cache",
            "Add \"s\": input `x` reads from \"a\", which changed",
            "Sink \"out\": input `x` reads from \"s\", which changed",
        ]
    );
    let late = common::bench(CachePolicy::None).run_with(LATE, options());
    let again = late.report().explanations.last().unwrap().to_string();
    assert_eq!(again, "Make \"a\": dropped at 2, needed again by d.0.0.1");
}

#[test]
fn a_picture_of_a_run_shows_times_bytes_and_what_fed_what() {
    let bench = bench(CachePolicy::None);
    let ran = bench.run_with(LATE, exact().with_trace(true));
    let trace = ran.report().trace.as_ref().unwrap();
    let mermaid = trace.to_mermaid();
    assert!(mermaid.starts_with("flowchart LR\n    n0[\"Make a<br/>"), "{mermaid}");
    assert!(mermaid.contains("1.0 kB<br/>ran 2 times") && mermaid.contains("n0 --> n1"), "{mermaid}");
    assert_eq!(trace.to_svg().matches("<rect").count(), 6);
}
