//! Loops: a StartLoop, an EndLoop, and what lies between them once per iteration.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "loops/naive.rs"]
mod naive;
#[path = "loops/world.rs"]
mod world;

use kiln_exec::graph::{Input, Prompt};
use kiln_exec::{CachePolicy, ErrorKind, Event, NodeId, Retention, RunOptions};
use serde_json::{Value as Json, json};
use world::{World, ints};

/// A prompt of these nodes: `{"id": ["Class", {inputs}]}`.
fn prompt(nodes: &Json) -> Prompt {
    let full = |spec: &Json| json!({"class_type": spec[0], "inputs": spec[1]});
    let nodes: serde_json::Map<String, Json> =
        nodes.as_object().unwrap().iter().map(|(id, spec)| (id.clone(), full(spec))).collect();
    Prompt::from_value(nodes.into()).unwrap()
}

/// A loop of `times` iterations that adds its index to what it carries, from 10 on.
fn sums(times: i64, accumulate: bool) -> Json {
    json!({
        "start": ["StartLoop", {"mode": "simple", "mode.num_iterations": times, "cache_iterations": false,
                                "initial_iteration_value": 10}],
        "body": ["Add", {"a": ["start", 4], "b": ["start", 0]}],
        "end": ["EndLoop", {"output_value": ["body", 0], "next_iteration_value": ["body", 0], "accumulate": accumulate}],
        "out": ["Show", {"x": ["end", 0]}],
    })
}

#[test]
fn a_loop_returns_its_last_value_or_all_of_them() {
    for retention in [Retention::Keep, Retention::Unreadable, Retention::Eager, Retention::StaticOnly] {
        let world = World::new(CachePolicy::None);
        let options = || RunOptions::default().with_retention(retention);
        let run = |nodes: &Json| ints(&world.values_with(&prompt(nodes), "end", options()));
        assert_eq!(run(&sums(4, false)), [16], "{retention:?}");
        assert_eq!(run(&sums(4, true)), [10, 11, 13, 16], "{retention:?}");
        assert_eq!(run(&sums(1, true)), [10]);
        assert_eq!(run(&sums(0, true)), [0_i64; 0], "no iteration, no value");
        assert_eq!(run(&sums(0, false)), [0_i64; 0]);
    }
}

/// What the start shows in every iteration, for these inputs.
fn seen(inputs: &Json) -> Vec<Json> {
    let world = World::new(CachePolicy::None);
    let links = json!({"a": ["start", 0], "b": ["start", 1], "c": ["start", 2], "d": ["start", 3], "e": ["start", 4]});
    let graph = prompt(&json!({
        "items": ["Range", {"first": 7, "count": 3}],
        "none": ["Range", {"first": 7, "count": 0}],
        "start": ["StartLoop", inputs],
        "body": ["Row", links],
        "end": ["EndLoop", {"output_value": ["body", 0], "accumulate": true}],
        "out": ["Show", {"x": ["end", 0]}],
    }));
    let rows = world.values(&graph, "end");
    rows.iter().map(|row| row.to_json().unwrap()).collect()
}

#[test]
fn every_mode_counts_as_pythons_range_does() {
    let base = |mode: &str, more: Json| {
        let mut inputs = json!({"mode": mode, "cache_iterations": false});
        inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        seen(&inputs)
    };
    assert_eq!(
        base("simple", json!({"mode.num_iterations": 2})),
        [json!([0, true, false, null, null]), json!([1, false, true, null, null])]
    );
    assert_eq!(
        base("For", json!({"mode.start_iteration_index": 3, "mode.max_iteration": 8, "mode.step": 2})),
        [
            json!([3, true, false, null, null]),
            json!([5, false, false, null, null]),
            json!([7, false, true, null, null])
        ]
    );
    assert_eq!(base("For", json!({"mode.start_iteration_index": 3, "mode.max_iteration": 3, "mode.step": 1})).len(), 0);
    assert_eq!(
        base("List", json!({"mode.list": ["items", 0], "initial_iteration_value": 5})),
        [json!([0, true, false, 7, 5]), json!([1, false, false, 8, 5]), json!([2, false, true, 9, 5])]
    );
    assert_eq!(base("List", json!({"mode.list": ["none", 0]})).len(), 0);
}

