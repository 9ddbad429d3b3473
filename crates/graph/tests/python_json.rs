//! JSON as Python, Windows and older shells write it: NaN and infinities, byte order marks, UTF-16.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use kiln_graph::{
    Document, Input, InputDef, LowerOptions, NoValidators, NodeDef, NodeDefs, OutputDef, Prompt, PromptReadError,
    Workflow, has_nan, non_finite, validate,
};
use serde_json::{Value, json};

fn defs() -> NodeDefs {
    let input = |name: &str, ty: &str| InputDef::new(name, ty).optional();
    let class = NodeDef::new("Typed").input(input("float", "FLOAT")).input(input("int", "INT"));
    let class = class.input(input("string", "STRING")).input(input("boolean", "BOOLEAN"));
    common::defs().with(class.input(InputDef::combo("combo", ["a"]).optional()).output(OutputDef::new("*")))
}

fn read(text: &str) -> Prompt {
    match Document::from_json(text).unwrap() {
        Document::Prompt(prompt) => prompt,
        Document::Workflow(_) => panic!("a prompt"),
    }
}

/// What validation says of a prompt with this value as the input of that class and name.
fn refused(class: &str, input: &str, value: &str) -> Option<String> {
    let text = format!(
        r#"{{"1": {{"class_type": "{class}", "inputs": {{"{input}": {value}, "x": 1}}}},
            "2": {{"class_type": "Sink", "inputs": {{"x": ["1", 0]}}}}}}"#
    );
    validate(&mut read(&text), &defs(), &NoValidators, None).err().map(|error| error.to_string())
}

