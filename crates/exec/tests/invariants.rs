//! The invariants of execution, one named test each. Where a property is meant for all graphs, `tests/random` checks it
//! on thousands; here stands the smallest case that would break.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::unnecessary_wraps, missing_docs, unreachable_pub)]

mod common;

use std::sync::{Arc, Barrier, Mutex};

use common::{LATE, World, bench, def, exact, graph, int};
use kiln_exec::*;

fn all_policies() -> [CachePolicy; 5] {
    [
        CachePolicy::None,
        CachePolicy::Classic,
        CachePolicy::Lru(2),
        CachePolicy::Bytes(2000),
        CachePolicy::RamPressure { headroom: 10, available: Arc::new(|| 0) },
    ]
}

#[test]
fn i01_every_policy_shows_the_same_values() {
    for policy in all_policies() {
        let text = "a: Make(n=2); b: Add(x=a, y=a); c: Add(x=a, y=b); s: Sink(x=b); t: Sink(x=c)";
        let ran = bench(policy).run(text);
        assert_eq!((ran.shown("s"), ran.shown("t")), (vec![4], vec![6]));
    }
}

#[test]
fn i02_a_node_starts_only_with_everything_it_asked_for() {
    let ran = bench(CachePolicy::None)
        .run_with("y: Make(n=9); c: Make(n=0); x: Pass(x=y); p: Pick(pick=c, a=x, b=y); out: Sink(x=p)", exact());
    assert!(ran.log.find('x') < ran.log.find('p'), "{}", ran.log);
    assert_eq!(ran.shown("out"), [9]);
}

#[test]
fn i03_a_lazy_source_nobody_asks_for_never_runs_nor_do_its_ancestors() {
    let bench = bench(CachePolicy::None);
    bench.run("far: Make(n=1); near: Pass(x=far); b: Make(n=2); p: Pick(pick=1, a=near, b=b); out: Sink(x=p)").report();
    assert_eq!((bench.world.ran("far"), bench.world.ran("near"), bench.world.ran("b")), (0, 0, 1));
}

#[test]
fn i04_nothing_runs_that_the_chosen_outputs_do_not_need() {
    let bench = bench(CachePolicy::None);
    let options = RunOptions::default().with_targets(Some(vec!["s".into()]));
    bench.run_with("a: Make(n=1); b: Make(n=2); s: Sink(x=a); t: Sink(x=b)", options).report();
    assert_eq!((bench.world.ran("a"), bench.world.ran("b"), bench.world.ran("t")), (1, 0, 0));
}

#[test]
fn i05_equal_nodes_of_one_prompt_run_once_where_results_are_kept_and_both_where_not() {
    let text = "a: Make(n=1); b: Make(n=1); s: Sink(x=a); t: Pass(x=b); u: Sink(x=t)";
    let runs = |policy| {
        let bench = bench(policy);
        bench.run_with(text, exact()).report();
        bench.world.ran("a") + bench.world.ran("b")
    };
    assert_eq!((runs(CachePolicy::Classic), runs(CachePolicy::Lru(100)), runs(CachePolicy::None)), (1, 1, 2));
}

#[test]
fn i06_a_node_runs_once_and_once_more_per_late_edge_to_its_dropped_output() {
    let bench = bench(CachePolicy::None);
    bench.run("a: Make(n=1); b: Pass(x=a); d: Into(x=b, to='a'); e: Into(x=d, to='a'); out: Sink(x=e)").report();
    assert_eq!(bench.world.ran("a"), 3);
    bench.run("a: Make(n=1); b: Pass(x=a); d: Into(x=a, to='a'); out: Sink(x=d)").report();
    assert_eq!(bench.world.ran("a"), 1);
}

#[test]
fn i07_an_output_with_a_reader_that_may_run_is_not_dropped() {
    let ran = bench(CachePolicy::None)
        .run_with("a: Make(n=1); b: Pass(x=a); c: Pass(x=b); d: Add(x=a, y=c); out: Sink(x=d)", exact());
    assert!(ran.log.find("-a") > ran.log.find(" c"), "{}", ran.log);
}

#[test]
fn i08_at_the_end_nothing_is_left_and_the_peak_is_that_of_what_was_readable() {
    let bench = bench(CachePolicy::None);
    let ran =
        bench.run_with("a: Make(n=1); b: Add(x=a, y=1); c: Add(x=b, y=1); d: Add(x=c, y=1); out: Sink(x=d)", exact());
    let summary = ran.report().summary;
    assert_eq!((summary.peak_bytes, summary.live_bytes_at_end), (2000, 0));
    drop(ran);
    assert_eq!(bench.world.alive(), 0);
}

