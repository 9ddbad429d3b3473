//! Use Everywhere: what comes into such a node goes to every free input that it fits, in the form of every version.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::page::{loader, with_integer as defs};
use kiln_graph::{LowerOptions, Workflow, WorkflowError};
use serde_json::{Value, json};

fn try_lower(nodes: Value, links: Value, more: &Value) -> Result<Value, WorkflowError> {
    let mut workflow = json!({"nodes": nodes, "links": links});
    workflow.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let workflow = Workflow::from_value(&workflow).unwrap();
    workflow.lower(&defs(), &LowerOptions::default()).map(|prompt| prompt.to_value())
}

fn lowered(nodes: Value, links: Value) -> Value {
    try_lower(nodes, links, &json!({})).unwrap()
}

fn node(id: u32, ty: &str, inputs: Value, outputs: Value) -> Value {
    json!({"id": id, "type": ty, "inputs": inputs, "outputs": outputs, "properties": {}})
}

fn input(name: &str, ty: &str, link: Value) -> Value {
    json!({"name": name, "type": ty, "link": link})
}

fn decoder(id: u32) -> Value {
    node(
        id,
        "VAEDecode",
        json!([input("samples", "LATENT", Value::Null), input("vae", "VAE", Value::Null)]),
        json!([{"type": "IMAGE"}]),
    )
}

fn encoder(id: u32, title: &str) -> Value {
    let mut node =
        node(id, "CLIPTextEncode", json!([input("clip", "CLIP", Value::Null)]), json!([{"type": "CONDITIONING"}]));
    node["title"] = json!(title);
    node
}

/// A sampler with free inputs.
fn sampler(id: u32) -> Value {
    let inputs = json!([
        input("model", "MODEL", Value::Null),
        input("positive", "CONDITIONING", Value::Null),
        input("negative", "CONDITIONING", Value::Null),
        input("latent_image", "LATENT", Value::Null)
    ]);
    let mut node = node(id, "KSampler", inputs, json!([{"type": "LATENT"}]));
    node["widgets_values"] = json!([1, "fixed", 20, 8, "euler", "normal", 1]);
    node
}

/// A node of the pack with this type, these links coming in, and its settings.
fn everywhere(id: u32, ty: &str, links: &[(u32, &str)], properties: Value, values: Value) -> Value {
    let inputs: Vec<Value> = links.iter().map(|(link, ty)| input(ty, ty, json!(link))).collect();
    json!({"id": id, "type": ty, "inputs": inputs, "outputs": [], "properties": properties, "widgets_values": values})
}

fn today(settings: Value) -> Value {
    let mut all = json!({"version": "7.1", "widget_ue_connectable": {}});
    all.as_object_mut().unwrap().extend(settings.as_object().cloned().unwrap());
    json!({"ue_properties": all})
}

#[test]
fn anything_everywhere_goes_to_every_free_input_of_its_type() {
    for ty in ["Anything Everywhere", "Anything Everywhere?", "Anything Everywhere3"] {
        let values = if ty.ends_with('?') { json!([".*", ".*", ".*"]) } else { json!([]) };
        let nodes = json!([
            decoder(9),
            decoder(10),
            sampler(3),
            encoder(6, "a"),
            everywhere(50, ty, &[(1, "VAE")], json!({}), values),
            loader(1)
        ]);
        let prompt = lowered(nodes, json!([[1, 1, 2, 50, 0, "VAE"]]));
        assert_eq!(
            (&prompt["9"]["inputs"]["vae"], &prompt["10"]["inputs"]["vae"]),
            (&json!(["1", 2]), &json!(["1", 2])),
            "{ty}"
        );
        assert_eq!((&prompt["6"]["inputs"]["clip"], &prompt["3"]["inputs"]["model"]), (&Value::Null, &Value::Null));
    }
}

