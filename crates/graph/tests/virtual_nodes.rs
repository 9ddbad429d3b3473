//! Nodes that only the page knows are resolved or left out: links by name, what is sent everywhere, labels and switches.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::page::{loader, with_integer as defs};
use kiln_graph::{LowerOptions, Workflow, WorkflowError};
use serde_json::{Value, json};

fn lower(workflow: &Value) -> Result<Value, WorkflowError> {
    let workflow = Workflow::from_value(workflow).unwrap();
    workflow.lower(&defs(), &LowerOptions::default()).map(|prompt| prompt.to_value())
}

fn lowered(nodes: Value, links: Value) -> Value {
    lower(&json!({"nodes": nodes, "links": links})).unwrap()
}

/// A node of one output and one linked input.
fn passing(id: u32, ty: &str, mode: u32, link: u32, value: &str) -> Value {
    json!({"id": id, "type": ty, "mode": mode, "widgets_values": [value],
        "inputs": [{"name": "*", "type": "*", "link": link}], "outputs": [{"type": "VAE"}]})
}

fn getter(id: u32, ty: &str, mode: u32, name: &str) -> Value {
    json!({"id": id, "type": ty, "mode": mode, "widgets_values": [name], "outputs": [{"type": "VAE"}]})
}

fn decoder(id: u32, link: u32) -> Value {
    json!({"id": id, "type": "VAEDecode", "inputs": [
        {"name": "samples", "type": "LATENT", "link": null}, {"name": "vae", "type": "VAE", "link": link}], "outputs": [{"type": "IMAGE"}]})
}

#[test]
fn a_get_node_gives_what_the_set_node_of_its_name_takes_in_whatever_their_modes() {
    for (set, get) in [("SetNode", "GetNode"), ("easy setNode", "easy getNode")] {
        for (set_mode, get_mode) in [(0, 0), (2, 0), (0, 2), (4, 0)] {
            // The getters come first in the file, and one of them feeds another name.
            let nodes = json!([
                decoder(9, 3),
                decoder(10, 5),
                decoder(11, 6),
                getter(5, get, get_mode, "vae"),
                getter(6, get, get_mode, "again"),
                passing(2, set, set_mode, 1, "vae"),
                passing(7, set, set_mode, 4, "again"),
                passing(8, set, 0, 77, "other"),
                loader(1),
            ]);
            let links = json!([
                [1, 1, 2, 2, 0, "VAE"],
                [3, 5, 0, 9, 1, "VAE"],
                [4, 5, 0, 7, 0, "VAE"],
                [5, 6, 0, 10, 1, "VAE"],
                [6, 2, 0, 11, 1, "VAE"]
            ]);
            let prompt = lowered(nodes, links);
            for id in ["9", "10", "11"] {
                assert_eq!(prompt[id]["inputs"]["vae"], json!(["1", 2]), "{set} {set_mode} {get_mode}: {id}");
            }
            assert_eq!(prompt.as_object().unwrap().len(), 4);
        }
    }
}

#[test]
fn a_name_that_nobody_set_gives_nothing_and_the_first_of_two_counts() {
    let vae = |nodes: Value| {
        let links = json!([[1, 1, 2, 2, 0, "VAE"], [2, 20, 2, 3, 0, "VAE"], [3, 5, 0, 9, 1, "VAE"]]);
        lowered(nodes, links)["9"]["inputs"]["vae"].clone()
    };
    let with = |first: &str, second: &str, wanted: &str| {
        let nodes = json!([
            loader(1),
            loader(20),
            passing(3, "SetNode", 0, 2, first),
            passing(2, "SetNode", 0, 1, second),
            getter(5, "GetNode", 0, wanted),
            decoder(9, 3)
        ]);
        vae(nodes)
    };
    assert_eq!(with("a", "b", "c"), Value::Null);
    assert_eq!(with("a", "a", "a"), json!(["20", 2]));
    assert_eq!(with("", "", ""), Value::Null, "an empty name is none");
    let other_pack = json!([
        loader(1),
        loader(20),
        passing(2, "easy setNode", 0, 1, "a"),
        getter(5, "GetNode", 0, "a"),
        decoder(9, 3)
    ]);
    assert_eq!(vae(other_pack), Value::Null);
    let loose = json!([passing(2, "SetNode", 0, 44, "a"), getter(5, "GetNode", 0, "a"), decoder(9, 3)]);
    assert_eq!(vae(loose), Value::Null);
}