#[test]
fn a_carried_list_stays_a_list() {
    let world = World::new(CachePolicy::None);
    let graph = prompt(&json!({
        "items": ["Range", {"first": 1, "count": 3}],
        "start": ["StartLoop", {"mode": "simple", "mode.num_iterations": 3, "cache_iterations": false,
                                "initial_iteration_value": ["items", 0]}],
        "body": ["Add", {"a": ["start", 4], "b": ["start", 0]}],
        "end": ["EndLoop", {"output_value": ["body", 0], "next_iteration_value": ["body", 0], "accumulate": true}],
        "out": ["Show", {"x": ["end", 0]}],
    }));
    assert_eq!(ints(&world.values(&graph, "end")), [1, 2, 3, 2, 3, 4, 4, 5, 6]);
}

#[test]
fn whether_all_values_are_wanted_may_be_computed() {
    let world = World::new(CachePolicy::None);
    for (all, expected) in [(true, vec![10, 11, 13]), (false, vec![13])] {
        let mut nodes = sums(3, false);
        nodes["flag"] = json!(["Same", {"x": all}]);
        nodes["end"][1]["accumulate"] = json!(["flag", 0]);
        assert_eq!(ints(&world.values(&prompt(&nodes), "end")), expected);
    }
}

/// Loops, one inside of the other: 2 outer iterations of 3 inner ones; each inner value is 10 * outer + inner.
fn nested() -> Json {
    json!({
        "outer": ["StartLoop", {"mode": "simple", "mode.num_iterations": 2, "cache_iterations": false}],
        "inner": ["StartLoop", {"mode": "simple", "mode.num_iterations": 3, "cache_iterations": false,
                                "parent_iteration": ["outer", 0]}],
        "ten": ["Mul", {"a": ["outer", 0], "b": 10}],
        "body": ["Add", {"a": ["ten", 0], "b": ["inner", 0]}],
        "inner_end": ["EndLoop", {"output_value": ["body", 0], "accumulate": true}],
        "more": ["Add", {"a": ["inner_end", 0], "b": 100}],
        "outer_end": ["EndLoop", {"output_value": ["more", 0], "accumulate": true}],
        "out": ["Show", {"x": ["outer_end", 0]}],
    })
}

#[test]
fn loops_nest() {
    for cache in [CachePolicy::None, CachePolicy::Classic] {
        let world = World::new(cache);
        assert_eq!(ints(&world.values(&prompt(&nested()), "outer_end")), [100, 101, 102, 110, 111, 112]);
        assert_eq!(world.ran("ten"), 0, "the body itself does not run, its copies do");
    }
}

#[test]
fn a_random_loop_has_the_values_of_a_naive_evaluator() {
    for seed in 0..400 {
        let case = naive::Case::new(seed);
        let cache = if seed % 2 == 0 { CachePolicy::None } else { CachePolicy::Classic };
        let retention = [Retention::Keep, Retention::Unreadable, Retention::Eager][seed as usize % 3];
        let world = World::new(cache);
        for round in 0..2 {
            let options = RunOptions::default().with_retention(retention);
            let found = ints(&world.values_with(&prompt(&case.prompt()), &case.last(), options));
            assert_eq!(found, case.value(), "seed {seed}, run {round}: {}", case.prompt());
        }
    }
}

