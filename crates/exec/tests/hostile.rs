//! Graphs that mean no good: they end in an answer, a clear error or a cancel, never in a hang, an abort or a leak.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::unnecessary_wraps, missing_docs, unreachable_pub)]

mod common;

use common::{bench, def, graph, int};
use kiln_exec::graph::{Input, PromptNode};
use kiln_exec::*;

fn run(registry: Registry, text: &str, options: RunOptions) -> Result<Report, RunError> {
    Engine::builder(registry).cache(CachePolicy::None).build().start(graph(text)).options(options).run()
}

#[test]
fn a_million_nodes_run() {
    let mut prompt = Prompt::new();
    prompt.insert("0", PromptNode::new("Make").with("n", json!(7)));
    for i in 1..1_000_000 {
        prompt.insert(i.to_string(), PromptNode::new("Pass").with("x", Input::link((i - 1).to_string(), 0)));
    }
    prompt.insert("end", PromptNode::new("Sink").with("x", Input::link("999999", 0)));
    let report = bench(CachePolicy::None).engine.run(prompt).unwrap();
    assert_eq!(report.summary.executed, 1_000_001);
    assert_eq!(report.ui("end").unwrap().get("n").unwrap(), [json!(7)]);
}

/// `Deep(n)` expands `n` times; what comes back is passed on by a node at every level, so that no call is a tail call.
fn deep(registry: Registry) -> Registry {
    registry.with_dyn(DynNode::new(def("Deep", &["n"], 1), |args, cx: &mut Cx| {
        let n = int(args, "n");
        if n == 0 {
            return Ok(DynReply::from(Value::Int(42)));
        }
        let g = cx.graph();
        let inner = g.add_spec(NodeSpec::new("Deep").input("n", Source::from(Value::Int(i128::from(n) - 1))));
        let passed = g.add_spec(NodeSpec::new("Pass").input("x", Link::new(inner, 0)));
        let results = vec![Link::new(passed, 0).into()];
        Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(g.into_prompt(), results)).into())
    }))
}

#[test]
fn an_expansion_a_hundred_thousand_deep_comes_back_up_at_every_level_of_retention() {
    for retention in
        [Retention::Keep, Retention::Unreferenced, Retention::Unreadable, Retention::Eager, Retention::StaticOnly]
    {
        let world = common::World::default();
        let options = RunOptions::default().with_retention(retention);
        let report = run(deep(common::registry(&world)), "d: Deep(n=100000); out: Sink(x=d)", options).unwrap();
        assert_eq!(report.ui("out").unwrap().get("n").unwrap(), [json!(42)], "{retention:?}");
    }
}

#[test]
fn an_expansion_without_end_meets_a_limit_and_the_engine_goes_on() {
    let world = common::World::default();
    let engine = Engine::builder(deep(common::registry(&world))).cache(CachePolicy::None).build();
    let endless = || engine.start(graph("d: Deep(n=-1); out: Sink(x=d)"));
    for options in [
        RunOptions { max_depth: 5000, ..RunOptions::default() },
        RunOptions { max_nodes: 5000, ..RunOptions::default() },
    ] {
        let error = endless().options(options).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert!(error.message().contains("the limit is 5000"), "{error}");
        assert_eq!(error.node().unwrap().as_str(), "d");
    }
    let shown = endless().options(RunOptions { max_depth: 50, ..RunOptions::default() }).run().unwrap_err().to_string();
    assert!(shown.contains(" more → ") && shown.len() < 600, "a path of fifty steps is not shown whole: {shown}");
    let few = RunOptions { max_nodes: 1, ..RunOptions::default() };
    assert_eq!(endless().options(few).run().unwrap_err().kind(), ErrorKind::Limit, "the prompt itself counts");
    assert!(engine.run(graph("d: Deep(n=3); out: Sink(x=d)")).is_ok());
}

#[test]
fn an_expansion_without_end_can_be_cancelled() {
    let world = common::World::default();
    let engine = Engine::builder(deep(common::registry(&world))).cache(CachePolicy::None).build();
    let run = engine.start(graph("d: Deep(n=-1); out: Sink(x=d)"));
    let cancel = run.cancel();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(30));
        cancel.cancel();
    });
    assert!(run.run().unwrap_err().is_interrupted());
    thread.join().unwrap();
}

#[test]
fn a_node_linked_to_itself_is_named() {
    let error = bench(CachePolicy::None).run("a: Pass(x=a); out: Sink(x=a)").result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let refused = format!("{error}");
    assert!(refused.contains("a (Pass) -> a (Pass)"), "{refused}");
}

/// Expands into one node of the given id whose input is linked to the given node; the result is that node's output.
fn adds(registry: Registry) -> Registry {
    registry.with_dyn(DynNode::new(def("Adds", &["id", "to", "result", "x"], 1), |args, _: &mut Cx| {
        let text = |name: &str| match args.get(name) {
            Some(Value::String(text)) => text.to_string(),
            _ => String::new(),
        };
        let mut graph = Prompt::new();
        graph.insert(text("id"), PromptNode::new("Pass").with("x", Input::link(text("to"), 0)));
        let results = vec![Link::new(NodeId::from(text("result")), 0).into()];
        Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(graph, results)))
    }))
}

