//! What the editor does with a file while it loads it: old names, values of widgets that an instance shows, groups whose
//! classes have grown, reroutes that were muted.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::page::object_info;
use kiln_graph::{InputDef, LowerOptions, NoValidators, NodeDef, NodeDefs, OutputDef, Prompt, Workflow, validate};
use serde_json::{Value, json};

fn defs() -> NodeDefs {
    object_info()
        .with(
            NodeDef::new("ConditioningAverage")
                .input(InputDef::new("conditioning_to", "CONDITIONING"))
                .input(InputDef::new("conditioning_from", "CONDITIONING"))
                .input(InputDef::new("conditioning_to_strength", "FLOAT"))
                .output(OutputDef::new("CONDITIONING")),
        )
        .with(
            NodeDef::new("ControlNetLoader")
                .input(InputDef::combo("control_net_name", ["canny.safetensors"]))
                .output(OutputDef::new("CONTROL_NET"))
                .output_node(true),
        )
        .with(
            NodeDef::new("KSamplerSelect")
                .input(InputDef::combo("sampler_name", ["euler", "heun"]))
                .output(OutputDef::new("SAMPLER")),
        )
        .with(
            NodeDef::new("BasicScheduler")
                .input(InputDef::new("model", "MODEL"))
                .input(InputDef::combo("scheduler", ["normal", "karras"]))
                .input(InputDef::new("steps", "INT"))
                .input(InputDef::new("denoise", "FLOAT"))
                .output(OutputDef::new("SIGMAS")),
        )
        .with(
            NodeDef::new("DualCFGGuider")
                .input(InputDef::new("model", "MODEL"))
                .input(InputDef::new("cfg_conds", "FLOAT"))
                .input(InputDef::new("cfg_cond2_negative", "FLOAT"))
                .input(InputDef::combo("style", ["regular", "nested"]).option("default", "regular"))
                .output(OutputDef::new("GUIDER")),
        )
        .with(
            NodeDef::new("Steps")
                .input(InputDef::new("steps", "INT").option("default", 20))
                .output(OutputDef::new("INT")),
        )
}

fn lowered(workflow: &Value) -> Value {
    Workflow::from_value(workflow).unwrap().lower(&defs(), &LowerOptions::default()).unwrap().to_value()
}

fn small(nodes: Value, links: Value) -> Value {
    lowered(&json!({"version": 0.4, "nodes": nodes, "links": links}))
}

const SAMPLED: [&str; 4] = ["model", "positive", "negative", "latent_image"];

/// Loader, prompts and latent of the usual kind as nodes 4 to 7, a sampler-like node 50, decoding and saving; with the
/// links between.
fn around(sampler: &Value) -> (Value, Value) {
    let input = |name: &str, ty: &str, link: u32| json!({"name": name, "type": ty, "link": link});
    let nodes = json!([
        {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["m.safetensors"], "outputs": [{"type": "MODEL"}, {"type": "CLIP"}, {"type": "VAE"}]},
        {"id": 5, "type": "EmptyLatentImage", "widgets_values": [64, 64, 1], "outputs": [{"type": "LATENT"}]},
        {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["owl"], "inputs": [input("clip", "CLIP", 1)], "outputs": [{"type": "CONDITIONING"}]},
        {"id": 7, "type": "CLIPTextEncode", "widgets_values": ["dog"], "inputs": [input("clip", "CLIP", 2)], "outputs": [{"type": "CONDITIONING"}]},
        {"id": 8, "type": "VAEDecode", "inputs": [input("samples", "LATENT", 14), input("vae", "VAE", 8)], "outputs": [{"type": "IMAGE"}]},
        {"id": 9, "type": "SaveImage", "widgets_values": ["x"], "inputs": [input("images", "IMAGE", 9)]},
        sampler,
    ]);
    let links = json!([
        [1, 4, 1, 6, 0, "CLIP"],
        [2, 4, 1, 7, 0, "CLIP"],
        [8, 4, 2, 8, 1, "VAE"],
        [9, 8, 0, 9, 0, "IMAGE"],
        [10, 4, 0, 50, 0, "MODEL"],
        [11, 6, 0, 50, 1, "CONDITIONING"],
        [12, 7, 0, 50, 2, "CONDITIONING"],
        [13, 5, 0, 50, 3, "LATENT"],
        [14, 50, 0, 8, 0, "LATENT"]
    ]);
    (nodes, links)
}

