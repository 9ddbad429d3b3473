//! Saved workflows of every schema version, lowered to the prompt that the page would send.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::page::object_info as defs;
use kiln_graph::{Document, LocalTime, LowerOptions, NoValidators, Prompt, Workflow, WorkflowError, validate};
use serde_json::{Value, json};

fn lower(text: &str) -> Result<Prompt, WorkflowError> {
    Workflow::from_json(text)?.lower(&defs(), &LowerOptions::default())
}

fn lowered(text: &str) -> Value {
    lower(text).unwrap().to_value()
}

/// Lowers what a page would have saved with these nodes and list links.
fn small(nodes: Value, links: Value) -> Result<Value, WorkflowError> {
    lower(&json!({"version": 0.4, "nodes": nodes, "links": links}).to_string()).map(|prompt| prompt.to_value())
}

fn snapshot(prompt: &Value) -> String {
    // One line per node is easier to read than one per value.
    let nodes = prompt.as_object().unwrap().iter();
    let lines = nodes.map(|(id, node)| format!("{id}: {} {}", node["class_type"], node["inputs"]));
    lines.collect::<Vec<_>>().join("\n")
}

const V0_4: &str = include_str!("data/workflow_0.4.json");
const V1: &str = include_str!("data/workflow_1.json");
const PROXY: &str = include_str!("data/workflow_proxy_widgets.json");
const GROUPS: &str = include_str!("data/workflow_group_nodes.json");
const OLDER: &str = include_str!("data/workflow_older.json");

#[test]
fn a_workflow_with_list_links_lowers() {
    let prompt = lowered(V0_4);
    insta::assert_snapshot!(snapshot(&prompt));
    assert_eq!(prompt["7"]["_meta"], json!({"title": "Negative"}));
    assert_eq!(prompt["8"]["_meta"], json!({"title": "VAE Decode"}));
}

#[test]
fn notes_reroutes_primitives_muted_and_bypassed_nodes_are_not_sent() {
    let prompt = lowered(V0_4);
    for id in ["10", "11", "12", "13", "14", "15", "16"] {
        assert!(prompt.get(id).is_none(), "{id}");
    }
    assert_eq!(prompt["3"]["inputs"]["model"], json!(["4", 0]), "past the bypassed LoRA");
    assert_eq!(prompt["8"]["inputs"]["vae"], json!(["4", 2]), "through the reroute");
}

#[test]
fn a_primitive_sets_the_widget_that_it_is_linked_to() {
    let prompt = lowered(V0_4);
    assert_eq!(prompt["3"]["inputs"]["seed"], json!(42));
    assert_eq!(prompt["6"]["inputs"]["text"], json!("a red apple"));
}

#[test]
fn the_value_that_controls_a_seed_is_dropped_and_the_rest_keeps_its_place() {
    let inputs = &lowered(V0_4)["3"]["inputs"];
    assert_eq!(inputs["steps"], json!(20));
    assert_eq!(inputs["cfg"], json!(8));
    assert_eq!(inputs["scheduler"], json!("normal"));
    assert_eq!(inputs["denoise"], json!(1));
}

#[test]
fn a_workflow_with_object_links_and_nested_subgraphs_lowers() {
    insta::assert_snapshot!(snapshot(&lowered(V1)));
}

#[test]
fn ids_inside_subgraphs_carry_the_ids_around_them() {
    let prompt = lowered(V1);
    assert_eq!(prompt["12:7:1"]["inputs"]["clip"], json!(["loader", 1]));
    assert_eq!(prompt["12:8"]["inputs"]["positive"], json!(["12:7:1", 0]));
    assert_eq!(prompt["15"]["inputs"]["samples"], json!(["12:8", 0]));
    assert!(prompt.as_object().unwrap().keys().all(|id| !id.starts_with("14")), "muted with all that is inside");
}

#[test]
fn an_instance_hands_its_own_values_inside_and_leaves_the_rest_alone() {
    let prompt = lowered(V1);
    assert_eq!(prompt["12:7:1"]["inputs"]["text"], json!("a blue house"));
    assert_eq!(prompt["12:8"]["inputs"]["steps"], json!(4));
    assert_eq!(prompt["13:7:1"]["inputs"]["text"], json!("inner default"));
    assert_eq!(prompt["13:8"]["inputs"]["steps"], json!(9), "from the primitive outside");
}

