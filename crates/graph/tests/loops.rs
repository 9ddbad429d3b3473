//! Loops in validation: which start belongs to which end, and every way in which a loop can be broken.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln_graph::{
    InputDef, LoopBoundary, NoValidators, NodeDef, NodeDefs, NodeId, OutputDef, Prompt, PromptError, Validated,
    validate,
};
use serde_json::{Value, json};

fn defs() -> NodeDefs {
    let any = |class: &str| NodeDef::new(class).output(OutputDef::new("*"));
    let input = |name: &str| InputDef::new(name, "*").optional();
    let boundary = |class: &str, boundary| NodeDef { loop_boundary: Some(boundary), ..any(class) };
    [
        boundary("StartLoop", LoopBoundary::Start).input(input("parent")),
        boundary("EndLoop", LoopBoundary::End)
            .input(input("value"))
            .input(InputDef::new("accumulate", "BOOLEAN").option("default", false)),
        any("Source"),
        any("Body"),
        any("Output").output_node(true),
        any("Labelled").input(InputDef::new("label", "STRING")).output_node(true),
    ]
    .into_iter()
    .collect()
}

/// A prompt of these nodes: `{"id": ["Class", {inputs}]}`; what is no list of two names a node's first output.
fn prompt(nodes: &Value) -> Prompt {
    let full = |spec: &Value| {
        let linked = |value: &Value| if value.is_string() { json!([value, 0]) } else { value.clone() };
        let inputs: serde_json::Map<String, Value> =
            spec[1].as_object().unwrap().iter().map(|(name, value)| (name.clone(), linked(value))).collect();
        let mut inputs = inputs;
        if spec[0] == "EndLoop" {
            inputs.entry("accumulate").or_insert(json!(false));
        }
        json!({"class_type": spec[0], "inputs": inputs})
    };
    let nodes = nodes.as_object().unwrap().iter().map(|(id, spec)| (id.clone(), full(spec)));
    Prompt::from_value(nodes.collect::<serde_json::Map<_, _>>().into()).unwrap()
}

fn check(prompt: &mut Prompt) -> Result<Validated, PromptError> {
    validate(prompt, &defs(), &NoValidators, None)
}

/// Each start with its end and its body.
fn pairs(nodes: &Value) -> Vec<(String, String, Vec<String>)> {
    let mut prompt = prompt(nodes);
    let validated = check(&mut prompt).unwrap_or_else(|error| panic!("{error}"));
    assert!(validated.node_errors.is_empty(), "{validated}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = prompt.nodes.iter().filter_map(|(id, node)| {
        let extra = node.extra.as_ref()?;
        let body = extra.get("_loop_body")?.as_array()?.iter().map(text).collect();
        Some((id.to_string(), text(extra.get("_loop_end")?), body))
    });
    found.collect()
}

/// The one error of a loop: its sort, its details, its nodes, its outputs.
fn refused(nodes: &Value) -> (String, String, Vec<String>, Vec<String>) {
    let error = check(&mut prompt(nodes)).expect_err("must be refused");
    let json = serde_json::to_value(&error).unwrap();
    let list = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    let (_, first) = json["node_errors"].as_object().unwrap().iter().next().unwrap();
    let one = &first["errors"][0];
    assert_eq!(one["type"], "custom_validation_failed");
    assert_eq!(one["extra_info"]["input_name"], "loop boundary");
    let nodes = list(&one["extra_info"]["node_ids"]);
    for node in &nodes {
        let of_node = &json["node_errors"][node];
        assert_eq!(of_node["errors"].as_array().unwrap().last().unwrap(), one, "{node}");
        assert_eq!(of_node["dependent_outputs"], one["extra_info"]["output_ids"]);
    }
    assert_eq!(json["node_errors"].as_object().unwrap().len(), nodes.len());
    let line = format!("{}: {}", one["message"].as_str().unwrap(), one["details"].as_str().unwrap());
    assert_eq!(json["error"]["details"], json!(line));
    let outputs = list(&one["extra_info"]["output_ids"]);
    (
        one["extra_info"]["loop_error_type"].as_str().unwrap().into(),
        one["details"].as_str().unwrap().into(),
        nodes,
        outputs,
    )
}