fn sampler_inputs(first: u32) -> Vec<Value> {
    SAMPLED.iter().zip(first..).map(|(name, link)| json!({"name": name, "type": "*", "link": link})).collect()
}

#[test]
fn a_muted_reroute_passes_its_link_on() {
    for (first, second) in [(0, 0), (2, 0), (0, 2), (2, 2), (4, 2), (2, 4)] {
        let reroute = |id: u32, mode: u32, link: u32| json!({"id": id, "type": "Reroute", "mode": mode, "inputs": [{"name": "", "type": "*", "link": link}], "outputs": [{"type": "VAE"}]});
        let nodes = json!([
            {"id": 4, "type": "CheckpointLoaderSimple", "outputs": [{"type": "MODEL"}, {"type": "CLIP"}, {"type": "VAE"}]},
            reroute(20, first, 1),
            reroute(21, second, 2),
            {"id": 8, "type": "VAEDecode", "inputs": [{"name": "vae", "type": "VAE", "link": 3}]},
        ]);
        let links = json!([[1, 4, 2, 20, 0, "VAE"], [2, 20, 0, 21, 0, "*"], [3, 21, 0, 8, 1, "VAE"]]);
        assert_eq!(small(nodes, links)["8"]["inputs"]["vae"], json!(["4", 2]), "modes {first} and {second}");
    }
}

#[test]
fn a_muted_primitive_still_sets_its_widget_and_a_muted_node_still_gives_nothing() {
    let nodes = json!([
        {"id": 1, "type": "PrimitiveNode", "mode": 2, "outputs": [{"type": "INT"}], "widgets_values": [7, "fixed"]},
        {"id": 2, "type": "Steps", "widgets_values": [20], "inputs": [{"name": "steps", "type": "INT", "link": 1, "widget": {"name": "steps"}}]},
        {"id": 3, "type": "Steps", "mode": 2, "outputs": [{"type": "INT"}]},
        {"id": 5, "type": "Reroute", "mode": 2, "inputs": [{"name": "", "type": "*", "link": 2}], "outputs": [{"type": "INT"}]},
        {"id": 4, "type": "Steps", "widgets_values": [9], "inputs": [{"name": "steps", "type": "INT", "link": 3, "widget": {"name": "steps"}}]},
    ]);
    let prompt = small(nodes, json!([[1, 1, 0, 2, 0, "INT"], [2, 3, 0, 5, 0, "INT"], [3, 5, 0, 4, 0, "INT"]]));
    assert_eq!((&prompt["2"]["inputs"]["steps"], &prompt["4"]["inputs"]["steps"]), (&json!(7), &json!(9)));
}

/// A group of sampler parts as node 50, of which the instance stores these values.
fn group(values: Value) -> Value {
    let node = |index: u32, ty: &str, values: Value, inputs: Value, output: &str| json!({"index": index, "type": ty, "widgets_values": values, "inputs": inputs, "outputs": [{"name": output, "type": output, "links": []}]});
    let inner = json!([
        node(0, "KSamplerSelect", json!(["euler"]), json!([]), "SAMPLER"),
        node(1, "RandomNoise", json!([1, "fixed"]), json!([]), "NOISE"),
        node(2, "BasicScheduler", json!(["normal", 20, 1]), json!([{"name": "model", "type": "MODEL"}]), "SIGMAS"),
        node(3, "DualCFGGuider", json!([3, 1.5]), json!([{"name": "model", "type": "MODEL"}]), "GUIDER"),
    ]);
    json!({
        "nodes": [{"id": 50, "type": "workflow/DualSampler", "widgets_values": values}],
        "links": [],
        "extra": {"groupNodes": {"DualSampler": {"nodes": inner, "links": [], "external": []}}}
    })
}