#[test]
fn ids_displayed_nodes_and_lines_are_those_that_clients_expect() {
    let world = World::new(CachePolicy::None);
    let events = world.events(&prompt(&sums(2, false)));
    let executing = |event: &Event| match event {
        Event::Executing { node: Some(node), display_node: Some(shown), .. } => Some(format!("{node} as {shown}")),
        Event::ProgressText { node, text, .. } => Some(format!("{node}: {text}")),
        _ => None,
    };
    let log: Vec<String> = events.iter().filter_map(executing).collect();
    assert_eq!(
        log,
        [
            "start as start",
            "start: Iteration 0 / 2",
            "start.0.0.iteration_0 as start",
            "start.0.0.0_body as body",
            "start.0.0.progress_0 as start",
            "start: Iteration 1 / 2",
            "start.0.0.iteration_1 as start",
            "start.0.0.1_body as body",
            "start.0.0.progress_1 as start",
            "start: Iteration 2 / 2",
            "start.0.0.result as start",
            "end as end",
            "out as out",
        ]
    );
}

#[test]
fn iterations_run_again_in_every_prompt_unless_they_may_be_kept() {
    let world = World::new(CachePolicy::Classic);
    let with = |keep: bool, times: i64| {
        let mut nodes = sums(times, true);
        nodes["start"][1]["cache_iterations"] = json!(keep);
        ints(&world.values(&prompt(&nodes), "end"))
    };
    let ran = || world.take_log().iter().filter(|id| id.ends_with("_body")).count();
    for _ in 0..2 {
        assert_eq!(with(false, 3), [10, 11, 13]);
        assert_eq!(ran(), 3);
    }
    assert_eq!(with(true, 3), [10, 11, 13]);
    assert_eq!(ran(), 3);
    assert_eq!(with(true, 3), [10, 11, 13]);
    assert_eq!(ran(), 0, "nothing changed");
    assert_eq!(with(true, 5), [10, 11, 13, 16, 20]);
    assert_eq!(ran(), 3, "the third is not the last any more");
}

#[test]
fn an_output_node_in_the_body_shows_something_in_every_iteration() {
    let world = World::new(CachePolicy::None);
    let nodes = json!({
        "start": ["StartLoop", {"mode": "simple", "mode.num_iterations": 3, "cache_iterations": false}],
        "show": ["ShowThrough", {"x": ["start", 0]}],
        "end": ["EndLoop", {"accumulate": false, "terminations.termination0": ["show", 0]}],
    });
    let report = world.run(&prompt(&nodes)).unwrap();
    let shown: Vec<(String, Json)> = report
        .outputs
        .iter()
        .filter_map(|(_, output)| Some((output.display_node.to_string(), output.ui.as_ref()?.get("n")?[0].clone())))
        .collect();
    let expected = [("show".to_owned(), json!(0)), ("show".to_owned(), json!(1)), ("show".to_owned(), json!(2))];
    assert_eq!(shown, expected);
}

#[test]
fn an_iteration_computes_only_what_its_lazy_inputs_ask_for() {
    let world = World::new(CachePolicy::None);
    let nodes = json!({
        "start": ["StartLoop", {"mode": "simple", "mode.num_iterations": 3, "cache_iterations": false}],
        "first": ["Add", {"a": ["start", 0], "b": 100}],
        "later": ["Add", {"a": ["start", 0], "b": 200}],
        "pick": ["Pick", {"which": ["start", 1], "yes": ["first", 0], "no": ["later", 0]}],
        "end": ["EndLoop", {"output_value": ["pick", 0], "accumulate": true}],
        "out": ["Show", {"x": ["end", 0]}],
    });
    assert_eq!(ints(&world.values(&prompt(&nodes), "end")), [100, 201, 202]);
    let log = world.take_log();
    let ran = |name: &str| log.iter().filter(|id| id.ends_with(name)).count();
    assert_eq!((ran("_first"), ran("_later")), (1, 2));
}

#[test]
fn what_is_blocked_in_one_iteration_stops_neither_the_others_nor_the_loop() {
    let world = World::new(CachePolicy::None);
    let nodes = json!({
        "start": ["StartLoop", {"mode": "simple", "mode.num_iterations": 4, "cache_iterations": false}],
        "body": ["BlockOdd", {"x": ["start", 0]}],
        "end": ["EndLoop", {"output_value": ["body", 0], "accumulate": true}],
        "out": ["ShowThrough", {"x": ["end", 0]}],
    });
    let report = world.run(&prompt(&nodes)).unwrap();
    let shown = report.ui("out").unwrap().get("n").unwrap();
    assert_eq!(Json::from(shown), json!([0, 2]));
    let mut nodes = nodes;
    nodes["end"][1]["accumulate"] = json!(false);
    let report = world.run(&prompt(&nodes)).unwrap();
    assert!(report.ui("out").is_none(), "the last iteration is a blocked one");
}