fn pair(start: &str, end: &str, body: &[&str]) -> (String, String, Vec<String>) {
    (start.into(), end.into(), body.iter().map(ToString::to_string).collect())
}

fn error(kind: &str, details: &str, nodes: &[&str], outputs: &[&str]) -> (String, String, Vec<String>, Vec<String>) {
    let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    (kind.into(), details.into(), texts(nodes), texts(outputs))
}

#[test]
fn a_start_and_an_end_are_paired() {
    let simple = json!({
        "source": ["Source", {}],
        "start": ["StartLoop", {}],
        "left": ["Body", {"x": "start", "y": "source"}],
        "right": ["Body", {"x": "start"}],
        "end": ["EndLoop", {"value": "left", "other": "right"}],
        "output": ["Output", {"x": "end"}],
    });
    assert_eq!(pairs(&simple), [pair("start", "end", &["left", "right"])]);
    let empty = json!({
        "start": ["StartLoop", {}],
        "end": ["EndLoop", {"value": "start"}],
        "output": ["Output", {"x": "end"}],
    });
    assert_eq!(pairs(&empty), [pair("start", "end", &[])]);
}

#[test]
fn loops_inside_of_loops_are_paired_from_the_inside() {
    let nested = json!({
        "outer": ["StartLoop", {}],
        "inner": ["StartLoop", {"parent": "outer"}],
        "inner_body": ["Body", {"x": "outer", "y": "inner"}],
        "inner_end": ["EndLoop", {"value": "inner_body"}],
        "outer_body": ["Body", {"x": "outer", "y": "inner_end"}],
        "outer_end": ["EndLoop", {"value": "outer_body"}],
        "output": ["Output", {"x": "outer_end"}],
    });
    let outer = ["inner", "inner_body", "inner_end", "outer_body"];
    assert_eq!(pairs(&nested), [pair("outer", "outer_end", &outer), pair("inner", "inner_end", &["inner_body"])]);
    let in_a_row = json!({
        "outer": ["StartLoop", {}],
        "first": ["StartLoop", {"parent": "outer"}],
        "a": ["Body", {"x": "first"}],
        "first_end": ["EndLoop", {"value": "a"}],
        "second": ["StartLoop", {"value": "first_end"}],
        "b": ["Body", {"x": "outer", "y": "second"}],
        "second_end": ["EndLoop", {"value": "b"}],
        "outer_end": ["EndLoop", {"value": "second_end"}],
        "output": ["Output", {"x": "outer_end"}],
    });
    let outer = ["a", "b", "first", "first_end", "second", "second_end"];
    let expected =
        [pair("outer", "outer_end", &outer), pair("first", "first_end", &["a"]), pair("second", "second_end", &["b"])];
    assert_eq!(pairs(&in_a_row), expected);
}

#[test]
fn loops_of_their_own_and_loops_that_nobody_asks_for_are_no_matter_to_each_other() {
    let beside = json!({
        "left": ["StartLoop", {}],
        "left_end": ["EndLoop", {"value": "left"}],
        "left_output": ["Output", {"x": "left_end"}],
        "right": ["StartLoop", {}],
        "right_end": ["EndLoop", {"value": "right"}],
        "right_output": ["Output", {"x": "right_end"}],
        "unused": ["StartLoop", {}],
    });
    assert_eq!(pairs(&beside), [pair("left", "left_end", &[]), pair("right", "right_end", &[])]);
}

#[test]
fn a_loop_may_end_behind_its_only_output() {
    let nodes = json!({
        "start": ["StartLoop", {}],
        "body": ["Body", {"x": "start"}],
        "carry": ["Body", {"x": "body", "y": "start"}],
        "output": ["Output", {"x": "body"}],
        "end": ["EndLoop", {"value": "body", "next": "carry", "termination0": "output"}],
    });
    assert_eq!(pairs(&nodes), [pair("start", "end", &["body", "carry", "output"])]);
    let mut prompt = prompt(&nodes);
    assert_eq!(check(&mut prompt).unwrap().outputs, [NodeId::from("output")]);
}