#[test]
fn a_groups_values_are_dealt_out_in_order_and_a_class_that_grew_takes_its_default() {
    let prompt = lowered(&group(json!(["euler", 1165, "randomize", "normal", 3, 1, 5, 1.5])));
    let inputs = |index: u32| prompt[format!("50:{index}")]["inputs"].clone();
    assert_eq!(inputs(0), json!({"sampler_name": "euler"}));
    assert_eq!(inputs(1), json!({"noise_seed": 1165}));
    assert_eq!(inputs(2), json!({"scheduler": "normal", "steps": 3, "denoise": 1}));
    assert_eq!(inputs(3), json!({"cfg_conds": 5, "cfg_cond2_negative": 1.5, "style": "regular"}));
}

#[test]
fn a_groups_values_of_any_length_are_dealt_out_with_their_controls() {
    let seed = |values: Value| lowered(&group(values))["50:1"]["inputs"]["noise_seed"].clone();
    let guider = |values: Value| lowered(&group(values))["50:3"]["inputs"].clone();
    assert_eq!(seed(json!(["heun", 7])), 7, "the rest keeps its own values");
    assert_eq!(
        guider(json!(["heun", 7, "fixed"])),
        json!({"cfg_conds": 3, "cfg_cond2_negative": 1.5, "style": "regular"})
    );
    let whole = json!(["heun", 7, true, "karras", 4, 0.5, 2, 2.5, "nested", "too many"]);
    assert_eq!(guider(whole), json!({"cfg_conds": 2, "cfg_cond2_negative": 2.5, "style": "nested"}));
    let without_controls = json!(["heun", 7, "karras", 4, 0.5, 2, 2.5]);
    assert_eq!(guider(without_controls), json!({"cfg_conds": 2, "cfg_cond2_negative": 2.5, "style": "regular"}));
}

#[test]
fn names_of_2023_are_those_of_today() {
    let sampler = json!({"id": 50, "type": "KSampler", "inputs": sampler_inputs(10), "outputs": [{"type": "LATENT"}],
        "widgets_values": [42, true, 3, 4.0, "sample_dpmpp_2m", "normal", 1]});
    let (mut nodes, mut links) = around(&sampler);
    nodes.as_array_mut().unwrap().push(json!({"id": 20, "type": "ConditioningAverage ", "widgets_values": [0.3], "outputs": [{"type": "CONDITIONING"}],
        "inputs": [{"name": "conditioning_to", "type": "CONDITIONING", "link": 20}, {"name": "conditioning_from", "type": "CONDITIONING", "link": 21}]}));
    links[5] = json!([11, 20, 0, 50, 1, "CONDITIONING"]);
    links
        .as_array_mut()
        .unwrap()
        .extend([json!([20, 6, 0, 20, 0, "CONDITIONING"]), json!([21, 7, 0, 20, 1, "CONDITIONING"])]);
    let prompt = small(nodes.clone(), links.clone());
    let inputs = &prompt["50"]["inputs"];
    assert_eq!((&inputs["seed"], &inputs["steps"], &inputs["cfg"]), (&json!(42), &json!(3), &json!(4.0)));
    assert_eq!(inputs["sampler_name"], "dpmpp_2m");
    assert_eq!(inputs["positive"], json!(["20", 0]));
    assert_eq!(prompt["20"]["class_type"], "ConditioningAverage");
    assert_eq!(
        prompt["20"]["inputs"],
        json!({"conditioning_to_strength": 0.3, "conditioning_to": ["6", 0], "conditioning_from": ["7", 0]})
    );

    // What stands behind the seed moves it on, as `randomize` does.
    let workflow = json!({"nodes": nodes, "links": links});
    let seed_after = |control: bool| {
        let mut workflow = workflow.clone();
        workflow["nodes"][6]["widgets_values"][1] = json!(control);
        let mut workflow = Workflow::from_value(&workflow).unwrap();
        workflow.advance(&defs(), 5);
        workflow.lower(&defs(), &LowerOptions::default()).unwrap().to_value()["50"]["inputs"]["seed"].clone()
    };
    assert_ne!(seed_after(true), 42);
    assert_eq!(seed_after(false), 42);
}

