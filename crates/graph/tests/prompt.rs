//! Prompts as JSON: nothing is lost on the way in and out, and what is no prompt is refused by name and place.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use kiln_graph::{Input, Link, NodeId, Prompt, PromptNode, PromptReadError};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(text: &str) -> Prompt {
    Prompt::from_json(text).expect("a prompt")
}

fn refused(text: &str) -> String {
    Prompt::from_json(text).expect_err("no prompt").to_string()
}

fn written(prompt: &Prompt) -> String {
    serde_json::to_string(prompt).unwrap()
}

#[test]
fn a_prompt_is_written_exactly_as_it_was_read() {
    let text = r#"{"10":{"inputs":{"z":5,"a":5.0,"m":["9",0],"list":{"__value__":[1,"x",2.5]},"n":null},"class_type":"K","_meta":{"title":"T"}},"9":{"class_type":"L","inputs":{},"is_changed":["h"],"override_display_id":"10","future":{"b":1,"a":[]}},"57:8":{"class_type":"M","inputs":{"c":{"__type__":"CURVE","__value__":[[0,1]]},"broken":[1,2],"short":["9"]}}}"#;
    assert_eq!(written(&read(text)), text);
}

#[test]
fn integers_and_floats_stay_apart() {
    let prompt = read(r#"{"1":{"class_type":"A","inputs":{"i":5,"f":5.0,"seed":18446744073709551615,"e":1e-7}}}"#);
    let inputs = &prompt.get("1").unwrap().inputs;
    assert_eq!(inputs["i"], Input::literal(json!(5)));
    assert_eq!(inputs["f"], Input::literal(json!(5.0)));
    assert_eq!(inputs["seed"], Input::literal(json!(u64::MAX)));
    assert_ne!(inputs["i"], inputs["f"]);
}

#[test]
fn a_link_is_a_list_of_a_text_and_a_number_and_nothing_else_is() {
    let link = Input::Link(Link::new("4", 1));
    for (json, is_link) in [
        (json!(["4", 1]), true),
        (json!(["4", 1.0]), true),
        (json!([4, 1]), false),
        (json!(["4", "1"]), false),
        (json!(["4", -1]), false),
        (json!(["4", 1.5]), false),
        (json!(["4"]), false),
        (json!(["4", 1, 2]), false),
        (json!([]), false),
    ] {
        let input = Input::from_json(json.clone());
        if is_link {
            assert_eq!(input, link, "{json}");
        } else {
            assert_eq!(input, Input::Malformed(Arc::new(json)));
        }
    }
}

#[test]
fn a_literal_list_is_wrapped_so_that_it_is_never_taken_for_a_link() {
    let node = PromptNode::new("A").with("pair", json!(["4", 1]));
    let prompt: Prompt = [(NodeId::from("1"), node)].into_iter().collect();
    assert_eq!(written(&prompt), r#"{"1":{"class_type":"A","inputs":{"pair":{"__value__":["4",1]}}}}"#);
    assert_eq!(read(&written(&prompt)), prompt);
}

#[test]
fn a_payload_shows_as_a_marker() {
    let mut node = PromptNode::new("A");
    node.inputs.insert("image".into(), Input::Opaque(Arc::new(1_u8)));
    assert_eq!(
        serde_json::to_value(&node).unwrap(),
        json!({"class_type": "A", "inputs": {"image": {"__opaque__": true}}})
    );
}

#[test]
fn a_later_duplicate_replaces_the_earlier_one() {
    let prompt = read(r#"{"1":{"class_type":"A"},"2":{"class_type":"B"},"1":{"class_type":"C"}}"#);
    let classes: Vec<&str> = prompt.nodes.values().map(|node| &*node.class_type).collect();
    assert_eq!(classes, ["C", "B"]);
}

#[test]
fn a_node_without_class_or_inputs_can_be_read_so_that_validation_names_it() {
    let prompt = read(r#"{"1":{},"2":{"class_type":null}}"#);
    assert!(prompt.nodes.values().all(|node| node.class_type.is_empty() && node.inputs.is_empty()));
}

#[test]
fn broken_json_is_refused_with_line_and_column() {
    let error = Prompt::from_json("{\n  \"1\": {\"class_type\": \"A\",}\n}").unwrap_err();
    assert!(matches!(error, PromptReadError::Syntax { line: 2, column: 27, .. }), "{error:?}");
    assert_eq!(error.to_string(), "not JSON, line 2, column 27: trailing comma");
    assert_eq!(refused(""), "not JSON, line 1, column 0: EOF while parsing a value");
    assert!(refused(r#"{"1":{"inputs":{"cfg": NaN}}}"#).ends_with("JSON has no NaN and no infinity, write a number"));
    assert!(refused(r#"{"1":{"inputs":{"cfg": 1e999}}}"#).contains("number out of range"));
    assert!(refused("{} {}").contains("trailing characters"));
    assert!(Prompt::from_json([0xff, 0xfe]).is_err());
}

#[test]
fn json_that_is_no_prompt_is_refused_with_node_and_key() {
    assert_eq!(refused("[]"), "a prompt is an object of nodes by id, this is a list");
    assert_eq!(refused("5"), "a prompt is an object of nodes by id, this is a number");
    assert_eq!(refused(r#"{"3":5}"#), r#"node "3" must be an object with `class_type` and `inputs`, found a number"#);
    assert_eq!(refused(r#"{"3":{"class_type":5}}"#), r#"node "3": `class_type` must be text, found a number"#);
    assert_eq!(
        refused(r#"{"3":{"inputs":["a"]}}"#),
        r#"node "3": `inputs` must be an object of inputs by name, found a list"#
    );
    let nested = Prompt::from_value(json!({"3": {"override_display_id": []}})).unwrap_err();
    assert_eq!(nested.to_string(), r#"node "3": `override_display_id` must be text, found a list"#);
}

#[test]
fn nesting_without_end_is_an_error_and_no_crash() {
    let deep = format!(r#"{{"1":{{"class_type":"A","inputs":{{"x":{}"#, "[".repeat(1_000_000));
    assert!(refused(&deep).contains("recursion limit exceeded"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Not whole: a link's socket may be written as a float, and is written back as the integer that it means.
        any::<f64>().prop_filter("a fraction", |x| x.is_finite() && x.fract() != 0.0).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        ("[0-9]{1,3}", 0_u64..4).prop_map(|(id, socket)| json!([id, socket])),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| json!({ "__value__": list })),
            prop::collection::btree_map(".{0,6}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn any_node() -> impl Strategy<Value = Value> {
    let inputs = prop::collection::btree_map(".{0,6}", any_json(), 0..5);
    ("[A-Z].{0,9}", inputs, prop::option::of(any_json()), any::<bool>()).prop_map(|(class, inputs, meta, first)| {
        let mut node = serde_json::Map::new();
        if first {
            node.insert("class_type".into(), class.clone().into());
        }
        node.insert("inputs".into(), json!(inputs));
        if !first {
            node.insert("class_type".into(), class.into());
        }
        node.extend(meta.map(|meta| ("_meta".to_owned(), meta)));
        node.into()
    })
}

proptest! {
    #[test]
    fn reading_and_writing_gives_the_same_text(nodes in prop::collection::btree_map(".{0,8}", any_node(), 0..6)) {
        let text = serde_json::to_string(&nodes).unwrap();
        let prompt = Prompt::from_json(&text).unwrap();
        prop_assert_eq!(written(&prompt), text);
        prop_assert_eq!(Prompt::from_value(json!(nodes)).unwrap(), prompt);
    }

    #[test]
    fn no_text_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Prompt::from_json(bytes));
    }
}