#[test]
fn proxy_widgets_set_inner_widgets_of_that_instance() {
    let prompt = lowered(PROXY);
    insta::assert_snapshot!(snapshot(&prompt));
    assert_eq!(prompt["5:3"]["inputs"]["seed"], json!(77));
    assert_eq!(prompt["5:3"]["inputs"]["sampler_name"], json!("heun"));
    assert_eq!(prompt["5:3"]["inputs"]["steps"], json!(11));
    assert_eq!(prompt["5:4"]["inputs"]["width"], json!(32));
}

#[test]
fn group_nodes_unfold_like_subgraphs() {
    let prompt = lowered(GROUPS);
    insta::assert_snapshot!(snapshot(&prompt));
    assert_eq!(prompt["5:1"]["inputs"], json!({"text": "second text", "clip": ["1", 1]}));
    assert_eq!(prompt["6:1"]["inputs"]["seed"], json!(99));
    assert_eq!(prompt["6:1"]["inputs"]["negative"], json!(["5:1", 0]));
    assert_eq!(prompt["7"]["inputs"]["images"], json!(["6:2", 0]));
}

#[test]
fn odd_ends_of_older_files_are_read_as_the_page_reads_them() {
    let prompt = lowered(OLDER);
    insta::assert_snapshot!(snapshot(&prompt));
    assert_eq!(prompt["9"]["inputs"]["width"], json!(3), "by name where places do not fit");
}

#[test]
fn every_lowered_workflow_validates() {
    for text in [V0_4, V1, PROXY, GROUPS] {
        let mut prompt = lower(text).unwrap();
        let validated = validate(&mut prompt, &defs(), &NoValidators, None).unwrap();
        assert!(validated.node_errors.is_empty(), "{validated}");
    }
}

#[test]
fn lowering_twice_gives_the_same_prompt_and_another_seed_another_choice() {
    let workflow = Workflow::from_json(V0_4).unwrap();
    let with = |seed| workflow.lower(&defs(), &LowerOptions { seed, now: None }).unwrap();
    assert_eq!(with(1), with(1));
    let text = |seed| with(seed).to_value()["7"]["inputs"]["text"].as_str().unwrap().to_owned();
    let texts: std::collections::BTreeSet<String> = (0..20).map(text).collect();
    assert_eq!(texts.into_iter().collect::<Vec<_>>(), ["blurry, bad \nquality", "blurry, low \nquality"]);
}

#[test]
fn values_with_a_control_move_on_after_a_run() {
    let node = |id: u32, ty: &str, values: Value| json!({"id": id, "type": ty, "widgets_values": values});
    let nodes = json!([
        node(1, "RandomNoise", json!([7, "increment"])),
        node(2, "RandomNoise", json!([7, "decrement"])),
        node(3, "RandomNoise", json!([7, "fixed"])),
        node(4, "RandomNoise", json!([7, "randomize"])),
        node(5, "RandomNoise", json!([0, "decrement"])),
        node(6, "RandomNoise", json!([u64::MAX, "increment"])),
        node(7, "Pick", json!(["a", "increment", "", "", [], ""])),
        node(8, "Pick", json!(["b", "increment-wrap", "", "", [], ""])),
        node(9, "Pick", json!(["b", "increment", "A", "", [], ""])),
    ]);
    let mut workflow = Workflow::from_value(&json!({"nodes": nodes, "links": []})).unwrap();
    let values = |workflow: &Workflow| -> Vec<Value> {
        let prompt = workflow.lower(&defs(), &LowerOptions::default()).unwrap().to_value();
        let of = |node: &Value| node["inputs"].get("noise_seed").or(node["inputs"].get("choice")).cloned();
        prompt.as_object().unwrap().values().filter_map(of).collect()
    };
    workflow.advance(&defs(), 3);
    let after = values(&workflow);
    let random = after[3].as_u64().unwrap();
    assert!(random != 7 && random <= 1 << 50);
    let expected = json!([8, 6, 7, random, 0, u64::MAX, "b", "a", "a"]);
    assert_eq!(json!(after), expected);
    workflow.advance(&defs(), 4);
    assert_ne!(values(&workflow)[3], json!(random));
}