#[test]
fn what_an_earlier_validation_wrote_is_forgotten() {
    let nodes = json!({
        "start": ["StartLoop", {}],
        "end": ["EndLoop", {"value": "start"}],
        "output": ["Output", {"x": "end"}],
    });
    let mut prompt = prompt(&nodes);
    check(&mut prompt).unwrap();
    let text = serde_json::to_value(&prompt).unwrap();
    assert_eq!((&text["start"]["_loop_end"], &text["start"]["_loop_body"]), (&json!("end"), &json!([])));
    prompt.nodes.get_mut("end").unwrap().inputs.shift_remove("value");
    assert!(check(&mut prompt).is_err());
    assert!(serde_json::to_value(&prompt).unwrap()["start"].get("_loop_end").is_none());
}

#[test]
fn an_end_without_a_start_is_refused() {
    let nodes = json!({
        "source": ["Source", {}],
        "end": ["EndLoop", {"value": "source"}],
        "output": ["Output", {"x": "end"}],
    });
    let expected = error("loop_end_without_start", "End Loop end has no available Start Loop", &["end"], &["output"]);
    assert_eq!(refused(&nodes), expected);
    let taken = json!({
        "start": ["StartLoop", {}],
        "first": ["EndLoop", {"value": "start"}],
        "second": ["EndLoop", {"value": "first"}],
        "output": ["Output", {"x": "second"}],
    });
    let details = "End Loop second has no available Start Loop";
    assert_eq!(refused(&taken), error("loop_end_without_start", details, &["second"], &["output"]));
}

#[test]
fn starts_without_an_end_are_refused_together() {
    let nodes = json!({
        "second": ["StartLoop", {}],
        "first": ["StartLoop", {}],
        "output": ["Output", {"x": "first", "y": "second"}],
    });
    let details = "Start Loops without End Loops: first, second";
    assert_eq!(refused(&nodes), error("loop_start_without_end", details, &["first", "second"], &["output"]));
}

#[test]
fn an_end_below_unrelated_starts_is_refused() {
    let nodes = json!({
        "left": ["StartLoop", {}],
        "right": ["StartLoop", {}],
        "body": ["Body", {"x": "left", "y": "right"}],
        "end": ["EndLoop", {"value": "body"}],
        "output": ["Output", {"x": "end"}],
    });
    let details = "End Loop end can close multiple unrelated Start Loops: left, right";
    assert_eq!(refused(&nodes), error("ambiguous_loop_nesting", details, &["end", "left", "right"], &["output"]));
}

#[test]
fn a_body_that_is_reached_around_the_end_is_refused() {
    let around = json!({
        "start": ["StartLoop", {}],
        "body": ["Body", {"x": "start"}],
        "end": ["EndLoop", {"value": "body"}],
        "output": ["Output", {"x": "end", "y": "body"}],
    });
    let details = "Start Loop start reaches output without passing through End Loop end";
    assert_eq!(refused(&around), error("loop_escape", details, &["end", "output", "start"], &["output"]));
    let two = json!({
        "start": ["StartLoop", {}],
        "body": ["Body", {"x": "start"}],
        "end_b": ["EndLoop", {"value": "body"}],
        "end_a": ["EndLoop", {"value": "body"}],
        "output_a": ["Output", {"x": "end_a"}],
        "output_b": ["Output", {"x": "end_b"}],
    });
    let details = "Start Loop start reaches end_b without passing through End Loop end_a";
    let nodes = ["end_a", "end_b", "start"];
    assert_eq!(refused(&two), error("loop_escape", details, &nodes, &["output_a", "output_b"]));
    let into_the_outer = json!({
        "outer": ["StartLoop", {}],
        "inner": ["StartLoop", {"parent": "outer"}],
        "body": ["Body", {"x": "inner"}],
        "inner_end": ["EndLoop", {"value": "body"}],
        "outer_end": ["EndLoop", {"value": "inner_end", "y": "body"}],
        "output": ["Output", {"x": "outer_end"}],
    });
    let details = "Start Loop inner reaches outer_end without passing through End Loop inner_end";
    assert_eq!(
        refused(&into_the_outer),
        error("loop_escape", details, &["inner", "inner_end", "outer_end"], &["output"])
    );
}