#[test]
fn i09_an_output_is_released_before_the_next_node_starts() {
    let ran = bench(CachePolicy::None).run_with("a: Make(n=1); b: Pass(x=a); c: Pass(x=b); out: Sink(x=c)", exact());
    assert_eq!(ran.log, "a -a b -b c -c out");
}

#[test]
fn i10_the_same_prompt_again_runs_nothing_and_shows_byte_equal_results() {
    let bench = bench(CachePolicy::Classic);
    let text = "a: Make(n=1); b: Pass(x=a); out: Sink(x=b)";
    let (first, again) = (bench.run(text), bench.run(text));
    assert_eq!(again.report().summary.executed, 0);
    let ui = |ran: &common::Ran| serde_json::to_string(ran.report().ui("out").unwrap()).unwrap();
    assert_eq!(ui(&first), ui(&again));
}

#[test]
fn i11_one_changed_literal_runs_its_node_and_what_depends_on_it() {
    let bench = bench(CachePolicy::Classic);
    bench.run("a: Make(n=1); b: Make(n=2); c: Pass(x=a); s: Add(x=c, y=b); out: Sink(x=s)").report();
    bench.run("a: Make(n=1); b: Make(n=3); c: Pass(x=a); s: Add(x=c, y=b); out: Sink(x=s)").report();
    let ran = |id| bench.world.ran(id);
    assert_eq!((ran("a"), ran("c"), ran("b"), ran("s"), ran("out")), (0, 0, 1, 1, 1));
}

#[test]
fn i12_other_ids_hit_all_the_same_except_where_the_id_matters() {
    let bench = bench(CachePolicy::Classic);
    bench.run("a: Make(n=1); b: Pass(x=a); n: Noise(); s: Add(x=b, y=n); out: Sink(x=s)").report();
    bench.run("A: Make(n=1); B: Pass(x=A); N: Noise(); S: Add(x=B, y=N); OUT: Sink(x=S)").report();
    assert_eq!((bench.world.ran("A"), bench.world.ran("B"), bench.world.ran("N"), bench.world.ran("S")), (0, 0, 1, 1));
}

#[test]
fn i13_a_node_that_changes_by_itself_runs_in_every_prompt_and_so_does_what_depends_on_it() {
    let bench = bench(CachePolicy::Classic);
    let text = "a: Always(x=1); b: Pass(x=a); c: Make(n=1); out: Sink(x=b); other: Sink(x=c)";
    bench.run(text).report();
    bench.run(text).report();
    let ran = |id| bench.world.ran(id);
    assert_eq!((ran("a"), ran("b"), ran("out"), ran("c"), ran("other")), (1, 1, 1, 0, 0));
}

#[test]
fn i14_any_difference_of_class_literal_socket_input_name_or_source_is_another_key() {
    let base = "t: Two(n=1); p: Pass(x=t.0); out: Sink(x=p)";
    let others = [
        "t: Two(n=2); p: Pass(x=t.0); out: Sink(x=p)",
        "t: Two(n=1); p: Pass(x=t.1); out: Sink(x=p)",
        "t: Two(n=1); p: Add(x=t.0); out: Sink(x=p)",
        "t: Two(n=1); p: Pass(x=t.0, after=t.1); out: Sink(x=p)",
        "t: Make(n=1); p: Pass(x=t.0); out: Sink(x=p)",
    ];
    for other in others {
        let bench = bench(CachePolicy::Lru(100));
        bench.run(base).report();
        bench.run(other).report();
        assert_eq!(bench.world.ran("p"), 1, "{other}");
    }
}