#[test]
fn a_primitives_value_moves_on_by_its_own_control() {
    let mut workflow = Workflow::from_json(V0_4.replace("\"fixed\"", "\"increment\"")).unwrap();
    workflow.advance(&defs(), 0);
    let prompt = workflow.lower(&defs(), &LowerOptions::default()).unwrap().to_value();
    assert_eq!(prompt["3"]["inputs"]["seed"], json!(43));
}

#[test]
fn file_names_take_dates_and_widget_values_and_leave_the_servers_placeholders() {
    let now = LocalTime { year: 2026, month: 3, day: 9, hour: 14, minute: 5, second: 7 };
    let options = LowerOptions { seed: 0, now: Some(now) };
    let prompt = Workflow::from_json(V0_4).unwrap().lower(&defs(), &options).unwrap().to_value();
    assert_eq!(prompt["9"]["inputs"]["filename_prefix"], json!("2026-03-09/156680208700286_64x%width%"));
    let prefix = |text: &str| {
        let node = json!([{"id": 1, "type": "SaveImage", "widgets_values": [text]}]);
        let workflow = json!({"nodes": node, "links": []}).to_string();
        let prompt = Workflow::from_json(workflow).unwrap().lower(&defs(), &options).unwrap().to_value();
        prompt["1"]["inputs"]["filename_prefix"].as_str().unwrap().to_owned()
    };
    assert_eq!(prefix("100% of %date:d.M.yy h:mm:ss% %nobody.seed% %"), "100% of 9.3.26 14:05:07 %nobody.seed% %");
    assert_eq!(prefix("%%date:yyyy%%"), "%2026%");
}

#[test]
fn a_bypassed_node_hands_on_the_input_that_fits_best() {
    let node = |id: u32, ty: &str, mode: u32, inputs: Value, outputs: Value| json!({"id": id, "type": ty, "mode": mode, "inputs": inputs, "outputs": outputs});
    let nodes = |wanted: &str| {
        json!([
            node(
                1,
                "CheckpointLoaderSimple",
                0,
                json!([]),
                json!([{"type": "MODEL"}, {"type": "CLIP"}, {"type": "VAE"}])
            ),
            node(
                2,
                "Mixer",
                4,
                json!([
                    {"name": "vae", "type": "VAE", "link": 1}, {"name": "any", "type": "*", "link": 2}, {"name": "clip", "type": "CLIP", "link": 3}
                ]),
                json!([{"type": "*"}, {"type": "*"}])
            ),
            node(3, "CLIPTextEncode", 0, json!([{"name": "clip", "type": wanted, "link": 4}]), json!([])),
        ])
    };
    let links =
        json!([[1, 1, 2, 2, 0, "VAE"], [2, 1, 0, 2, 1, "MODEL"], [3, 1, 1, 2, 2, "CLIP"], [4, 2, 1, 3, 0, "*"]]);
    let source = |wanted: &str| small(nodes(wanted), links.clone()).unwrap()["3"]["inputs"]["clip"].clone();
    assert_eq!(source("CLIP"), json!(["1", 0]), "same place, compatible with everything");
    assert_eq!(source("*"), json!(["1", 0]), "same place");
    let mut exact = nodes("CLIP");
    exact[1]["inputs"][1]["type"] = json!("IMAGE");
    assert_eq!(small(exact, links).unwrap()["3"]["inputs"]["clip"], json!(["1", 1]), "the first of that type");
}

#[test]
fn a_link_from_a_muted_node_is_absent_and_a_widget_keeps_its_value() {
    let nodes = json!([
        {"id": 1, "type": "Pick", "mode": 2, "outputs": [{"type": "STRING"}]},
        {"id": 2, "type": "CLIPTextEncode", "widgets_values": ["kept"], "inputs": [
            {"name": "text", "type": "STRING", "link": 1, "widget": {"name": "text"}},
            {"name": "clip", "type": "CLIP", "link": 2}
        ]},
    ]);
    let prompt = small(nodes, json!([[1, 1, 0, 2, 0, "STRING"], [2, 77, 0, 2, 1, "CLIP"]])).unwrap();
    assert_eq!(prompt["2"]["inputs"], json!({"text": "kept"}));
}

