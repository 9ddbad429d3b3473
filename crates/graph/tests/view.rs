//! A prompt as a graph: order, cycles, images.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{chain, prompt};
use kiln_graph::{Input, Meta, NodeId, View};
use serde_json::{Value, json};

fn pass(from: &[&str]) -> Value {
    let inputs: serde_json::Map<String, Value> =
        from.iter().enumerate().map(|(i, id)| (format!("x{i}"), json!([id, 0]))).collect();
    json!({"class_type": "Pass", "inputs": inputs})
}

#[test]
fn the_order_puts_sources_first_and_keeps_the_prompts_order_otherwise() {
    let prompt = prompt(
        json!({"d": pass(&["b", "c"]), "b": pass(&["a"]), "a": pass(&[]), "c": pass(&["a"]), "z": pass(&["gone"])}),
    );
    let view = View::of(&prompt);
    assert_eq!(view.order().unwrap(), ["a", "z", "b", "c", "d"].map(NodeId::from).iter().collect::<Vec<_>>());
    assert_eq!(view.graph().edge_count(), 4);
    assert!(view.cycles().is_empty());
}

#[test]
fn a_long_chain_is_ordered_without_recursion() {
    let prompt = chain(200_000);
    let view = View::of(&prompt);
    let order = view.order().unwrap();
    assert_eq!((order[0].as_str(), order[200_000].as_str()), ("0", "200000"));
    assert!(view.cycles().is_empty());
}

#[test]
fn cycles_are_groups_of_nodes_that_need_each_other() {
    let mut prompt = prompt(json!({
        "a": pass(&["b"]), "b": pass(&["a"]), "free": pass(&[]), "self": pass(&["self"]), "behind": pass(&["a", "free"])
    }));
    let ids = |groups: Vec<Vec<&NodeId>>| {
        groups.into_iter().map(|g| g.into_iter().map(ToString::to_string).collect()).collect::<Vec<Vec<_>>>()
    };
    let view = View::of(&prompt);
    assert_eq!(ids(view.cycles()), [vec!["a", "b"], vec!["self"]]);
    assert_eq!(view.order().unwrap_err(), ["a", "b", "self", "behind"].map(NodeId::from).iter().collect::<Vec<_>>());
    prompt.nodes.get_mut("a").unwrap().inputs.insert("x0".into(), Input::link("free", 0));
    assert_eq!(ids(View::of(&prompt).cycles()), [vec!["self"]]);
}

#[test]
fn images_name_nodes_sockets_and_inputs_and_escape_what_must_be() {
    let mut prompt = prompt(json!({"1": pass(&[]), "2": pass(&["1", "1"])}));
    prompt.nodes.get_mut("1").unwrap().meta = Some(Meta::titled("say \"hi\" #1"));
    let view = View::of(&prompt);
    insta::assert_snapshot!("dot", view.to_dot());
    insta::assert_snapshot!("mermaid", view.to_mermaid());
    insta::assert_snapshot!("svg", view.to_svg(&|id| Some(format!("{id} took <1 ms"))));
    assert!(view.to_dot_with(&|_| Some("12 ms".into())).contains("1: Pass\\nsay \\\"hi\\\" #1\\n12 ms"));
}