#[test]
fn i15_a_circle_that_only_expansion_closes_is_an_error_that_blames_the_visible_node() {
    let world = World::default();
    let registry = common::registry(&world).with_dyn(DynNode::new(def("Circle", &["x"], 1), |_, cx| {
        let g = cx.graph();
        let prefix = g.prefix().to_owned();
        let second = Link::new(format!("{prefix}2"), 0);
        let first = g.add_spec(NodeSpec::new("Pass").input("x", second));
        let second = g.add_spec(NodeSpec::new("Pass").input("x", Link::new(&first, 0)));
        Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(g.into_prompt(), vec![Link::new(&second, 0).into()])))
    }));
    let engine = Engine::new(registry);
    let error = engine.run(graph("c: Circle(x=1); out: Sink(x=c)")).unwrap_err();
    assert_eq!((error.kind(), error.node().unwrap().as_str()), (ErrorKind::DependencyCycle, "c"));
    assert!(
        error.message().contains("\"c.0.0.1\" → \"c.0.0.2\"") || error.message().contains("\"c.0.0.2\" → \"c.0.0.1\"")
    );
    assert_eq!(engine.run(graph("a: Self_(x=1)")).unwrap_err().kind(), ErrorKind::Invalid);
    let circle = engine.run(graph("a: Pass(x=b); b: Pass(x=a); out: Sink(x=b)")).unwrap_err();
    let named = &circle.refused().unwrap().node_errors;
    assert!(
        named.values().any(|node| node
            .errors
            .iter()
            .any(|e| e.details.contains("a (Pass) -> b (Pass)") || e.details.contains("b (Pass) -> a (Pass)"))),
        "{named:?}"
    );
}

#[test]
fn i16_an_expansion_gives_what_its_graph_would_have_given_in_its_place() {
    let list = "l: List(n=3); d: Into(x=l, to='l'); w: Whole(x=d); out: Sink(x=w.1)";
    let inline = "l: List(n=3); d: Pass(x=l); w: Whole(x=d); out: Sink(x=w.1)";
    let bench = bench(CachePolicy::None);
    // `Into` is called once per element, and each call passes the whole list on.
    assert_eq!((bench.run(list).shown("out"), bench.run(inline).shown("out")), (vec![9], vec![3]));
    let one = bench.run("a: Make(n=5); d: Into(x=a, to='a', how='show'); out: Sink(x=d)");
    assert_eq!((one.shown("out"), one.shown("d.0.0.2")), (vec![5], vec![5]));
}

#[test]
fn i17_the_order_in_the_json_changes_nothing_but_the_order() {
    let texts = [
        "a: Make(n=1); b: Pass(x=a); c: Add(x=a, y=b); s: Sink(x=c); t: Sink(x=b)",
        "t: Sink(x=b); s: Sink(x=c); c: Add(y=b, x=a); b: Pass(x=a); a: Make(n=1)",
    ];
    let bench = bench(CachePolicy::Classic);
    let (first, second) = (bench.run(texts[0]), bench.run(texts[1]));
    assert_eq!((first.shown("s"), first.shown("t")), (second.shown("s"), second.shown("t")));
    assert_eq!(second.report().summary.executed, 0, "the keys are the same");
}

#[test]
fn i18_lists_map_repeat_their_last_element_join_and_block_by_element() {
    let bench = bench(CachePolicy::None);
    let ran = bench.run("l: List(n=3); m: List(n=2); s: Add(x=l, y=m); out: Sink(x=s)");
    assert_eq!(ran.shown("out"), [0, 2, 3]);
    let ran = bench.run("l: List(n=4); w: Whole(x=l); out: Sink(x=w.0); n: Sink(x=w.1)");
    assert_eq!((ran.shown("out"), ran.shown("n")), (vec![6], vec![4]));
    let ran = bench.run("l: List(n=3); b: Block(x=l, on=1); s: Add(x=b, y=10); out: Sink(x=s)");
    assert_eq!(ran.shown("out"), [10, 12]);
    let ran = bench.run("l: List(n=0); m: List(n=2); s: Add(x=l, y=m); out: Sink(x=s)");
    assert!(ran.report().ui("out").is_none(), "an empty list means no calls");
    let ran = bench.run("l: List(n=3); b: Block(x=l, on=1); w: Whole(x=b); out: Sink(x=w)");
    assert!(ran.report().ui("out").is_none(), "a node that takes whole lists is blocked whole");
}

#[test]
fn i19_a_blocker_stops_its_readers_only_and_its_message_is_told_once() {
    let bench = bench(CachePolicy::None);
    let ran = bench
        .run("a: Make(n=1); b: Block(x=a, say='not today'); c: Pass(x=b); d: Pass(x=c); s: Sink(x=d); t: Sink(x=a)");
    assert_eq!(ran.shown("t"), [1]);
    assert_eq!((bench.world.ran("c"), bench.world.ran("d"), bench.world.ran("s")), (0, 0, 0));
    let told: Vec<_> =
        ran.events.iter().filter_map(|e| if let Event::ExecutionError(e) = e { Some(e) } else { None }).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].exception_message.as_str(), &*told[0].exception_type),
        ("Execution Blocked: not today", "ExecutionBlocked")
    );
    assert!(matches!(ran.events.last(), Some(Event::ExecutionSuccess { .. })));
}