#[test]
fn a_class_that_another_replaced_keeps_its_values_and_links_under_their_new_names() {
    let nodes = json!([
        {"id": 20, "type": "T2IAdapterLoader", "widgets_values": ["t2i.pth"], "outputs": [{"type": "CONTROL_NET"}]},
        {"id": 22, "type": "LoadImage", "outputs": [{"type": "STRING"}]},
        {"id": 21, "type": "T2IAdapterLoader", "widgets_values": ["kept"], "inputs": [
            {"name": "t2i_adapter_name", "type": "COMBO", "link": 1, "widget": {"name": "t2i_adapter_name"}}]},
    ]);
    let prompt = small(nodes, json!([[1, 22, 0, 21, 0, "STRING"]]));
    assert_eq!(prompt["20"]["class_type"], "ControlNetLoader");
    assert_eq!(prompt["20"]["inputs"], json!({"control_net_name": "t2i.pth"}));
    assert_eq!(prompt["21"]["inputs"], json!({"control_net_name": ["22", 0]}));
}

#[test]
fn a_prompt_with_a_replaced_class_is_checked_as_what_replaced_it() {
    let mut prompt = Prompt::from_value(json!({
        "1": {"class_type": "T2IAdapterLoader", "inputs": {"t2i_adapter_name": "t2i.pth", "stranger": 1}},
        "2": {"class_type": "ConditioningAverage ", "inputs": {"conditioning_to_strength": 0.5}},
    }))
    .unwrap();
    let error = validate(&mut prompt, &defs(), &NoValidators, None).unwrap_err().to_string();
    assert!(error.contains("ControlNetLoader \"1\": input `control_net_name`: there is no `t2i.pth`"), "{error}");
    let prompt = prompt.to_value();
    assert_eq!(prompt["1"]["inputs"], json!({"control_net_name": "t2i.pth"}));
    assert_eq!(
        (&prompt["2"]["class_type"], &prompt["2"]["inputs"]["conditioning_to_strength"]),
        (&json!("ConditioningAverage"), &json!(0.5))
    );
}

#[test]
fn an_old_name_that_is_known_stays_and_one_whose_new_name_is_not_known_is_missing() {
    let known = defs().with(NodeDef::new("T2IAdapterLoader").input(InputDef::new("t2i_adapter_name", "STRING")));
    let workflow = json!({"nodes": [{"id": 1, "type": "T2IAdapterLoader", "widgets_values": ["a"]}], "links": []});
    let workflow = Workflow::from_value(&workflow).unwrap();
    let prompt = workflow.lower(&known, &LowerOptions::default()).unwrap().to_value();
    assert_eq!(prompt["1"]["class_type"], "T2IAdapterLoader");
    let error = workflow.lower(&NodeDefs::new(), &LowerOptions::default()).unwrap_err().to_string();
    assert!(error.starts_with("node 1: there is no node class `T2IAdapterLoader`"), "{error}");
}

fn in_link(id: u32, slot: u32, node: Value, to: u32) -> Value {
    json!({"id": id, "origin_id": -10, "origin_slot": slot, "target_id": node, "target_slot": to, "type": "*"})
}