#[test]
fn expansions_with_ids_of_others_or_links_to_nowhere_are_that_nodes_error() {
    let world = common::World::default();
    let end = |text: &str| {
        let error = run(adds(common::registry(&world)), text, RunOptions::default()).unwrap_err();
        (error.kind(), error.node_path().iter().map(ToString::to_string).collect::<Vec<_>>().join("/"))
    };
    let make = "m: Make(n=1); ";
    let one = |kind: ErrorKind, path: &str| (kind, path.to_owned());
    // An id of the prompt; an id that another expansion has; a source, a result that nobody has; itself.
    assert_eq!(
        end(&format!("{make}a: Adds(id='m', to='m', result='m'); out: Sink(x=a)")),
        one(ErrorKind::DuplicateId, "a")
    );
    let twice = "a: Adds(id='new', to='m', result='new'); b: Adds(id='new', to='m', result='new', x=a); out: Sink(x=b)";
    assert_eq!(end(&format!("{make}{twice}")), one(ErrorKind::DuplicateId, "b"));
    let nowhere = "a: Adds(id='new', to='gone', result='new'); out: Sink(x=a)";
    assert_eq!(end(&format!("{make}{nowhere}")), one(ErrorKind::DanglingLink, "a/new"));
    let nothing = "a: Adds(id='new', to='m', result='gone'); out: Sink(x=a)";
    assert_eq!(end(&format!("{make}{nothing}")), one(ErrorKind::DanglingLink, "a"));
    let itself = "a: Adds(id='new', to='new', result='new'); out: Sink(x=a)";
    assert_eq!(end(&format!("{make}{itself}")).0, ErrorKind::DependencyCycle);
    let own = "a: Adds(id='new', to='m', result='a'); out: Sink(x=a)";
    assert_eq!(end(&format!("{make}{own}")).0, ErrorKind::DependencyCycle);
    let outer = "a: Adds(id='new', to='out2', result='new'); out2: Pass(x=a); out: Sink(x=out2)";
    assert_eq!(end(&format!("{make}{outer}")), one(ErrorKind::DependencyCycle, "a/new"));
}

#[test]
fn a_list_of_ten_million_elements_is_mapped_joined_and_gone() {
    let world = common::World::default();
    let mut many = def("Numbers", &["n"], 1);
    many.outputs[0].is_list = true;
    let registry = common::registry(&world)
        .with_dyn(DynNode::new(many, |args, _: &mut Cx| {
            Ok((0..int(args, "n")).map(|i| Value::Int(i.into())).collect::<Values>())
        }))
        .with_dyn(DynNode::new(def("Next", &["x"], 1), |args, _: &mut Cx| {
            Ok(Value::Int(i128::from(int(args, "x")) + 1))
        }));
    let text = "l: Numbers(n=10000000); x: Next(x=l); w: Whole(x=x); out: Sink(x=w.1)";
    let report = run(registry, text, RunOptions::default()).unwrap();
    assert_eq!(report.ui("out").unwrap().get("n").unwrap(), [json!(10_000_000)]);
    assert_eq!(report.summary.live_bytes_at_end, 0);
}

#[test]
fn a_mapped_node_can_be_cancelled_between_two_of_ten_million_calls() {
    let world = common::World::default();
    let mut many = def("Numbers", &["n"], 1);
    many.outputs[0].is_list = true;
    let registry = common::registry(&world)
        .with_dyn(DynNode::new(many, |args, _: &mut Cx| {
            Ok((0..int(args, "n")).map(|i| Value::Int(i.into())).collect::<Values>())
        }))
        .with_dyn(DynNode::new(def("Stop", &["x"], 1), |args, cx: &mut Cx| {
            if int(args, "x") == 1000 {
                cx.cancel().cancel();
            }
            assert!(int(args, "x") <= 1000, "called after the cancel");
            Ok(Value::Null)
        }));
    let text = "l: Numbers(n=1000000); x: Stop(x=l); out: Sink(x=x)";
    assert!(run(registry, text, RunOptions::default()).unwrap_err().is_interrupted());
}

#[test]
fn a_fingerprint_that_panics_runs_its_node_every_time_and_what_depends_on_it() {
    let world = common::World::default();
    let registry = common::registry(&world)
        .with_dyn(DynNode::new(def("Bad", &[], 1), |_, _| Ok(Value::Int(1))).fingerprint(|_| panic!("no fingerprint")));
    let engine = Engine::new(registry);
    let text = "b: Bad(); p: Pass(x=b); still: Make(n=1); out: Sink(x=p); out2: Sink(x=still)";
    assert_eq!(engine.run(graph(text)).unwrap().summary.executed, 5);
    assert_eq!(engine.run(graph(text)).unwrap().summary.executed, 3);
}

#[test]
fn a_loop_that_clones_its_nodes_under_their_ids_needs_no_more_memory_per_iteration() {
    let world = common::World::default();
    let longest = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = std::sync::Arc::clone(&longest);
    let registry =
        common::registry(&world).with_dyn(DynNode::new(def("Loop", &["n", "of"], 1), move |args, cx: &mut Cx| {
            let n = int(args, "n");
            if n == 0 {
                return Ok(DynReply::from(args.get("of").cloned().unwrap_or_default()));
            }
            let me = cx.node_id().to_string();
            seen.fetch_max(me.len(), std::sync::atomic::Ordering::Relaxed);
            let g = cx.graph();
            let body = g.add_spec_as(
                &format!("{me}.body"),
                NodeSpec::new("Add").input("x", Source::from(Value::Int(n.into()))),
            );
            let again = NodeSpec::new("Loop")
                .input("n", Source::from(Value::Int(i128::from(n) - 1)))
                .input("of", Link::new(body, 0));
            let again = g.add_spec_as(&me, again);
            let results = vec![Link::new(again, 0).into()];
            Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(g.into_prompt(), results)).into())
        }));
    let report = run(registry, "l: Loop(n=20000); out: Sink(x=l)", RunOptions::default()).unwrap();
    assert_eq!(report.ui("out").unwrap().get("n").unwrap(), [json!(1)]);
    assert!(longest.load(std::sync::atomic::Ordering::Relaxed) < 400, "{longest:?}");
    assert!(report.summary.peak_nodes < 5000, "{:?}", report.summary);
}