#[test]
fn a_nan_that_nobody_reads_does_not_hinder() {
    for word in ["NaN", "Infinity", "-Infinity", "[NaN]", r#"["a", {"b": -Infinity}]"#, "1e999", "[-1E+400, 0]"] {
        let node = |key: &str| format!(r#"{{"1": {{"inputs": {{"x": 1}}, "class_type": "A", "{key}": {word}}}}}"#);
        for key in ["is_changed", "_meta", "future"] {
            let text = node(key);
            let prompt = Prompt::from_json(&text).unwrap();
            assert_eq!(read(&text), prompt, "{text}");
            assert_eq!(*prompt.nodes["1"].class_type, *"A");
            assert_eq!(Prompt::from_json(serde_json::to_string(&prompt).unwrap()).unwrap(), prompt, "written and read");
        }
        let body = format!(r#"{{"prompt": {}, "extra_data": {{"x": {word}}}}}"#, node("is_changed"));
        assert_eq!(read(&body), read(&node("is_changed")), "{body}");
    }
}

#[test]
fn a_prompt_says_of_a_nan_what_it_is() {
    let prompt =
        read(r#"{"1": {"class_type": "A", "is_changed": [NaN], "inputs": {"x": NaN, "y": -Infinity, "z": "NaN"}}}"#);
    let node = &prompt.nodes["1"];
    assert!(has_nan(node.is_changed.as_ref().unwrap()));
    let number = |name: &str| non_finite(node.inputs[name].as_value().unwrap());
    assert!(number("x").unwrap().is_nan());
    assert_eq!(number("y"), Some(f64::NEG_INFINITY));
    assert_eq!(node.inputs["z"], Input::from(json!("NaN")));
}

#[test]
fn a_nan_as_the_value_of_an_input_is_that_inputs_error() {
    assert_eq!(
        refused("Typed", "float", "NaN").unwrap(),
        "the prompt cannot run\n  Typed \"1\": input `float`: NaN is not a finite number"
    );
    assert_eq!(
        refused("Typed", "int", "-Infinity").unwrap(),
        "the prompt cannot run\n  Typed \"1\": input `int`: -Infinity is not a whole number"
    );
    assert!(refused("Typed", "combo", "NaN").unwrap().contains("there is no NaN"));
    assert_eq!(refused("Typed", "boolean", "NaN"), None, "true, as in Python");
}

#[test]
fn a_text_takes_a_nan_as_python_prints_it() {
    for (word, printed) in [("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf"), ("[NaN]", "[nan]")] {
        let value = if word.starts_with('[') { format!(r#"{{"__value__": {word}}}"#) } else { word.to_owned() };
        let text = format!(
            r#"{{"1": {{"class_type": "Typed", "inputs": {{"string": {value}}}}},
            "2": {{"class_type": "Sink", "inputs": {{"x": ["1", 0]}}}}}}"#
        );
        let mut prompt = read(&text);
        validate(&mut prompt, &defs(), &NoValidators, None).unwrap();
        assert_eq!(prompt.nodes["1"].inputs["string"], Input::from(json!(printed)));
    }
}

#[test]
fn a_workflow_has_null_for_a_nan_as_the_page_has() {
    let text = r#"{"nodes": [{"id": 1, "type": "Make", "pos": [NaN, Infinity], "widgets_values": [NaN]}], "links": [], "extra": {"ds": {"scale": NaN}}}"#;
    let (document, source) = Document::with_source(text).unwrap();
    assert!(matches!(document, Document::Workflow(_)));
    assert_eq!(source.unwrap()["extra"]["ds"], json!({"scale": null}));
    assert_eq!(Workflow::from_json(text).unwrap().len(), 1);
}

#[test]
fn what_is_wrong_behind_a_nan_is_named_at_its_place_in_the_text() {
    let text = "{\"1\": {\"is_changed\": NaN, \"is_changed\": NaN, x}}";
    let (Err(PromptReadError::Syntax { line, column, .. }), at) = (Prompt::from_json(text), text.find('x').unwrap())
    else {
        panic!("x is no key")
    };
    assert_eq!((line, column), (1, at + 1));
    let text = "{\"1\": {\"is_changed\": NaN,\n \"_meta\": [NaN, Infinity, }}";
    let error = Document::from_json(text).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("not JSON, line 2, column {}: expected value", text.lines().last().unwrap().find('}').unwrap() + 1)
    );
}

const GRAPH: &str = r#"{"1": {"class_type": "Make", "inputs": {"text": "été 日本 😀"}}, "2": {"class_type": "Sink", "inputs": {"x": ["1", 0]}}}"#;
const WORKFLOW: &str = r#"{"nodes": [{"id": 1, "type": "Make", "title": "été 😀"}], "links": []}"#;

fn encodings(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let units = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let (little, big) = (units(u16::to_le_bytes), units(u16::to_be_bytes));
    vec![
        ("UTF-8 with a mark", [&b"\xef\xbb\xbf"[..], text.as_bytes()].concat()),
        ("UTF-16, little end first, with a mark", [&b"\xff\xfe"[..], &little].concat()),
        ("UTF-16, big end first, with a mark", [&b"\xfe\xff"[..], &big].concat()),
        ("UTF-16, little end first", little),
        ("UTF-16, big end first", big),
    ]
}

#[test]
fn a_graph_in_another_encoding_is_the_same_graph() {
    let expected = Prompt::from_json(GRAPH).unwrap();
    for (name, bytes) in encodings(GRAPH) {
        assert_eq!(Prompt::from_json(&bytes).unwrap(), expected, "{name}");
        let document = Document::from_json(&bytes).unwrap();
        assert_eq!(document.into_prompt(&defs(), &LowerOptions::default()).unwrap(), expected, "{name}");
    }
    let expected: Value = serde_json::from_str(WORKFLOW).unwrap();
    for (name, bytes) in encodings(WORKFLOW) {
        assert_eq!(Document::with_source(&bytes).unwrap().1.as_ref(), Some(&expected), "{name}");
        assert_eq!(Workflow::from_json(&bytes).unwrap().len(), 1, "{name}");
    }
}

#[test]
fn a_nan_in_another_encoding_is_one_too() {
    let text = r#"{"1": {"class_type": "A", "is_changed": NaN}}"#;
    for (name, bytes) in encodings(text) {
        assert_eq!(Prompt::from_json(&bytes).unwrap(), Prompt::from_json(text).unwrap(), "{name}");
    }
}

#[test]
fn a_cut_file_is_an_error_in_every_encoding() {
    for (name, bytes) in encodings(GRAPH) {
        for cut in [1, 2, 3, 4, 5, 17, bytes.len() - 1] {
            assert!(Document::from_json(&bytes[..cut]).is_err(), "{name} cut at {cut}");
        }
    }
}
