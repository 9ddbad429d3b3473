//! Classes that a graph names and nobody has: all at once, each with its nodes and where it may be had.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use kiln_graph::{LowerOptions, NoValidators, PromptError, Workflow, WorkflowError, validate};
use serde_json::{Value, json};

fn refused(nodes: Value) -> PromptError {
    validate(&mut common::prompt(nodes), &common::defs(), &NoValidators, None).unwrap_err()
}

/// Why a workflow of these nodes is no prompt.
fn refused_workflow(nodes: Value, subgraphs: Value) -> WorkflowError {
    let workflow = json!({"nodes": nodes, "links": [], "definitions": {"subgraphs": subgraphs}});
    Workflow::from_value(&workflow).unwrap().lower(&common::defs(), &LowerOptions::default()).unwrap_err()
}

#[test]
fn every_missing_class_is_named_once_with_its_nodes_and_its_pack() {
    let nodes = json!([
        {"id": 20, "type": "UltimateSDUpscale"},
        {"id": 21, "type": "FaceDetailer"},
        {"id": 22, "type": "UltimateSDUpscale"},
        {"id": 23, "type": "Nobody Knows"},
        {"id": 24, "type": "Samplr"},
        {"id": 25, "type": "Muted Class", "mode": 2},
        {"id": 26, "type": "Bypassed Class", "mode": 4},
        {"id": 27, "type": "AuxClass", "properties": {"aux_id": "somebody/some-pack", "cnr_id": "some-pack"}},
        {"id": 28, "type": "CnrClass", "properties": {"cnr_id": "registered-pack"}},
        {"id": 29, "type": "Something new of the core", "properties": {"cnr_id": "comfy-core"}},
        {"id": 30, "type": "86a17dd0-1f1e-4d4f-8f4e-6f9d1f6a7c11"},
        {"id": 31, "type": "workflow>Gone"},
    ]);
    let error = refused_workflow(nodes, json!([]));
    let WorkflowError::UnknownClasses(missing) = &error else { panic!("{error}") };
    assert_eq!(missing.iter().len(), 9);
    assert_eq!(
        error.to_string(),
        "9 node classes are missing; install the packs that bring them, or mute their nodes\n\
        \x20 `UltimateSDUpscale` (nodes 20, 22): ssitu/ComfyUI_UltimateSDUpscale brings it\n\
        \x20 `FaceDetailer` (node 21): ltdrdata/ComfyUI-Impact-Pack brings it\n\
        \x20 `Nobody Knows` (node 23): install the pack that brings it\n\
        \x20 `Samplr` (node 24): did you mean `Sampler`?\n\
        \x20 `AuxClass` (node 27): somebody/some-pack brings it\n\
        \x20 `CnrClass` (node 28): registered-pack brings it\n\
        \x20 `Something new of the core` (node 29): it is one of ComfyUI's own that is not here yet\n\
        \x20 `86a17dd0-1f1e-4d4f-8f4e-6f9d1f6a7c11` (node 30): the file lacks the definition of this subgraph\n\
        \x20 `workflow>Gone` (node 31): the file lacks the definition of this group node"
    );
}

#[test]
fn a_missing_class_inside_of_subgraphs_is_named_with_the_path_to_it() {
    let definition = |id: &str, nodes: Value| json!({"id": id, "name": id, "nodes": nodes, "links": []});
    let inner = definition("inner", json!([{"id": 3, "type": "FaceDetailer"}]));
    let outer = definition("outer", json!([{"id": 7, "type": "inner"}, {"id": 3, "type": "Nobody Knows"}]));
    let nodes = json!([{"id": 1, "type": "outer"}, {"id": 2, "type": "outer"}, {"id": 3, "type": "outer", "mode": 2}]);
    let error = refused_workflow(nodes, json!([outer, inner]));
    let WorkflowError::UnknownClasses(missing) = error else { panic!("{error}") };
    let nodes: Vec<_> = missing.iter().map(|class| (class.class_type.as_str(), class.nodes.join(" "))).collect();
    assert_eq!(nodes, [("FaceDetailer", "1:7:3 2:7:3".to_owned()), ("Nobody Knows", "1:3 2:3".to_owned())]);
}

#[test]
fn every_missing_class_of_a_prompt_is_named_once_with_its_nodes() {
    let error = refused(json!({
        "1": {"class_type": "SamA", "inputs": {}},
        "2": {"class_type": "SamB", "inputs": {"x": ["1", 0]}, "_meta": {"title": "B", "aux_id": "somebody/pack-b"}},
        "3": {"class_type": "SamA", "inputs": {"x": ["2", 0]}},
        "4": {"class_type": "FaceDetailer", "inputs": {}},
        "5": {"class_type": "Sink", "inputs": {"x": ["3", 0]}},
        "6": {"inputs": {}},
    }));
    assert_eq!(
        error.to_string(),
        "4 node classes are missing; install the packs that bring them\n\
        \x20 `SamA` (nodes \"1\", \"3\"): install the pack that brings it\n\
        \x20 `SamB` (node \"2\"): somebody/pack-b brings it\n\
        \x20 `FaceDetailer` (node \"4\"): ltdrdata/ComfyUI-Impact-Pack brings it\n\
        \x20 no class_type (node \"6\")"
    );
    let json = serde_json::to_value(&error).unwrap();
    assert_eq!(json["error"]["type"], "missing_node_type");
    assert_eq!(json["error"]["details"], "Node ID '#1'", "ComfyUI names the first");
    assert_eq!(
        json["error"]["extra_info"]["missing_classes"],
        json!([
            {"class_type": "SamA", "nodes": ["1", "3"], "pack": null},
            {"class_type": "SamB", "nodes": ["2"], "pack": "somebody/pack-b"},
            {"class_type": "FaceDetailer", "nodes": ["4"], "pack": "ltdrdata/ComfyUI-Impact-Pack"},
            {"class_type": "", "nodes": ["6"], "pack": null},
        ])
    );
}

#[test]
fn a_prompt_in_which_every_class_is_missing_is_refused_in_short_time_and_few_words() {
    let nodes: serde_json::Map<String, Value> =
        (0..100_000).map(|i| (i.to_string(), json!({"class_type": format!("Missing {i}"), "inputs": {}}))).collect();
    let start = std::time::Instant::now();
    let text = refused(nodes.into()).to_string();
    assert!(text.starts_with("100000 node classes are missing") && text.ends_with("and 99960 more"), "{text}");
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    let same: serde_json::Map<String, Value> =
        (0..1000).map(|i| (i.to_string(), json!({"class_type": "Missing", "inputs": {}}))).collect();
    assert!(refused(same.into()).to_string().contains("\"39\" and 960 more: there is no node class `Missing`"));
}