#[test]
fn whether_a_loop_accumulates_must_not_come_out_of_it() {
    let nodes = json!({
        "start": ["StartLoop", {}],
        "body": ["Body", {"x": "start"}],
        "control": ["Body", {"x": "body"}],
        "end": ["EndLoop", {"value": "body", "accumulate": "control"}],
        "output": ["Output", {"x": "end"}],
    });
    let details = "End Loop end accumulate is driven by loop node control under Start Loop start";
    let expected = error("loop_accumulate_from_body", details, &["control", "end", "start"], &["output"]);
    assert_eq!(refused(&nodes), expected);
    let mut of_start = nodes;
    of_start["end"][1]["accumulate"] = json!(["start", 0]);
    let details = "End Loop end accumulate is driven by loop node start under Start Loop start";
    assert_eq!(refused(&of_start), error("loop_accumulate_from_body", details, &["end", "start"], &["output"]));
    of_start["source"] = json!(["Source", {}]);
    of_start["end"][1]["accumulate"] = json!("source");
    assert_eq!(pairs(&of_start), [pair("start", "end", &["body"])], "from outside it may come");
}

#[test]
fn ends_that_need_each_other_are_refused() {
    // Behind the output, where the walk from the outputs does not come.
    let nodes = json!({
        "start": ["StartLoop", {}],
        "output": ["Output", {"x": "start"}],
        "a": ["EndLoop", {"value": "output", "y": "b"}],
        "b": ["EndLoop", {"value": "output", "y": "a"}],
    });
    let mut prompt = prompt(&nodes);
    let validated = check(&mut prompt);
    let shown = match &validated {
        Ok(validated) => serde_json::to_value(&validated.node_errors).unwrap(),
        Err(error) => serde_json::to_value(error).unwrap()["node_errors"].clone(),
    };
    assert_eq!(shown["a"]["errors"][0]["extra_info"]["loop_error_type"], json!("loop_end_cycle"));
    assert_eq!(shown["b"]["errors"][0]["extra_info"]["node_ids"], json!(["a", "b"]));
}

#[test]
fn a_broken_loop_stops_no_other_output() {
    let nodes = json!({
        "left": ["StartLoop", {}],
        "right": ["StartLoop", {}],
        "body": ["Body", {"x": "left", "y": "right"}],
        "end": ["EndLoop", {"value": "body"}],
        "broken": ["Output", {"x": "end"}],
        "start": ["StartLoop", {}],
        "good_end": ["EndLoop", {"value": "start"}],
        "good": ["Output", {"x": "good_end"}],
        "alone": ["EndLoop", {}],
        "also_broken": ["Output", {"x": "alone"}],
    });
    let mut prompt = prompt(&nodes);
    let validated = check(&mut prompt).unwrap();
    assert_eq!(validated.outputs, [NodeId::from("good")]);
    let named: Vec<&str> = validated.node_errors.keys().map(NodeId::as_str).collect();
    assert_eq!(named.len(), 4, "{named:?}");
    assert_eq!(validated.node_errors.get("alone").unwrap().dependent_outputs(), [NodeId::from("also_broken")]);
    assert_eq!(prompt.get("start").unwrap().extra.as_ref().unwrap()["_loop_end"], json!("good_end"));
}

#[test]
fn what_is_wrong_with_inputs_stands_beside_what_is_wrong_with_loops() {
    let nodes = json!({
        "left": ["StartLoop", {}],
        "right": ["StartLoop", {}],
        "body": ["Body", {"x": "left", "y": "right"}],
        "end": ["EndLoop", {"value": "body"}],
        "output": ["Labelled", {"x": "end"}],
    });
    let error = check(&mut prompt(&nodes)).unwrap_err();
    let json = serde_json::to_value(&error).unwrap();
    assert_eq!(json["node_errors"]["output"]["errors"][0]["type"], "required_input_missing");
    assert_eq!(json["node_errors"]["end"]["errors"][0]["extra_info"]["loop_error_type"], "ambiguous_loop_nesting");
    let details = json["error"]["details"].as_str().unwrap();
    assert!(details.contains("Required input is missing") && details.contains("ambiguous Start Loops"), "{details}");
}