#[test]
fn an_unknown_class_is_named_unless_it_is_muted() {
    let error = small(json!([{"id": 5, "type": "KSamplr"}]), json!([])).unwrap_err();
    assert_eq!(error.to_string(), "node 5: there is no node class `KSamplr`; did you mean `KSampler`?");
    assert_eq!(small(json!([{"id": 5, "type": "KSamplr", "mode": 2}]), json!([])).unwrap(), json!({}));
}

#[test]
fn reroutes_in_a_circle_are_an_error_that_names_them() {
    let reroute = |id: u32, link: u32| json!({"id": id, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": link}], "outputs": [{"type": "*"}]});
    let nodes = json!([
        reroute(1, 2),
        reroute(2, 1),
        {"id": 3, "type": "PreviewImage", "inputs": [{"name": "images", "type": "IMAGE", "link": 3}]},
    ]);
    let error = small(nodes, json!([[1, 1, 0, 2, 0, "*"], [2, 2, 0, 1, 0, "*"], [3, 1, 0, 3, 0, "*"]])).unwrap_err();
    assert_eq!(error.to_string(), "the links of these nodes run in a circle: 1 -> 2 -> 1");
}

#[test]
fn a_long_chain_of_reroutes_read_by_many_is_walked_once() {
    let n = 20_000;
    let mut nodes = vec![json!({"id": 0, "type": "LoadImage", "outputs": [{"type": "IMAGE"}]})];
    let mut links = Vec::new();
    for i in 1..=n {
        nodes.push(json!({"id": i, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": i}], "outputs": [{"type": "IMAGE"}]}));
        links.push(json!([i, i - 1, 0, i, 0, "IMAGE"]));
        let sink = n + i;
        nodes.push(
            json!({"id": sink, "type": "PreviewImage", "inputs": [{"name": "images", "type": "IMAGE", "link": sink}]}),
        );
        links.push(json!([sink, i, 0, sink, 0, "IMAGE"]));
    }
    let prompt = small(json!(nodes), json!(links)).unwrap();
    assert_eq!(prompt[(2 * n).to_string()]["inputs"]["images"], json!(["0", 0]));
}

fn definition(id: &str, nodes: Value) -> Value {
    json!({"id": id, "name": id, "inputs": [], "outputs": [], "nodes": nodes, "links": []})
}

#[test]
fn a_subgraph_that_contains_itself_is_an_error() {
    let a = definition("A", json!([{"id": 1, "type": "B"}]));
    let b = definition("B", json!([{"id": 1, "type": "A"}]));
    let workflow = json!({"nodes": [{"id": 9, "type": "A"}], "links": [], "definitions": {"subgraphs": [a, b]}});
    assert_eq!(lower(&workflow.to_string()).unwrap_err().to_string(), "node 9:1:1: the subgraph \"A\" contains itself");
}

#[test]
fn subgraphs_that_multiply_are_stopped() {
    let level = |i: usize| {
        definition(
            &format!("L{i}"),
            json!([{"id": 1, "type": format!("L{}", i + 1)}, {"id": 2, "type": format!("L{}", i + 1)}]),
        )
    };
    let subgraphs: Vec<Value> = (0..40).map(level).chain([definition("L40", json!([]))]).collect();
    let workflow = json!({"nodes": [{"id": 9, "type": "L0"}], "links": [], "definitions": {"subgraphs": subgraphs}});
    assert!(matches!(lower(&workflow.to_string()), Err(WorkflowError::TooLarge { .. })));
}

#[test]
fn what_is_no_workflow_is_refused_with_its_place() {
    for (text, message) in [
        ("{", "not JSON, line 1, column 1: EOF while parsing an object"),
        ("[]", "no workflow: the whole must be an object with `nodes` and `links`, found a list"),
        ("{}", "no workflow: `nodes` must be a list, found null"),
        (r#"{"nodes": 5}"#, "no workflow: nodes must be a list, found a number"),
        (r#"{"nodes": [5]}"#, "no workflow: nodes[0] must be an object with an `id`, found a number"),
        (r#"{"nodes": [{"id": 1}]}"#, "no workflow: nodes[0] must be an object with `type`, found an object"),
        (
            r#"{"nodes": [{"id": 1, "type": "A", "widgets_values": 5}]}"#,
            "no workflow: nodes[0].widgets_values must be a list or an object, found a number",
        ),
        (
            r#"{"nodes": [], "links": [[1]]}"#,
            "no workflow: links[0] must be [id, from, from slot, to, to slot, type], or an object with the same, found a list",
        ),
        (r#"{"nodes": [{"id": 1, "type": "A"}, {"id": "1", "type": "B"}]}"#, "no workflow: two nodes have the id 1"),
    ] {
        assert_eq!(Workflow::from_json(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_document_is_taken_for_what_it_is() {
    let api = r#"{"1": {"class_type": "LoadImage", "inputs": {"image": "cat.png"}}}"#;
    let body = format!(r#"{{"prompt": {api}, "client_id": "x"}}"#);
    let prompt = Prompt::from_json(api).unwrap();
    for text in [api, &body] {
        let document = Document::from_json(text).unwrap();
        assert!(matches!(document, Document::Prompt(_)));
        assert_eq!(document.into_prompt(&defs(), &LowerOptions::default()).unwrap(), prompt);
    }
    assert!(matches!(Document::from_json(V1).unwrap(), Document::Workflow(_)));
    let node_called_prompt = r#"{"prompt": {"class_type": "LoadImage", "inputs": {}}}"#;
    let document = Document::from_json(node_called_prompt).unwrap();
    assert!(document.into_prompt(&defs(), &LowerOptions::default()).unwrap().get("prompt").is_some());
    assert!(Document::from_json("[1]").is_err());
}

#[test]
fn what_is_drawing_only_changes_nothing_in_either_version() {
    for text in [V0_4, V1, PROXY, GROUPS, OLDER] {
        let plain = lowered(text);
        let mut drawn: Value = serde_json::from_str(text).unwrap();
        let reroute =
            json!({"id": 1, "parentId": null, "pos": [1, 2], "linkIds": [1, 2], "floating": {"slotType": "input"}});
        let root = drawn.as_object_mut().unwrap();
        root.insert("reroutes".into(), json!([reroute]));
        let floating =
            json!([{"id": 900, "origin_id": 3, "origin_slot": 0, "target_id": -1, "target_slot": -1, "type": "MODEL"}]);
        root.insert("floatingLinks".into(), floating.clone());
        let extra = root.entry("extra").or_insert_with(|| json!({})).as_object_mut().unwrap();
        extra.insert("reroutes".into(), json!([reroute]));
        extra.insert("linkExtensions".into(), json!([{"id": 1, "parentId": 1}]));
        for node in root["nodes"].as_array_mut().unwrap() {
            // On event and on trigger run as always does.
            if node["mode"] == 0 {
                node["mode"] = json!(if node["id"].as_i64().unwrap_or(0) % 2 == 0 { 1 } else { 3 });
            }
        }
        for link in root["links"].as_array_mut().unwrap().iter_mut().filter_map(Value::as_object_mut) {
            link.insert("parentId".into(), json!(1));
        }
        assert_eq!(lowered(&drawn.to_string()), plain);
    }
}

#[test]
fn links_as_lists_and_links_as_objects_say_the_same() {
    let mut objects: Value = serde_json::from_str(V0_4).unwrap();
    let keys = ["id", "origin_id", "origin_slot", "target_id", "target_slot", "type"];
    for link in objects["links"].as_array_mut().unwrap() {
        let parts = link.as_array().unwrap().iter();
        *link = keys.iter().map(|key| (*key).to_owned()).zip(parts.cloned()).collect::<serde_json::Map<_, _>>().into();
    }
    objects["version"] = json!(1);
    assert_eq!(lowered(&objects.to_string()), lowered(V0_4));
}