#[test]
fn i20_after_a_failure_the_next_prompt_runs_and_the_cache_holds_whole_results_only() {
    let bench = bench(CachePolicy::Classic);
    let failed = bench.run("a: Make(n=1); f: Fails(x=a); out: Sink(x=f)");
    assert_eq!(failed.error().kind(), ErrorKind::Failed);
    assert_eq!(failed.error().inputs()[0].type_name, "BLOB");
    assert_eq!(bench.engine.cache_size().0, 1, "what finished before the failure stays");
    let panicked = bench.run("a: Make(n=1); f: Panics(x=a); out: Sink(x=f)");
    assert!(panicked.error().to_string().starts_with("Panics \"f\": panicked: shapes differ"), "{}", panicked.error());
    assert_eq!(bench.world.ran("a"), 0);
    assert_eq!(bench.run("a: Make(n=1); out: Sink(x=a)").shown("out"), [1]);
}

/// Nodes that meet at a barrier: they get past it only if they are under way at the same time.
fn meeting(lane: Option<Lane>) -> Engine {
    let world = World::default();
    let barrier = Arc::new(Barrier::new(2));
    let run = move |args: &mut Args, _: &mut Cx| {
        barrier.wait();
        Ok(Value::Int(int(args, "x").into()))
    };
    let (first, second) = match lane {
        Some(lane) => (lane.clone(), lane),
        None => (Lane::Serial("one".into()), Lane::Serial("two".into())),
    };
    let registry = common::registry(&world)
        .with_dyn(DynNode::new(def("MeetA", &["x"], 1), run.clone()).on(first))
        .with_dyn(DynNode::new(def("MeetB", &["x"], 1), run).on(second));
    Engine::new(registry)
}

#[test]
fn i21_waiting_nodes_and_lanes_overlap_and_values_do_not_depend_on_who_is_first() {
    let text = "a: MeetA(x=1); b: MeetB(x=2); c: Add(x=a, y=b); out: Sink(x=c)";
    let shown = |engine: &Engine| engine.run(graph(text)).unwrap().ui("out").unwrap().get("n").unwrap()[0].clone();
    assert_eq!(shown(&meeting(None)), json!(3));
    if std::thread::available_parallelism().is_ok_and(|n| n.get() > 1) {
        assert_eq!(shown(&meeting(Some(Lane::Parallel))), json!(3));
    }
}

#[test]
fn i21_two_nodes_that_wait_for_each_other_with_async_both_finish() {
    let world = World::default();
    let (send, receive) = futures::channel::oneshot::channel::<i64>();
    let (send, receive) = (Mutex::new(Some(send)), Mutex::new(Some(receive)));
    let registry = common::registry(&world)
        .with_dyn(DynNode::new_async(def("Hears", &["x"], 1), move |_, _| {
            let receive = receive.lock().unwrap().take().unwrap();
            async move { Ok(Value::Int(receive.await?.into())) }
        }))
        .with_dyn(DynNode::new_async(def("Says", &["x"], 1), move |_, _| {
            let send = send.lock().unwrap().take().unwrap();
            async move {
                let _ = send.send(42);
                Ok(Value::Null)
            }
        }));
    let report = Engine::new(registry).run(graph("h: Hears(x=1); s: Says(x=1); out: Sink(x=h); o: Sink(x=s)")).unwrap();
    assert_eq!(report.ui("out").unwrap().get("n").unwrap(), [json!(42)]);
}

#[test]
fn i22_after_a_failure_no_further_node_starts() {
    let bench = bench(CachePolicy::None);
    let ran = bench.run_with(
        "f: Fails(x=1); s: Sink(x=f); a: Make(n=1, after=f); t: Sink(x=a); b: Make(n=2); u: Sink(x=b)",
        exact(),
    );
    let executing = ran.events.iter().filter(|e| matches!(e, Event::Executing { node: Some(_), .. })).count();
    assert!(executing <= 2, "{:?}", ran.events);
    assert!(matches!(ran.events.last(), Some(Event::ExecutionError(_))));
}