#[test]
fn three_at_once_go_each_to_its_own_type_and_a_link_of_ones_own_stays() {
    let three = everywhere(
        50,
        "Anything Everywhere3",
        &[(1, "MODEL"), (2, "CLIP"), (3, "VAE")],
        json!({"group_restricted": 0}),
        json!([]),
    );
    let mut own = decoder(10);
    own["inputs"][1]["link"] = json!(4);
    let nodes = json!([loader(1), loader(2), three, decoder(9), own, sampler(3), encoder(6, "a")]);
    let links =
        json!([[1, 1, 0, 50, 0, "MODEL"], [2, 1, 1, 50, 1, "CLIP"], [3, 1, 2, 50, 2, "VAE"], [4, 2, 2, 10, 1, "VAE"]]);
    let prompt = lowered(nodes, links);
    assert_eq!(prompt["3"]["inputs"]["model"], json!(["1", 0]));
    assert_eq!(prompt["6"]["inputs"]["clip"], json!(["1", 1]));
    assert_eq!(prompt["9"]["inputs"]["vae"], json!(["1", 2]));
    assert_eq!(prompt["10"]["inputs"]["vae"], json!(["2", 2]));
    assert!(prompt.get("50").is_none());
}

#[test]
fn prompts_everywhere_go_to_positive_and_negative_inputs() {
    let nodes = json!([
        encoder(6, "good"),
        encoder(7, "bad"),
        sampler(3),
        everywhere(50, "Prompts Everywhere", &[(1, "CONDITIONING"), (2, "CONDITIONING")], json!({}), json!([])),
    ]);
    let links = json!([[1, 6, 0, 50, 0, "CONDITIONING"], [2, 7, 0, 50, 1, "CONDITIONING"]]);
    let inputs = lowered(nodes, links)["3"]["inputs"].clone();
    assert_eq!((&inputs["positive"], &inputs["negative"]), (&json!(["6", 0]), &json!(["7", 0])));
}

#[test]
fn a_seed_everywhere_is_a_plain_integer_that_goes_to_every_seed() {
    let mut target = sampler(3);
    // Of before 1.16: a widget is listed among the inputs if it was made one.
    target["inputs"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "seed", "type": "INT", "link": null, "widget": {"name": "seed"}}));
    let plain = sampler(4);
    let mut chosen = sampler(5);
    chosen["properties"] = json!({"ue_properties": {"version": "7.0", "widget_ue_connectable": {"seed": true}}});
    for ue in [
        json!({"id": 50, "type": "Seed Everywhere", "widgets_values": [99, "randomize"], "outputs": [{"name": "INT", "type": "INT"}]}),
        json!({"id": 50, "type": "PrimitiveInt", "widgets_values": [99, "randomize"], "outputs": [{"name": "INT", "type": "INT"}],
            "properties": {"ue_convert": true, "ue_properties": {"version": "7.4", "seed_inputs": true, "input_regex": "seed|随机种"}}}),
    ] {
        let prompt = lowered(json!([ue, target, plain, chosen]), json!([]));
        assert_eq!(prompt["50"]["class_type"], "PrimitiveInt");
        assert_eq!(prompt["50"]["inputs"], json!({"value": 99}));
        let seed = |id: &str| prompt[id]["inputs"]["seed"].clone();
        assert_eq!((seed("3"), seed("4"), seed("5")), (json!(["50", 0]), json!(1), json!(["50", 0])));
        assert_eq!(prompt["3"]["inputs"]["steps"], 20, "no other integer");
    }
}

#[test]
fn expressions_choose_nodes_by_title_and_inputs_by_name_in_both_forms() {
    let clips = |ty: &str, properties: Value, values: Value| {
        let nodes = json!([
            loader(1),
            everywhere(50, ty, &[(1, "CLIP")], properties, values),
            encoder(6, "Positive prompt"),
            encoder(7, "Negative")
        ]);
        let prompt = lowered(nodes, json!([[1, 1, 1, 50, 0, "CLIP"]]));
        (!prompt["6"]["inputs"]["clip"].is_null(), !prompt["7"]["inputs"]["clip"].is_null())
    };
    let old = |values: Value| clips("Anything Everywhere?", json!({}), values);
    assert_eq!(old(json!(["^Pos", ".*", ".*"])), (true, false));
    assert_eq!(old(json!(["tive", "cl.p", null])), (true, true));
    assert_eq!(old(json!([".*", "vae", ".*"])), (false, false));
    assert_eq!(old(json!(["(?!Pos)^.", ".*"])), (false, true), "with a look ahead");
    assert_eq!(old(json!(["(", ".*", ".*"])), (true, true), "no expression restricts nothing");
    let new = |settings: Value| clips("Anything Everywhere", today(settings), json!([]));
    assert_eq!(new(json!({"title_regex": "Neg"})), (false, true));
    assert_eq!(new(json!({"title_regex": "Neg", "title_regex_invert": true})), (true, false));
    assert_eq!(new(json!({"input_regex": "^clip$"})), (true, true));
    assert_eq!(new(json!({"input_regex": ".*"})), (true, true));
}