#[test]
fn two_thousand_loops_inside_of_each_other_are_paired() {
    let mut nodes = serde_json::Map::new();
    let depth = 2000;
    for i in 0..depth {
        let inputs = if i == 0 { json!({}) } else { json!({"parent": format!("s{}", i - 1)}) };
        nodes.insert(format!("s{i}"), json!(["StartLoop", inputs]));
    }
    for i in (0..depth).rev() {
        let from = if i == depth - 1 { format!("s{i}") } else { format!("e{}", i + 1) };
        nodes.insert(format!("e{i}"), json!(["EndLoop", {"value": from}]));
    }
    nodes.insert("output".into(), json!(["Output", {"x": "e0"}]));
    let found = pairs(&nodes.into());
    assert_eq!(found.len(), depth);
    assert!(found.iter().all(|(start, end, _)| start[1..] == end[1..]));
}

/// A class with a choice that brings inputs of its own.
fn choosing() -> NodeDefs {
    let size = |name: &str| InputDef::new(name, "INT").option("default", 8).option("min", 1);
    let mode = InputDef::dynamic_combo(
        "mode",
        [("size", vec![size("width"), size("height")]), ("like", vec![InputDef::new("image", "IMAGE").optional()])],
    );
    let def = NodeDef::new("Resize").input(mode).input(InputDef::new("crop", "BOOLEAN")).output_node(true);
    [def, NodeDef::new("Load").output(OutputDef::new("IMAGE"))].into_iter().collect()
}

#[test]
fn an_option_brings_its_own_inputs() {
    let kinds = |inputs: Value| -> Vec<String> {
        let mut prompt = Prompt::from_value(json!({
            "load": {"class_type": "Load", "inputs": {}},
            "out": {"class_type": "Resize", "inputs": inputs},
        }));
        let found = validate(prompt.as_mut().unwrap(), &choosing(), &NoValidators, None);
        let errors = found.err().map(|error| error.node_errors).unwrap_or_default();
        errors.values().flat_map(|node| &node.errors).map(|e| format!("{} {}", e.kind, e.details)).collect()
    };
    let none: [&str; 0] = [];
    assert_eq!(kinds(json!({"mode": "size", "mode.width": 4, "mode.height": 4, "crop": true})), none);
    assert_eq!(kinds(json!({"mode": "like", "mode.image": ["load", 0], "crop": true})), none);
    assert_eq!(kinds(json!({"mode": "like", "crop": true})), none);
    assert_eq!(kinds(json!({"mode": "like", "mode.width": -4, "crop": true})), none, "of an option not chosen");
    let missing = ["required_input_missing mode.height"];
    assert_eq!(kinds(json!({"mode": "size", "mode.width": 4, "crop": true})), missing);
    let small = ["value_smaller_than_min mode.width"];
    assert_eq!(kinds(json!({"mode": "size", "mode.width": 0, "mode.height": 4, "crop": true})), small);
    let other = ["value_not_in_list mode: 'fit' not in ['size', 'like']"];
    assert_eq!(kinds(json!({"mode": "fit", "crop": true})), other);
    assert_eq!(kinds(json!({"crop": true})), ["required_input_missing mode"]);
}

#[test]
fn an_option_is_shown_with_the_inputs_that_it_brings() {
    let defs = choosing();
    let info = defs.get("Resize").unwrap().to_object_info();
    assert_eq!(info["input_order"]["required"], json!(["mode", "crop"]));
    let options = info.pointer("/input/required/mode/1/options").unwrap();
    assert_eq!(options[0]["key"], "size");
    assert_eq!(options[0]["inputs"]["required"]["height"], json!(["INT", {"default": 8, "min": 1}]));
    assert_eq!(options[1]["inputs"]["optional"]["image"], json!(["IMAGE"]));
    let read = NodeDef::from_object_info("Resize", &info).unwrap();
    let names = |def: &NodeDef| def.inputs.iter().map(|input| input.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&read), ["mode", "mode.width", "mode.height", "mode.image", "crop"]);
    assert_eq!(names(&read), names(defs.get("Resize").unwrap()));
}