#[test]
fn i23_each_node_is_announced_before_it_shows_and_the_end_is_told_once() {
    let bench = bench(CachePolicy::Classic);
    let text = "a: Make(n=1); out: Sink(x=a)";
    let cold = bench.run(text);
    let at = |wanted: &dyn Fn(&Event) -> bool| cold.events.iter().position(wanted);
    let executing = at(&|e| matches!(e, Event::Executing { node: Some(n), .. } if n == "out"));
    let executed = at(&|e| matches!(e, Event::Executed { node, .. } if node == "out"));
    assert!(executing.is_some() && executing < executed);
    let again = bench.run(text);
    let cached =
        again.events.iter().find_map(|e| if let Event::ExecutionCached { nodes, .. } = e { Some(nodes) } else { None });
    assert_eq!(cached.unwrap(), &[NodeId::from("a"), NodeId::from("out")]);
    let ends = again.events.iter().filter(|e| matches!(e, Event::ExecutionSuccess { .. })).count();
    assert_eq!(ends, 1);
}

#[test]
fn i24_a_listener_hears_its_own_run_only() {
    let engine = Arc::new(bench(CachePolicy::None).engine);
    let hear = |id: &'static str| {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (engine, ears) = (Arc::clone(&engine), Arc::clone(&heard));
        let thread = std::thread::spawn(move || {
            let options = RunOptions { prompt_id: Some(id.into()), ..RunOptions::default() };
            let run = engine.start(graph("a: Make(n=1); out: Sink(x=a)")).options(options);
            run.on_event(move |e| ears.lock().unwrap().push(serde_json::to_value(e).unwrap())).run().unwrap();
        });
        (thread, heard)
    };
    let runs = [("one", hear("one")), ("two", hear("two"))];
    for (id, (thread, heard)) in runs {
        thread.join().unwrap();
        assert!(heard.lock().unwrap().iter().all(|event| event["data"]["prompt_id"] == id));
    }
}

#[test]
fn i25_evicting_anything_at_any_node_boundary_changes_counts_never_values() {
    let everything: Adversary = Arc::new(|_| true);
    for policy in all_policies() {
        let bench = bench(policy);
        let options = RunOptions { adversary: Some(everything.clone()), ..exact() };
        for _ in 0..2 {
            assert_eq!(bench.run_with(LATE, options.clone()).shown("out"), [1]);
        }
    }
}

#[test]
fn i26_a_node_keeps_nothing_of_its_own_from_call_to_call() {
    // Kiln's nodes are decoded anew for every call; what outlives a call belongs to the host.
    #[derive(Node)]
    #[node(output_node, not_idempotent)]
    struct Counts {
        times: i64,
    }
    impl Execute for Counts {
        type Output = WithUi<()>;
        fn execute(mut self, _: &mut Cx) -> Result<WithUi<()>, NodeError> {
            self.times += 1;
            Ok(WithUi { outcome: (), ui: Ui::new().with("times", self.times) })
        }
    }
    let engine = Engine::builder(Registry::new().with::<Counts>()).cache(CachePolicy::None).build();
    for _ in 0..3 {
        let report = engine.run(graph("c: Counts(times=0)")).unwrap();
        assert_eq!(report.ui("c").unwrap().get("times").unwrap(), [json!(1)]);
    }
}

#[test]
fn i27_lru_lets_whole_prompts_go_the_oldest_first_and_never_the_last_one() {
    let bench = bench(CachePolicy::Lru(2));
    let prompt = |n: i64| format!("a: Make(n={n}); out: Sink(x=a)");
    bench.run(&prompt(1)).report();
    bench.run(&prompt(2)).report();
    assert_eq!(bench.engine.cache_size().0, 4, "two entries of each; cleaned when the next prompt starts");
    bench.run(&prompt(2)).report();
    assert_eq!(bench.world.ran("a"), 0);
    assert_eq!(bench.engine.cache_size().0, 2, "the first prompt's are gone");
    bench.run(&prompt(1)).report();
    assert_eq!(bench.world.ran("a"), 1);
}

#[test]
fn i28_a_node_that_expands_again_makes_the_same_nodes_again_and_leaks_none() {
    let bench = bench(CachePolicy::None);
    let text = "a: Make(n=1); d: Into(x=a, to='a'); b: Pass(x=d); e: Into(x=b, to='d'); out: Sink(x=e)";
    let ran = bench.run_with(text, exact());
    assert_eq!(ran.shown("out"), [1]);
    assert_eq!((bench.world.ran("d"), bench.world.ran("d.0.0.1")), (2, 2), "{}", ran.log);
    drop(ran);
    assert_eq!(bench.world.alive(), 0);
}