#[test]
fn names_that_run_in_a_circle_are_an_error_that_names_their_nodes() {
    let nodes = json!([passing(2, "SetNode", 0, 1, "a"), getter(5, "GetNode", 0, "a"), decoder(9, 3)]);
    let error = lower(&json!({"nodes": nodes, "links": [[1, 5, 0, 2, 0, "VAE"], [3, 5, 0, 9, 1, "VAE"]]})).unwrap_err();
    assert_eq!(error.to_string(), "the links of these nodes run in a circle: 5 -> 5");
}

/// A definition with these nodes and links; links from -10 come from its one input, to -20 go to its one output.
fn definition(id: &str, nodes: Value, links: Value) -> Value {
    let object = |link: &Value| json!({"id": link[0], "origin_id": link[1], "origin_slot": link[2], "target_id": link[3], "target_slot": link[4], "type": "VAE"});
    let links: Vec<Value> = links.as_array().unwrap().iter().map(object).collect();
    json!({"id": id, "name": id, "inputs": [{"name": "vae", "type": "VAE"}], "outputs": [{"name": "vae", "type": "VAE"}], "nodes": nodes, "links": links})
}

fn instance(id: u32, of: &str) -> Value {
    json!({"id": id, "type": of, "inputs": [{"name": "vae", "type": "VAE", "link": null}], "outputs": [{"type": "VAE"}]})
}

#[test]
fn a_name_is_seen_inside_of_subgraphs_and_the_nearest_one_counts() {
    let inside = |own: &[Value]| {
        let mut nodes = vec![getter(5, "GetNode", 0, "vae"), decoder(9, 3)];
        nodes.extend_from_slice(own);
        definition("inner", json!(nodes), json!([[3, 5, 0, 9, 1], [4, 30, 2, 31, 0]]))
    };
    let vae = |own: &[Value], middle: &[Value], outside: &[Value]| {
        let mut nodes = vec![instance(7, "inner")];
        nodes.extend_from_slice(middle);
        let middle = definition("middle", json!(nodes), json!([[4, 30, 2, 31, 0]]));
        let mut nodes = vec![instance(8, "middle"), loader(1), loader(20)];
        nodes.extend_from_slice(outside);
        let links = json!([[1, 1, 2, 2, 0, "VAE"], [2, 20, 2, 3, 0, "VAE"]]);
        let workflow = json!({"nodes": nodes, "links": links, "definitions": {"subgraphs": [inside(own), middle]}});
        lower(&workflow).unwrap()["8:7:9"]["inputs"]["vae"].clone()
    };
    let own = [loader(30), passing(31, "SetNode", 0, 4, "vae")];
    let outside = [passing(2, "SetNode", 0, 1, "vae")];
    let twice = [passing(2, "SetNode", 0, 1, "vae"), passing(3, "SetNode", 0, 2, "vae")];
    assert_eq!(vae(&[], &[], &outside), json!(["1", 2]), "two levels up");
    assert_eq!(vae(&[], &own, &[]), json!(["8:30", 2]), "one level up");
    assert_eq!(vae(&own, &[], &outside), json!(["8:7:30", 2]), "its own level first");
    assert_eq!(vae(&[], &[], &twice), Value::Null, "two around: neither");
    assert_eq!(vae(&[], &own, &outside), Value::Null, "two around, of two levels");
    assert_eq!(vae(&own, &own, &twice), json!(["8:7:30", 2]));
}