#[test]
fn an_error_in_an_iteration_names_the_node_that_was_copied() {
    let world = World::new(CachePolicy::None);
    let nodes = json!({
        "start": ["StartLoop", {"mode": "simple", "mode.num_iterations": 4, "cache_iterations": false}],
        "body": ["FailAt", {"x": ["start", 0], "at": 2}],
        "end": ["EndLoop", {"output_value": ["body", 0], "accumulate": true}],
        "out": ["Show", {"x": ["end", 0]}],
    });
    let error = world.run(&prompt(&nodes)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert_eq!(error.node().map(NodeId::as_str), Some("start"), "where ComfyUI's clients look");
    assert_eq!(error.shown_node().map(NodeId::as_str), Some("body"));
    assert_eq!(error.to_string(), "FailAt \"start\" → \"start.0.0.2_body\" (node \"body\"): it is 2");
    assert_eq!(world.take_log().len(), 3, "nothing ran after it");
    assert_eq!(ints(&world.values(&prompt(&sums(3, true)), "end")), [10, 11, 13], "the engine goes on");
}

#[test]
fn a_cancel_ends_a_loop_between_two_nodes() {
    let world = World::new(CachePolicy::None);
    let nodes = json!({
        "start": ["StartLoop", {"mode": "simple", "mode.num_iterations": 1000, "cache_iterations": false}],
        "body": ["CancelAt", {"x": ["start", 0], "at": 3}],
        "end": ["EndLoop", {"output_value": ["body", 0], "accumulate": false}],
        "out": ["Show", {"x": ["end", 0]}],
    });
    assert!(world.run(&prompt(&nodes)).unwrap_err().is_interrupted());
    assert_eq!(world.take_log().len(), 4);
}

#[test]
fn ten_thousand_iterations_take_no_more_memory_than_two() {
    let run = |times: i64| {
        let world = World::new(CachePolicy::Classic);
        let graph = prompt(&json!({
            "seed": ["Blob", {"x": 0}],
            "start": ["StartLoop", {"mode": "simple", "mode.num_iterations": times, "cache_iterations": false,
                                    "initial_iteration_value": ["seed", 0]}],
            "body": ["Blob", {"x": ["start", 4]}],
            "end": ["EndLoop", {"output_value": ["body", 0], "next_iteration_value": ["body", 0], "accumulate": false}],
            "out": ["Show", {"x": ["end", 0]}],
        }));
        let begun = std::time::Instant::now();
        let report = world.run(&graph).unwrap();
        assert_eq!(report.ui("out").unwrap().get("n").unwrap()[0], json!(times + 1));
        (report.summary.peak_bytes, begun.elapsed())
    };
    let (few, _) = run(2);
    let (many, took) = run(10_000);
    assert_eq!(many, few, "bytes at the peak");
    assert!(took.as_secs() < 60, "{took:?}");
}

#[test]
fn a_loop_that_never_ends_or_never_fits_is_refused() {
    let world = World::new(CachePolicy::None);
    let error = world.run(&prompt(&sums(1_000_000_000_000, false))).unwrap_err();
    assert!(error.to_string().contains("a loop may become 1000000 nodes"), "{error}");
    let mut nodes = sums(1, false);
    nodes["zero"] = json!(["Same", {"x": 0}]);
    nodes["start"][1] = json!({"mode": "For", "mode.start_iteration_index": 0, "mode.max_iteration": 4,
                               "mode.step": ["zero", 0], "cache_iterations": false});
    let error = world.run(&prompt(&nodes)).unwrap_err();
    assert!(error.to_string().contains("`mode.step` is 0"), "{error}");
    nodes["start"][1]["mode.step"] = json!(0);
    let error = world.run(&prompt(&nodes)).unwrap_err();
    assert!(error.to_string().contains("input `mode.step`: 0 is out of range"), "{error}");
    nodes["start"][1] = json!({"mode": "Forever", "cache_iterations": false});
    let error = world.run(&prompt(&nodes)).unwrap_err();
    assert!(error.to_string().contains("there is no `Forever`"), "{error}");
}

#[test]
fn loops_that_are_not_closed_are_refused_with_comfyuis_error() {
    let world = World::new(CachePolicy::None);
    let mut nodes = sums(2, false);
    nodes["out2"] = json!(["Show", {"x": ["body", 0]}]);
    let error = world.run(&prompt(&nodes)).unwrap_err();
    let refused = serde_json::to_value(error.refused().unwrap()).unwrap();
    assert_eq!(
        refused["error"]["details"],
        json!("Loop body is not closed: Start Loop start reaches out2 without passing through End Loop end")
    );
    assert_eq!(refused["node_errors"]["start"]["errors"][0]["extra_info"]["loop_error_type"], json!("loop_escape"));
}

#[test]
fn a_loop_inside_of_a_subgraph_runs() {
    let workflow = include_str!("loops/subgraph.json");
    let workflow = kiln_exec::graph::Workflow::from_json(workflow).unwrap();
    let world = World::new(CachePolicy::None);
    let lowered = workflow.lower(world.registry(), &kiln_exec::graph::LowerOptions::default()).unwrap();
    let start = &lowered.get("9:1").unwrap();
    assert_eq!(start.inputs.get("mode"), Some(&Input::literal("For")));
    assert_eq!(start.inputs.get("mode.max_iteration"), Some(&Input::literal(9)));
    assert!(!start.inputs.contains_key("mode.num_iterations"));
    let values = world.values(&lowered, "9:3");
    assert_eq!(ints(&values), [7, 12, 20]);
}

#[test]
fn the_classes_look_as_clients_expect_them() {
    let world = World::new(CachePolicy::None);
    let info = |class: &str| world.registry().get(class).unwrap().def().to_object_info();
    let start = info("StartLoop");
    let options = start.pointer("/input/required/mode/1/options").unwrap();
    assert_eq!(start["input"]["required"]["mode"][0], json!("COMFY_DYNAMICCOMBO_V3"));
    let keys: Vec<&Json> = options.as_array().unwrap().iter().map(|option| &option["key"]).collect();
    assert_eq!(keys, ["simple", "For", "List"]);
    let count = options[0].pointer("/inputs/required/num_iterations").unwrap();
    assert_eq!((&count[0], &count[1]["default"], &count[1]["min"]), (&json!("INT"), &json!(4), &json!(0)));
    assert_eq!(options[1].pointer("/inputs/required/max_iteration/1/max"), Some(&json!(u64::MAX)));
    assert_eq!(start["input_order"]["required"], json!(["mode", "cache_iterations"]));
    assert_eq!(start["input_order"]["optional"], json!(["parent_iteration", "initial_iteration_value"]));
    assert_eq!(start["output_matchtypes"], json!([null, null, null, "list_item", "carried_value"]));
    assert!(start["is_input_list"].as_bool().unwrap());
    let end = info("EndLoop");
    let order = json!(["output_value", "next_iteration_value", "terminations"]);
    assert_eq!((&end["input_order"]["optional"], &end["output_is_list"]), (&order, &json!([true])));
    assert_eq!(end.pointer("/input/optional/terminations/1/template/max"), Some(&json!(50)));
    for class in ["LoopIteration", "LoopProgress", "LoopResult"] {
        assert_eq!(info(class)["dev_only"], json!(true));
    }
    let known = kiln_exec::graph::NodeDef::from_object_info("StartLoop", &start).unwrap();
    assert!(known.find_input("mode.num_iterations").is_some(), "read back as it was");
}