/// A definition that shows the seed of what it holds (a sampler with these values, or another definition's instance with
/// these) as its fifth input.
fn showing(id: &str, holds: &str, values: Value, properties: Value) -> Value {
    let base = if holds == "KSampler" { 100 } else { 200 };
    let mut inputs = sampler_inputs(base + 1);
    inputs.push(json!({"name": "seed", "type": "INT", "link": base + 5, "widget": {"name": "seed"}}));
    let mut links: Vec<Value> = (0..5).map(|i| in_link(base + 1 + i, i, json!(3), i)).collect();
    links.push(
        json!({"id": base + 6, "origin_id": 3, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "LATENT"}),
    );
    let input = |(name, i): (&str, u32)| json!({"name": name, "type": "*", "linkIds": [base + 1 + i]});
    json!({
        "id": id, "name": id, "links": links, "outputs": [{"name": "LATENT", "type": "LATENT"}],
        "inputs": SAMPLED.into_iter().chain(["seed"]).zip(0..).map(input).collect::<Vec<_>>(),
        "nodes": [{"id": 3, "type": holds, "inputs": inputs, "outputs": [{"type": "LATENT"}], "widgets_values": values, "properties": properties}],
    })
}

const SAMPLER_VALUES: &str = r#"[42, "randomize", 3, 4.0, "euler", "normal", 1]"#;

fn one_level() -> Value {
    showing("inner", "KSampler", serde_json::from_str(SAMPLER_VALUES).unwrap(), json!({}))
}

/// The instance 50 of a definition, in the usual surroundings.
fn with_instance(of: &str, values: Value, properties: Value, subgraphs: Value) -> Value {
    let mut inputs = sampler_inputs(10);
    inputs.push(json!({"name": "seed", "type": "INT", "link": null, "widget": {"name": "seed"}}));
    let instance = json!({"id": 50, "type": of, "inputs": inputs, "outputs": [{"type": "LATENT"}], "widgets_values": values, "properties": properties});
    let (nodes, links) = around(&instance);
    json!({"nodes": nodes, "links": links, "definitions": {"subgraphs": subgraphs}})
}

#[test]
fn a_null_leaves_the_widget_that_an_instance_only_shows_as_it_is() {
    let shown = |values: Value, proxies: Value| {
        let workflow = with_instance("inner", values, json!({"proxyWidgets": proxies}), json!([one_level()]));
        let inputs = lowered(&workflow)["50:3"]["inputs"].clone();
        (inputs["seed"].clone(), inputs["steps"].clone(), inputs["cfg"].clone())
    };
    let all = json!([["3", "steps"], ["-1", "seed"], ["3", "cfg"]]);
    assert_eq!(shown(json!([null, 777]), all.clone()), (json!(777), json!(3), json!(4.0)), "the field's case");
    assert_eq!(shown(json!([null, null, null]), all.clone()), (json!(42), json!(3), json!(4.0)));
    assert_eq!(shown(json!([9, null, 2]), all.clone()), (json!(42), json!(9), json!(2)));
    assert_eq!(shown(json!([null, 777]), json!([["-1", "seed"], ["3", "steps"]])), (json!(42), json!(777), json!(4.0)));
    assert_eq!(shown(json!([null]), json!([])), (json!(42), json!(3), json!(4.0)), "no list of proxies: by position");
    assert_eq!(shown(json!([5]), json!([])), (json!(5), json!(3), json!(4.0)));
    assert_eq!(shown(json!({"seed": null}), json!([])), (json!(42), json!(3), json!(4.0)));
}

/// The seed that is sent when the outer, the middle and the inner instance store these.
fn nested_seed(stored: [Value; 3]) -> Value {
    let properties = json!({"proxyWidgets": [["-1", "seed"]]});
    let [outer, middle, inner] = stored;
    let subgraphs = json!([
        one_level(),
        showing("middle", "inner", inner, properties.clone()),
        showing("outer", "middle", middle, json!({})),
    ]);
    lowered(&with_instance("outer", outer, properties, subgraphs))["50:3:3:3"]["inputs"]["seed"].clone()
}

#[test]
fn an_instance_without_a_value_starts_from_what_it_shows_however_deep() {
    let none = || json!([]);
    assert_eq!(nested_seed([none(), none(), none()]), 42);
    assert_eq!(nested_seed([none(), none(), json!([555])]), 555);
    assert_eq!(nested_seed([none(), json!([444]), json!([555])]), 444);
    assert_eq!(nested_seed([json!([333]), json!([444]), json!([555])]), 333);
    assert_eq!(nested_seed([json!([null]), json!([null]), json!([555])]), 555);
}

