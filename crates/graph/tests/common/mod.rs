//! A small pack of node classes to validate against, and short ways to write prompts.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

pub mod carriers;
pub mod page;

use kiln_graph::{InputDef, NodeDef, NodeDefs, OutputDef, Prompt, SocketType, ValidatorDef};
use serde_json::{Value, json};

pub fn number(name: &str, ty: &str, min: Value, max: Value) -> InputDef {
    InputDef::new(name, ty).option("min", min).option("max", max)
}

pub fn defs() -> NodeDefs {
    let named = |names: &[&str]| ValidatorDef {
        inputs: names.iter().map(|n| (*n).into()).collect(),
        ..ValidatorDef::default()
    };
    let many: Vec<String> = (0..30).map(|i| format!("model_{i}.safetensors")).collect();
    [
        NodeDef::new("Loader")
            .input(InputDef::new("ckpt_name", SocketType::combo(many)))
            .output(OutputDef::new("MODEL"))
            .output(OutputDef::new("CLIP"))
            .output(OutputDef::new("VAE")),
        NodeDef::new("Sampler")
            .input(InputDef::new("model", "MODEL"))
            .input(number("seed", "INT", json!(0), json!(u64::MAX)))
            .input(number("steps", "INT", json!(1), json!(10000)))
            .input(number("cfg", "FLOAT", json!(0.0), json!(100.0)))
            .input(InputDef::new("sampler_name", SocketType::combo(["euler", "euler_ancestral", "heun"])))
            .input(InputDef::combo("scheduler", ["simple", "karras"]))
            .output(OutputDef::new("LATENT")),
        NodeDef::new("Decode")
            .input(InputDef::new("samples", "LATENT"))
            .input(InputDef::new("vae", "VAE"))
            .output(OutputDef::new("IMAGE")),
        NodeDef::new("Save").input(InputDef::new("images", "IMAGE")).output_node(true),
        NodeDef::new("Pass").input(InputDef::new("x", "*").optional()).output(OutputDef::new("*")),
        NodeDef::new("Pair")
            .input(InputDef::new("a", "*").optional())
            .input(InputDef::new("b", "*").optional())
            .output(OutputDef::new("*")),
        NodeDef::new("Sink").input(InputDef::new("x", "*")).output_node(true),
        NodeDef::new("Switch")
            .input(InputDef::new("on_true", "*").lazy())
            .input(InputDef::new("on_false", "*").lazy())
            .input(InputDef::new("which", "BOOLEAN"))
            .output(OutputDef::new("*")),
        NodeDef::new("Text").input(InputDef::new("text", "STRING")).output(OutputDef::new("STRING")),
        NodeDef::new("Int").input(number("value", "INT", json!(-10), json!(10))).output(OutputDef::new("INT")),
        NodeDef::new("Float").input(InputDef::new("value", "FLOAT")).output(OutputDef::new("FLOAT")),
        NodeDef::new("Many")
            .input(InputDef::combo("tags", ["red", "green", "blue"]).option("multiselect", true))
            .output(OutputDef::new("*")),
        NodeDef::new("Remote")
            .input(InputDef::combo("file", ["a"]).option("remote_combo", true))
            .output(OutputDef::new("*")),
        NodeDef::new("Checked")
            .input(number("low", "FLOAT", json!(0.0), json!(1.0)).optional())
            .input(number("high", "FLOAT", json!(0.0), json!(1.0)).optional())
            .validator(named(&["low", "high"]))
            .output(OutputDef::new("FLOAT"))
            .output_node(true),
        NodeDef::new("CheckedAll")
            .input(number("low", "FLOAT", json!(0.0), json!(1.0)))
            .input(number("high", "FLOAT", json!(0.0), json!(1.0)))
            .validator(ValidatorDef { takes_kwargs: true, ..ValidatorDef::default() })
            .output_node(true),
        NodeDef::new("CheckedTypes")
            .input(InputDef::new("input1", "IMAGE,FLOAT"))
            .validator(ValidatorDef { wants_input_types: true, ..ValidatorDef::default() })
            .output(OutputDef::new("FLOAT"))
            .output_node(true),
        NodeDef::new("OpenLoop")
            .input(InputDef::new("remaining", "INT"))
            .input(InputDef::new("initial_value0", "*").hidden())
            .input(InputDef::new("unique_id", "UNIQUE_ID").hidden())
            .output(OutputDef::new("FLOW_CONTROL"))
            .output(OutputDef::new("INT")),
    ]
    .into_iter()
    .collect()
}

pub fn prompt(nodes: Value) -> Prompt {
    Prompt::from_value(nodes).expect("a prompt")
}

/// `0 -> 1 -> ... -> n - 1 -> sink`
pub fn chain(n: usize) -> Prompt {
    use kiln_graph::{Link, NodeId, PromptNode};
    let ids: Vec<NodeId> = (0..=n).map(|i| NodeId::from(i.to_string())).collect();
    let node = |i: usize| {
        let node = PromptNode::new(if i == n { "Sink" } else { "Pass" });
        if i == 0 { node } else { node.with("x", Link::new(&ids[i - 1], 0)) }
    };
    (0..=n).rev().map(|i| (ids[i].clone(), node(i))).collect()
}