#[test]
fn the_narrower_source_wins_and_of_two_equal_ones_none() {
    let chosen = |first: Value, second: Value| {
        let nodes = json!([
            loader(1),
            loader(2),
            decoder(9),
            everywhere(50, "Anything Everywhere", &[(1, "VAE")], today(first), json!([])),
            everywhere(51, "Anything Everywhere", &[(2, "VAE")], today(second), json!([])),
        ]);
        lowered(nodes, json!([[1, 1, 2, 50, 0, "VAE"], [2, 2, 2, 51, 0, "VAE"]]))["9"]["inputs"]["vae"].clone()
    };
    assert_eq!(chosen(json!({}), json!({})), Value::Null);
    assert_eq!(chosen(json!({}), json!({"input_regex": "vae"})), json!(["2", 2]));
    assert_eq!(chosen(json!({"color_restricted": 1}), json!({"group_restricted": 2})), json!(["1", 2]));
    assert_eq!(chosen(json!({"priority": 50}), json!({"input_regex": "vae"})), json!(["1", 2]));
}

#[test]
fn groups_and_colours_restrict_where_it_goes() {
    let mut nodes = json!([
        loader(1),
        decoder(9),
        decoder(10),
        decoder(11),
        everywhere(50, "Anything Everywhere", &[(1, "VAE")], json!({}), json!([])),
    ]);
    // The source and node 9 stand in frame A, node 10 in frame B; 9 and 11 are red, as the source is.
    for (at, x, color) in [(1, 20.0, "#f00"), (2, 520.0, "#00f"), (3, 900.0, "#f00"), (4, 100.0, "#f00")] {
        let node = nodes[at].as_object_mut().unwrap();
        node.extend([
            ("pos".into(), json!([x, 50.0])),
            ("size".into(), json!({"0": 40.0, "1": 30.0})),
            ("color".into(), json!(color)),
        ]);
    }
    let groups = json!({"groups": [
        {"title": "A", "bounding": [0, 0, 400, 300]}, {"title": "Group B", "bounding": [500, 0, 200, 300]}
    ]});
    let reached = |properties: Value| {
        let mut nodes = nodes.clone();
        nodes[4]["properties"] = properties;
        let prompt = try_lower(nodes, json!([[1, 1, 2, 50, 0, "VAE"]]), &groups).unwrap();
        ["9", "10", "11"].map(|id| !prompt[id]["inputs"]["vae"].is_null())
    };
    assert_eq!(reached(today(json!({}))), [true, true, true]);
    assert_eq!(reached(today(json!({"group_restricted": 1}))), [true, false, false]);
    assert_eq!(reached(today(json!({"group_restricted": 2}))), [false, true, true]);
    assert_eq!(reached(today(json!({"color_restricted": 1}))), [true, false, true]);
    assert_eq!(reached(today(json!({"color_restricted": 2}))), [false, true, false]);
    assert_eq!(reached(today(json!({"color_restricted": 1, "group_restricted": 1}))), [true, false, false]);
    assert_eq!(reached(today(json!({"group_regex": "B$"}))), [false, true, false]);
    assert_eq!(reached(json!({"group_restricted": true})), [true, false, false], "as older versions stored it");
}