#[test]
fn an_input_that_leads_to_several_widgets_shows_the_first_and_sets_them_all() {
    let steps = |id: u32, value: u32, link: u32| {
        json!({"id": id, "type": "Steps", "widgets_values": [value],
        "inputs": [{"name": "steps", "type": "INT", "link": link, "widget": {"name": "steps"}}]})
    };
    let with = |values: Value, link_ids: Value| {
        let definition = json!({
            "id": "def", "name": "def", "inputs": [{"name": "steps", "type": "INT", "linkIds": link_ids}],
            "nodes": [steps(1, 11, 1), steps(2, 22, 2)],
            "links": [in_link(1, 0, json!(1), 0), in_link(2, 0, json!(2), 0)],
        });
        let nodes = json!([{"id": 9, "type": "def", "widgets_values": values, "inputs": [{"name": "steps", "type": "INT", "widget": {"name": "steps"}}]}]);
        let prompt = lowered(&json!({"nodes": nodes, "links": [], "definitions": {"subgraphs": [definition]}}));
        (prompt["9:1"]["inputs"]["steps"].clone(), prompt["9:2"]["inputs"]["steps"].clone())
    };
    assert_eq!(with(json!([33]), json!([1, 2])), (json!(33), json!(33)));
    assert_eq!(with(json!([]), json!([1, 2])), (json!(11), json!(11)));
    assert_eq!(with(json!([]), json!([2, 1])), (json!(22), json!(22)));
    assert_eq!(with(json!([]), json!([])), (json!(11), json!(11)), "as the links stand");
}