#[test]
fn a_name_set_inside_of_a_subgraph_is_not_seen_outside_or_beside_it() {
    let setting =
        definition("setting", json!([loader(30), passing(31, "SetNode", 0, 4, "vae")]), json!([[4, 30, 2, 31, 0]]));
    let getting =
        definition("getting", json!([getter(5, "GetNode", 0, "vae"), decoder(9, 3)]), json!([[3, 5, 0, 9, 1]]));
    let nodes = json!([instance(7, "setting"), instance(8, "getting"), getter(5, "GetNode", 0, "vae"), decoder(9, 3)]);
    let workflow =
        json!({"nodes": nodes, "links": [[3, 5, 0, 9, 1, "VAE"]], "definitions": {"subgraphs": [setting, getting]}});
    let prompt = lower(&workflow).unwrap();
    assert_eq!((&prompt["9"]["inputs"]["vae"], &prompt["8:9"]["inputs"]["vae"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_set_node_takes_in_what_comes_into_its_subgraph_and_a_get_node_leads_out_of_it() {
    let nodes = json!([passing(31, "SetNode", 0, 4, "vae"), getter(5, "GetNode", 0, "vae"), decoder(9, 3)]);
    let inner = definition("inner", nodes, json!([[4, -10, 0, 31, 0], [3, 5, 0, 9, 1], [5, 5, 0, -20, 0]]));
    let mut inside = instance(7, "inner");
    inside["inputs"][0]["link"] = json!(1);
    let workflow = json!({"nodes": [loader(1), inside, decoder(9, 2)], "links": [[1, 1, 2, 7, 0, "VAE"], [2, 7, 0, 9, 1, "VAE"]], "definitions": {"subgraphs": [inner]}});
    let prompt = lower(&workflow).unwrap();
    assert_eq!((&prompt["9"]["inputs"]["vae"], &prompt["7:9"]["inputs"]["vae"]), (&json!(["1", 2]), &json!(["1", 2])));
}

#[test]
fn labels_notes_bookmarks_and_switches_of_common_packs_are_left_out() {
    let types = [
        "Note",
        "MarkdownNote",
        "Note Plus (mtb)",
        "Note+ (mtb)",
        "Label (rgthree)",
        "Bookmark (rgthree)",
        "Fast Groups Muter (rgthree)",
        "Fast Groups Bypasser (rgthree)",
        "Fast Muter (rgthree)",
        "Fast Bypasser (rgthree)",
        "Fast Actions Button (rgthree)",
        "Mute / Bypass Relay (rgthree)",
        "Mute / Bypass Repeater (rgthree)",
        "Random Unmuter (rgthree)",
        "Node Collector (rgthree)",
        "Reroute (rgthree)",
        "mxReroute",
        "PresetText|pysssss",
        "Anything Everywhere",
        "Anything Everywhere?",
        "Anything Everywhere3",
        "Prompts Everywhere",
        "SetNode",
        "GetNode",
    ];
    // Each is linked to from a node that runs, as collectors and relays are, and leads to another one of its kind.
    let mut nodes = vec![loader(1)];
    let mut links = Vec::new();
    for (ty, i) in types.iter().zip(10_u32..) {
        nodes.push(json!({"id": i, "type": ty, "title": "x", "widgets_values": ["text"], "inputs": [{"name": "", "type": "*", "link": i}, {"name": "", "type": "*", "link": i + 100}], "outputs": [{"type": "*"}]}));
        links.extend([json!([i, 1, 0, i, 0, "*"]), json!([i + 100, i - 1, 0, i, 1, "*"])]);
    }
    let prompt = lowered(json!(nodes), json!(links));
    assert_eq!(prompt.as_object().unwrap().keys().collect::<Vec<_>>(), ["1"]);
}

#[test]
fn the_reroutes_of_other_packs_pass_their_links_on() {
    for ty in ["Reroute (rgthree)", "mxReroute"] {
        for mode in [0, 2, 4] {
            let nodes = json!([loader(1), passing(2, ty, mode, 1, ""), decoder(9, 2)]);
            let prompt = lowered(nodes, json!([[1, 1, 2, 2, 0, "VAE"], [2, 2, 0, 9, 1, "VAE"]]));
            assert_eq!(prompt["9"]["inputs"]["vae"], json!(["1", 2]), "{ty} {mode}");
        }
    }
}

#[test]
fn a_workflow_with_all_of_them_lowers() {
    let workflow: Value = serde_json::from_str(include_str!("data/workflow_virtual.json")).unwrap();
    let prompt = lower(&workflow).unwrap();
    let inputs = |id: &str| prompt[id]["inputs"].clone();
    let sent: Vec<&String> = prompt.as_object().unwrap().keys().collect();
    assert_eq!(sent, ["1", "7", "8", "9", "13", "10", "11:12", "11:10", "12"]);
    let expected = json!({"seed": ["7", 0], "steps": 20, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
        "positive": ["8", 0], "negative": ["9", 0], "model": ["1", 0], "latent_image": ["13", 0]});
    assert_eq!(inputs("10"), expected);
    assert_eq!(inputs("11:10"), json!({"samples": ["10", 0], "vae": ["1", 2]}));
    assert_eq!(inputs("11:12"), json!({"text": "shown"}));
}