#[test]
fn several_things_of_one_type_go_by_the_name_of_their_input() {
    let named = |rule: u32, first: &str, second: &str| {
        let mut ue = everywhere(
            50,
            "Anything Everywhere",
            &[(1, "CONDITIONING"), (2, "CONDITIONING")],
            today(json!({"repeated_type_rule": rule})),
            json!([]),
        );
        ue["inputs"][0]["label"] = json!(first);
        ue["inputs"][1]["label"] = json!(second);
        let mut target = sampler(3);
        target["title"] = json!("main");
        let nodes = json!([encoder(6, "a"), encoder(7, "b"), target, ue]);
        let links = json!([[1, 6, 0, 50, 0, "CONDITIONING"], [2, 7, 0, 50, 1, "CONDITIONING"]]);
        let inputs = lowered(nodes, links)["3"]["inputs"].clone();
        (inputs["positive"][0].clone(), inputs["negative"][0].clone())
    };
    assert_eq!(named(0, "positive", "negative"), (json!("6"), json!("7")));
    assert_eq!(named(0, "pos", "neg"), (Value::Null, Value::Null));
    assert_eq!(named(1, "pos", "neg"), (json!("6"), json!("7")));
    assert_eq!(named(2, "tive", "gative"), (json!("6"), Value::Null), "two that fit: neither");
    assert_eq!(named(3, "main", "other"), (json!("6"), json!("6")));
}

#[test]
fn muted_and_bypassed_nodes_neither_send_nor_take_and_a_bypassed_source_is_passed() {
    let vae = |ue_mode: u32, source_mode: u32, target_mode: u32| {
        let mut ue = everywhere(50, "Anything Everywhere", &[(2, "VAE")], json!({}), json!([]));
        ue["mode"] = json!(ue_mode);
        let mut between = node(20, "Pass", json!([input("vae", "VAE", json!(1))]), json!([{"type": "VAE"}]));
        between["type"] = json!("LoadImage");
        between["mode"] = json!(source_mode);
        let mut target = decoder(9);
        target["mode"] = json!(target_mode);
        let prompt = lowered(
            json!([loader(1), between, ue, target]),
            json!([[1, 1, 2, 20, 0, "VAE"], [2, 20, 0, 50, 0, "VAE"]]),
        );
        prompt["9"]["inputs"]["vae"][0].clone()
    };
    assert_eq!(vae(0, 0, 0), json!("20"));
    assert_eq!(vae(0, 4, 0), json!("1"));
    assert_eq!((vae(0, 2, 0), vae(2, 0, 0), vae(4, 0, 0)), (Value::Null, Value::Null, Value::Null));
    assert_eq!((vae(0, 0, 2), vae(0, 0, 4)), (Value::Null, Value::Null));
}

#[test]
fn an_input_that_is_linked_to_a_loose_end_is_free() {
    let mut target = decoder(9);
    target["inputs"][1]["link"] = json!(5);
    let bypassed = json!({"id": 20, "type": "LoadImage", "mode": 4, "outputs": [{"type": "VAE"}]});
    let ue = everywhere(50, "Anything Everywhere", &[(1, "VAE")], json!({}), json!([]));
    let prompt =
        lowered(json!([loader(1), bypassed, ue, target]), json!([[1, 1, 2, 50, 0, "VAE"], [5, 20, 0, 9, 1, "VAE"]]));
    assert_eq!(prompt["9"]["inputs"]["vae"], json!(["1", 2]));
}

#[test]
fn inputs_that_refuse_are_left_alone_and_widgets_take_only_if_they_are_told_to() {
    let ue = |ty: &str| everywhere(50, "Anything Everywhere", &[(1, ty)], json!({}), json!([]));
    let mut refusing = decoder(9);
    refusing["properties"] = json!({"ue_properties": {"version": "7.0", "input_ue_unconnectable": {"vae": true}}});
    let mut refusing_all = decoder(10);
    refusing_all["properties"] = json!({"rejects_ue_links": true});
    let prompt = lowered(json!([loader(1), ue("VAE"), refusing, refusing_all]), json!([[1, 1, 2, 50, 0, "VAE"]]));
    assert_eq!((&prompt["9"]["inputs"]["vae"], &prompt["10"]["inputs"]["vae"]), (&Value::Null, &Value::Null));

    // Today's files leave free widgets out of a node's inputs.
    let steps = |properties: Value| {
        let source =
            json!({"id": 1, "type": "PrimitiveInt", "widgets_values": [5, "fixed"], "outputs": [{"type": "INT"}]});
        let mut target = sampler(3);
        target["properties"] = properties;
        let prompt = lowered(json!([source, ue("INT"), target]), json!([[1, 1, 0, 50, 0, "INT"]]));
        (prompt["3"]["inputs"]["seed"].clone(), prompt["3"]["inputs"]["steps"].clone())
    };
    let told = |version: &str| json!({"ue_properties": {"version": version, "widget_ue_connectable": {"steps": true}}});
    assert_eq!(steps(json!({})), (json!(1), json!(20)));
    assert_eq!(steps(told("7.0")), (json!(1), json!(["1", 0])));
    assert_eq!(
        steps(json!({"widget_ue_connectable": {"steps": true}})),
        (json!(1), json!(["1", 0])),
        "as version 6 stored it"
    );
}