#[test]
fn a_list_of_proxies_reaches_widgets_at_any_depth_in_every_form_that_was_written() {
    // Two encoders in a definition, which shows the text of one of them; that definition twice inside of another.
    let encoder = |id: u32, link: Value| {
        json!({"id": id, "type": "CLIPTextEncode", "widgets_values": [format!("text {id}")],
        "inputs": [{"name": "text", "type": "STRING", "link": link, "widget": {"name": "text"}}]})
    };
    let two = json!({"id": "two", "name": "two", "inputs": [{"name": "text", "type": "STRING", "linkIds": [1]}],
        "nodes": [encoder(12, json!(1)), encoder(13, Value::Null)], "links": [in_link(1, 0, json!(12), 0)]});
    let holder = |id: u32| json!({"id": id, "type": "two", "inputs": [{"name": "text", "type": "STRING", "widget": {"name": "text"}}]});
    let primitive =
        json!({"id": 9, "type": "PrimitiveNode", "outputs": [{"type": "INT"}], "widgets_values": [3, "fixed"]});
    let steps = json!({"id": 10, "type": "Steps", "widgets_values": [1], "inputs": [{"name": "steps", "type": "INT", "link": 5, "widget": {"name": "steps"}}]});
    let outer = json!({"id": "outer", "name": "outer", "nodes": [holder(7), holder(8), primitive, steps],
        "links": [{"id": 5, "origin_id": 9, "origin_slot": 0, "target_id": 10, "target_slot": 0, "type": "INT"}]});
    let sent = |proxies: Value, values: Value| {
        let nodes =
            json!([{"id": 1, "type": "outer", "properties": {"proxyWidgets": proxies}, "widgets_values": values}]);
        let prompt = lowered(&json!({"nodes": nodes, "links": [], "definitions": {"subgraphs": [two, outer]}}));
        let text = |id: &str| prompt[id]["inputs"]["text"].as_str().unwrap().to_owned();
        [text("1:7:12"), text("1:7:13"), text("1:8:12"), text("1:8:13"), prompt["1:10"]["inputs"]["steps"].to_string()]
    };
    let as_stored = ["text 12", "text 13", "text 12", "text 13", "3"];
    let with = |at: usize, text: &str| {
        let mut expected = as_stored.map(str::to_owned);
        expected[at] = text.to_owned();
        expected
    };
    assert_eq!(sent(json!([["7", "text"]]), json!([])), as_stored.map(str::to_owned));
    assert_eq!(sent(json!([["7", "text"]]), json!(["new"])), with(0, "new"), "what the instance shows");
    assert_eq!(sent(json!([["8", "text", "12"]]), json!(["new"])), with(2, "new"), "with the node that has it");
    assert_eq!(sent(json!([["8", "text", "13"]]), json!(["new"])), with(3, "new"), "which the instance does not show");
    assert_eq!(sent(json!([["7", "13: text"]]), json!(["new"])), with(1, "new"), "before the name");
    assert_eq!(sent(json!([["7", "7: 12: text"]]), json!(["new"])), with(0, "new"), "several before the name");
    assert_eq!(sent(json!(r#"[["7", "text", "13"]]"#), json!(["new"])), with(1, "new"), "the list as text");
    assert_eq!(
        sent(json!([["9", "value"]]), json!([8])),
        with(4, "8"),
        "a primitive's value goes where it is linked to"
    );
    assert_eq!(
        sent(json!([["9", "$$canvas"], ["99", "text"], ["-1", "gone"]]), json!([8, 8, 8])),
        as_stored.map(str::to_owned)
    );
}

#[test]
fn widgets_that_packs_add_while_a_node_is_drawn_are_sent() {
    let loras = NodeDef::new("Power Lora Loader (rgthree)")
        .input(InputDef::new("model", "MODEL").optional())
        .output(OutputDef::new("MODEL"))
        .output_node(true);
    let video = NodeDef::new("VHS_VideoCombine")
        .input(InputDef::new("frame_rate", "FLOAT"))
        .input(InputDef::combo("format", ["image/gif", "image/webp"]))
        .output_node(true);
    let defs = defs().with(loras).with(video);
    let row = |strength_two: Value| json!({"on": true, "lora": "a.safetensors", "strength": 0.5, "strengthTwo": strength_two});
    let list = |rows: Vec<Value>| {
        let header = json!({"type": "PowerLoraLoaderHeaderWidget"});
        json!([&[json!({}), header][..], &rows, &[json!({}), json!("")]].concat())
    };
    let separate = json!({"Show Strengths": "Separate Model & Clip"});
    let video = json!({"frame_rate": 12, "format": "image/webp", "lossless": false, "pix_fmt": "yuv420p", "none": null,
        "videopreview": {"hidden": false, "params": {}}});
    let nodes = json!([
        {"id": 1, "type": "Power Lora Loader (rgthree)", "widgets_values": list(vec![row(json!(2)), json!({"lora": null})])},
        {"id": 2, "type": "Power Lora Loader (rgthree)", "properties": separate, "widgets_values": list(vec![row(json!(2)), row(Value::Null)])},
        {"id": 3, "type": "VHS_VideoCombine", "widgets_values": video},
    ]);
    let workflow = Workflow::from_value(&json!({"nodes": nodes, "links": []})).unwrap();
    let sent = workflow.lower(&defs, &LowerOptions::default()).unwrap().to_value();
    let around = |rows: Value| {
        let mut inputs = json!({"PowerLoraLoaderHeaderWidget": {"type": "PowerLoraLoaderHeaderWidget"}});
        inputs.as_object_mut().unwrap().extend(rows.as_object().unwrap().clone());
        inputs["\u{2795} Add Lora"] = json!("");
        inputs
    };
    let one = json!({"on": true, "lora": "a.safetensors", "strength": 0.5});
    assert_eq!(sent["1"]["inputs"], around(json!({"lora_1": one, "lora_2": {"lora": null}})));
    assert_eq!(sent["2"]["inputs"], around(json!({"lora_1": row(json!(2)), "lora_2": row(json!(1))})));
    let settings = json!({"frame_rate": 12, "format": "image/webp", "lossless": false, "pix_fmt": "yuv420p"});
    assert_eq!(sent["3"]["inputs"], settings);
}
