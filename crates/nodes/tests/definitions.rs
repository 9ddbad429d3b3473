//! Every node looks from outside as clients of ComfyUI expect it: names, order, types, defaults, limits, choices.
//!
//! `data/definitions.json` lists those facts per class, `data/classes.txt` the names of all of ComfyUI's classes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Classes that only Kiln has, or that are younger than the list.
const OWN: &[&str] = &[
    "ComfySwitchNode",
    "KilnSeedLoop",
    "StartLoop",
    "EndLoop",
    "LoopIteration",
    "LoopProgress",
    "LoopResult",
    "KilnLoadDetector",
    "KilnDetect",
    "KilnLoadSegmenter",
    "KilnSegmentBoxes",
    "KilnSegmentPoints",
];

fn table() -> Map<String, Value> {
    serde_json::from_str(include_str!("data/definitions.json")).unwrap()
}

/// Numbers by value (`0` is `0.0`), everything else as it is; tooltips are ours.
fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Object(a), Value::Object(b)) => {
            let named = |o: &Map<String, Value>| o.keys().filter(|k| *k != "tooltip").cloned().collect::<BTreeSet<_>>();
            named(a) == named(b) && named(a).iter().all(|key| same(&a[key], &b[key]))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (a, b) => a == b,
    }
}

/// `[name, group, type, options]` of every input, groups in ComfyUI's order.
fn inputs(info: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for group in ["required", "optional", "hidden"] {
        for name in info["input_order"][group].as_array().into_iter().flatten() {
            let spec = &info["input"][group][name.as_str().unwrap()];
            let (ty, options) = match spec {
                Value::Array(parts) => (parts[0].clone(), parts.get(1).cloned().unwrap_or_else(|| json!({}))),
                bare => (bare.clone(), json!({})),
            };
            all.push(json!([name, group, ty, options]));
        }
    }
    all
}

fn differences(class: &str, info: &Value, expected: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let mut check = |what: &str, found: &Value, expected: &Value| {
        if !same(found, expected) {
            all.push(format!("{class}: {what} is {found}, expected {expected}"));
        }
    };
    check("display name", &info["display_name"], &expected["display"]);
    check("category", &info["category"], &expected["category"]);
    check("module", &info["python_module"], &expected["module"]);
    check("output_node", &info["output_node"], &expected["output_node"]);
    for flag in ["experimental", "deprecated"] {
        let on = |v: &Value| json!(v[flag].as_bool().unwrap_or_default());
        check(flag, &on(info), &on(expected));
    }
    let outputs: Vec<Value> = (0..info["output"].as_array().unwrap().len())
        .map(|i| json!([info["output"][i], info["output_name"][i], info["output_is_list"][i]]))
        .collect();
    check("outputs", &outputs.into(), &expected["outputs"]);
    let (found, wanted) = (inputs(info), expected["inputs"].as_array().unwrap());
    check("number of inputs", &json!(found.len()), &json!(wanted.len()));
    for (found, wanted) in found.iter().zip(wanted) {
        check(&format!("input {}", wanted[0]), found, wanted);
    }
    all
}

#[test]
fn every_node_is_declared_as_clients_of_comfyui_expect_it() {
    let registry = kiln_nodes::registry();
    let table = table();
    let mut wrong = Vec::new();
    for (class, expected) in &table {
        match registry.get(class) {
            Some(found) => wrong.extend(differences(class, &found.def().to_object_info(), expected)),
            None => wrong.push(format!("{class} is not registered")),
        }
    }
    let all: BTreeSet<&str> = include_str!("data/classes.txt").lines().collect();
    let have = all.iter().filter(|class| registry.get(class).is_some()).count();
    // Seen with `cargo test -p kiln-nodes --test definitions -- --nocapture`.
    println!("{have} of {} classes, {} differences", all.len(), wrong.len());
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_registered_class_is_in_the_table_or_known_to_be_our_own() {
    let registry = kiln_nodes::registry();
    let table = table();
    let strange: Vec<&str> = registry
        .defs()
        .map(|def| &*def.class_type)
        .filter(|class| !table.contains_key(*class) && !OWN.contains(class))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn every_node_and_every_input_says_what_it_is_for() {
    let registry = kiln_nodes::registry();
    for def in registry.defs() {
        assert!(def.description.len() > 10, "{} has no description", def.class_type);
        for input in def.inputs.iter().filter(|input| input.group != kiln_exec::graph::Group::Hidden) {
            assert!(input.options.contains_key("tooltip"), "{}: {} has no tooltip", def.class_type, input.name);
        }
    }
}