#[test]
fn what_is_sent_stays_in_its_graph_and_goes_into_free_inputs_of_instances() {
    let link = |id: u32, from: Value, slot: u32, to: Value, at: u32| json!({"id": id, "origin_id": from, "origin_slot": slot, "target_id": to, "target_slot": at, "type": "VAE"});
    let ue = |id: u32, link: u32| everywhere(id, "Anything Everywhere", &[(link, "VAE")], json!({}), json!([]));
    let mut fed = decoder(9);
    fed["inputs"][1]["link"] = json!(1);
    // Node 9 hangs on the definition's input, node 10 is free; what comes in is sent everywhere inside of "sending".
    let plain = json!({"id": "plain", "name": "plain", "inputs": [{"name": "vae", "type": "VAE"}], "nodes": [fed, decoder(10)],
        "links": [link(1, json!(-10), 0, json!(9), 1)]});
    let sending = json!({"id": "sending", "name": "sending", "inputs": [{"name": "vae", "type": "VAE"}], "nodes": [decoder(10), ue(50, 1)],
        "links": [link(1, json!(-10), 0, json!(50), 0)]});
    let instance = |id: u32, of: &str| json!({"id": id, "type": of, "inputs": [input("vae", "VAE", Value::Null)], "properties": {}});
    let nodes = json!([loader(1), ue(50, 1), instance(7, "plain"), instance(8, "sending")]);
    let more = json!({"definitions": {"subgraphs": [plain, sending]}});
    let prompt = try_lower(nodes, json!([[1, 1, 2, 50, 0, "VAE"]]), &more).unwrap();
    let vae = |id: &str| prompt[id]["inputs"]["vae"].clone();
    assert_eq!((vae("7:9"), vae("7:10"), vae("8:10")), (json!(["1", 2]), Value::Null, json!(["1", 2])));
}

#[test]
fn what_comes_from_a_get_node_or_a_reroute_is_sent_as_well() {
    let get = json!({"id": 5, "type": "GetNode", "widgets_values": ["vae"], "outputs": [{"type": "VAE"}]});
    let set = json!({"id": 2, "type": "SetNode", "widgets_values": ["vae"], "inputs": [input("VAE", "VAE", json!(1))], "outputs": [{"type": "*"}]});
    let reroute = json!({"id": 3, "type": "Reroute", "mode": 0, "inputs": [input("", "*", json!(2))], "outputs": [{"type": "VAE"}]});
    let ue = everywhere(50, "Anything Everywhere", &[(3, "*")], json!({}), json!([]));
    let links = json!([[1, 1, 2, 2, 0, "VAE"], [2, 5, 0, 3, 0, "*"], [3, 3, 0, 50, 0, "*"]]);
    let prompt = lowered(json!([loader(1), set, get, reroute, ue, decoder(9)]), links);
    assert_eq!(prompt["9"]["inputs"]["vae"], json!(["1", 2]), "the type is that of the output where the link has none");
}

#[test]
fn a_flood_of_sources_and_inputs_is_refused() {
    let ue = |id: u32| everywhere(id, "Anything Everywhere", &[(1, "VAE")], json!({}), json!([]));
    let with = |sources: u32, targets: u32| {
        let nodes: Vec<Value> = (0..sources)
            .map(|i| ue(1000 + i))
            .chain((0..targets).map(|i| decoder(100_000 + i)))
            .chain([loader(1)])
            .collect();
        try_lower(json!(nodes), json!([[1, 1, 2, 1000, 0, "VAE"]]), &json!({}))
    };
    assert!(matches!(with(3000, 1), Err(WorkflowError::TooLarge { .. })));
    assert!(matches!(with(1000, 2000), Err(WorkflowError::TooLarge { .. })));
    assert!(with(100, 100).is_ok());
}
