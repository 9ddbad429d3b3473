//! Documents are read straight from the text; here a naive reading of the whole tree says what must come out, errors
//! and their places included.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;
use std::sync::Arc;

use kiln_graph::{Document, Input, Meta, NodeId, Prompt, PromptNode, Workflow};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What a document came to, as text: everything that can be seen of it.
fn shown(prompt: &Prompt) -> String {
    let firsts: Vec<bool> = prompt.nodes.values().map(|node| node.inputs_first).collect();
    format!("{} {firsts:?} {prompt:?}", serde_json::to_string(prompt).unwrap())
}

fn read(text: &[u8]) -> String {
    match Document::with_source(text) {
        Ok((Document::Prompt(prompt), source)) => {
            assert_eq!(source, None);
            shown(&prompt)
        }
        Ok((Document::Workflow(workflow), source)) => format!("{workflow:?} {source:?}"),
        Err(error) => error.to_string(),
    }
}

/// The oracle: a tree of the whole, and what its keys say.
fn expected(text: &[u8]) -> String {
    let value: Value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(error) => return syntax(text, &error),
    };
    if value["nodes"].is_array() {
        return match Workflow::from_value(&value) {
            Ok(workflow) => format!("{workflow:?} {:?}", Some(value)),
            Err(error) => error.to_string(),
        };
    }
    let inner = &value["prompt"];
    let body = if inner.is_object() && inner.get("class_type").is_none() { inner } else { &value };
    match prompt_of(body) {
        Ok(prompt) => shown(&prompt),
        Err(error) => error,
    }
}

/// Python's NaN is told apart with a hint, whose place is not this test's matter; nor are numbers beyond what a double
/// holds, which Python reads as infinity.
fn syntax(text: &[u8], error: &serde_json::Error) -> String {
    let words = error.to_string();
    let (words, _) = words.rsplit_once(" at line ").unwrap_or((&words, ""));
    if words == "number out of range" {
        return read(text);
    }
    let found = Prompt::from_json(text).unwrap_err().to_string();
    let hint = "; JSON has no NaN and no infinity, write a number";
    let plain = format!("not JSON, line {}, column {}: {words}", error.line(), error.column());
    if found == format!("{plain}{hint}") { found } else { plain }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn prompt_of(value: &Value) -> Result<Prompt, String> {
    let nodes =
        value.as_object().ok_or_else(|| format!("a prompt is an object of nodes by id, this is {}", kind(value)))?;
    nodes.iter().map(|(id, node)| Ok((NodeId::from(id.as_str()), node_of(id, node)?))).collect()
}

fn node_of(id: &str, value: &Value) -> Result<PromptNode, String> {
    let keys = value.as_object().ok_or_else(|| {
        format!("node \"{id}\" must be an object with `class_type` and `inputs`, found {}", kind(value))
    })?;
    let wrong = |key, expected, found| format!("node \"{id}\": `{key}` must be {expected}, found {}", kind(found));
    let mut node = PromptNode::default();
    let mut inputs_seen = false;
    for (key, value) in keys {
        let text = || match value {
            Value::String(text) => Ok(Some(text.as_str())),
            Value::Null => Ok(None),
            other => Err(wrong(key, "text", other)),
        };
        match key.as_str() {
            "class_type" => {
                node.class_type = text()?.unwrap_or_default().into();
                node.inputs_first = inputs_seen && !node.class_type.is_empty();
            }
            "inputs" => {
                let inputs = value.as_object().ok_or_else(|| wrong(key, "an object of inputs by name", value))?;
                node.inputs = inputs.iter().map(|(name, value)| (name.as_str().into(), input_of(value))).collect();
                inputs_seen = true;
            }
            "_meta" => node.meta = Some(Meta::from(value.clone())),
            "is_changed" => node.is_changed = Some(Box::new(value.clone())),
            "override_display_id" => node.override_display_id = text()?.map(NodeId::from),
            _ => drop(node.extra.get_or_insert_default().insert(key.clone(), value.clone())),
        }
    }
    Ok(node)
}

fn input_of(value: &Value) -> Input {
    match value {
        Value::Array(items) => match items.as_slice() {
            [Value::String(node), Value::Number(socket)] if socket.is_u64() => {
                Input::link(node.as_str(), socket.as_u64().unwrap() as usize)
            }
            [Value::String(node), Value::Number(socket)]
                if socket.as_f64().is_some_and(|x| x >= 0.0 && x.fract() == 0.0 && x < 4e9) =>
            {
                Input::link(node.as_str(), socket.as_f64().unwrap() as usize)
            }
            _ => Input::Malformed(Arc::new(value.clone())),
        },
        Value::Object(map) if map.len() == 1 && value["__value__"].is_array() => {
            Input::literal(value["__value__"].clone())
        }
        other => Input::literal(other.clone()),
    }
}

/// JSON as text: a tree cannot have a key twice, a text can.
fn written(value: &Json, pretty: bool, out: &mut String) {
    let (open, between) = if pretty { ("\n  ", ": ") } else { ("", ":") };
    match value {
        Json::Plain(text) => out.push_str(text),
        Json::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                written(item, pretty, out);
            }
            out.push(']');
        }
        Json::Object(entries) => {
            out.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                let _ = write!(out, "{open}{}{between}", json!(key));
                written(value, pretty, out);
            }
            out.push('}');
        }
    }
}

#[derive(Clone, Debug)]
enum Json {
    Plain(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

fn plain(value: impl Into<Value>) -> Json {
    Json::Plain(value.into().to_string())
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(words).prop_map(str::to_owned), 1 => ".{0,10}"]
}

const IDS: &[&str] = &["1", "2", "3", "57:8", "prompt", "nodes", "class_type", "inputs", "links", "client_id", "é\n"];
const KEYS: &[&str] = &["class_type", "inputs", "_meta", "is_changed", "override_display_id", "title", "x", "nodes"];

fn scalar() -> impl Strategy<Value = Json> {
    const ODD: &[&str] =
        &["-0", "-0.0", "0", "0.0", "1", "1.0", "1e0", "18446744073709551616", "-9223372036854775809", "1e308"];
    prop_oneof![
        Just(plain(Value::Null)),
        any::<bool>().prop_map(plain),
        prop::sample::select(ODD).prop_map(|text| Json::Plain(text.to_owned())),
        any::<i64>().prop_map(plain),
        any::<f64>().prop_filter("JSON", |x| x.is_finite()).prop_map(plain),
        word(IDS).prop_map(plain),
        word(KEYS).prop_map(plain),
    ]
}

fn any_value() -> impl Strategy<Value = Json> {
    let link = (word(IDS), scalar()).prop_map(|(id, socket)| Json::List(vec![plain(id), socket]));
    prop_oneof![2 => scalar(), 2 => link].prop_recursive(3, 12, 3, |inner| {
        let key = prop_oneof![word(KEYS), Just("__value__".to_owned())];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
            prop::collection::vec((key, inner), 0..4).prop_map(Json::Object),
        ]
    })
}

fn node() -> impl Strategy<Value = Json> {
    let inputs = prop::collection::vec((word(KEYS), any_value()), 0..5).prop_map(Json::Object);
    let meta =
        prop_oneof![any_value(), word(IDS).prop_map(|title| Json::Object(vec![("title".to_owned(), plain(title))]))];
    let entry = prop_oneof![
        8 => word(IDS).prop_map(|class| ("class_type".to_owned(), plain(class))),
        8 => inputs.prop_map(|inputs| ("inputs".to_owned(), inputs)),
        4 => meta.prop_map(|meta| ("_meta".to_owned(), meta)),
        2 => word(IDS).prop_map(|id| ("override_display_id".to_owned(), plain(id))),
        1 => (word(KEYS), any_value()),
    ];
    prop::collection::vec(entry, 0..6).prop_map(Json::Object)
}

/// Mostly nodes by id; sometimes a request, sometimes a workflow, sometimes neither.
fn document() -> impl Strategy<Value = Json> {
    let nodes = prop::collection::vec((word(IDS), prop_oneof![30 => node(), 1 => any_value()]), 0..6);
    let nodes = nodes.prop_map(Json::Object).boxed();
    let entry = prop_oneof![
        nodes.clone().prop_map(|prompt| ("prompt".to_owned(), prompt)),
        nodes.clone().prop_map(|extra| ("extra_data".to_owned(), extra)),
        prop::collection::vec(node(), 0..3).prop_map(|nodes| ("nodes".to_owned(), Json::List(nodes))),
        (word(IDS), any_value()),
    ];
    let request = prop::collection::vec(entry, 0..4).prop_map(Json::Object);
    prop_oneof![4 => nodes, 3 => request, 1 => any_value()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("KILN_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2000)
    ))]

    #[test]
    fn a_document_is_what_the_tree_of_its_text_says(value in document(), pretty in any::<bool>()) {
        let mut text = String::new();
        written(&value, pretty, &mut text);
        prop_assert_eq!(read(text.as_bytes()), expected(text.as_bytes()), "{}", text);
    }

    #[test]
    fn a_broken_document_is_refused_where_the_tree_would_refuse_it(
        value in document(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..4, any::<u8>()), 1..4),
    ) {
        let mut text = String::new();
        written(&value, false, &mut text);
        let mut text = text.into_bytes();
        for (at, what, byte) in changes {
            let at = at.index(text.len());
            match what {
                0 => text.truncate(at),
                1 => text.insert(at, byte),
                2 => drop(text.remove(at)),
                _ => text[at] = b"{}[]\",:0-9eE.\\ N\x00\xff"[byte as usize % 18],
            }
            if text.is_empty() {
                break;
            }
        }
        prop_assert_eq!(read(&text), expected(&text), "{:?}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn a_request_is_told_from_a_prompt_with_a_node_called_prompt_wherever_its_keys_stand() {
    for text in [
        r#"{"client_id":"c","prompt":{"1":{"class_type":"A","inputs":{"x":["2",0]}},"2":{}},"extra_data":{"a":[1]}}"#,
        r#"{"prompt":{"1":{"class_type":"A"}},"prompt":{"2":{"class_type":"B"}}}"#,
        r#"{"prompt":{"1":{"class_type":"A"}},"prompt":5}"#,
        r#"{"prompt":{}}"#,
        r#"{"prompt":{"class_type":null}}"#,
        r#"{"prompt":{"inputs":{"x":5},"class_type":"A"},"1":{"class_type":"B"}}"#,
        r#"{"prompt":{"inputs":{"x":5}},"1":{"class_type":"B"}}"#,
        r#"{"prompt":{"1":{"class_type":"A"},"class_type":{"class_type":"B"}}}"#,
        r#"{"prompt":{"1":{"class_type":"A"}},"nodes":[]}"#,
        r#"{"1":{"class_type":"A"},"nodes":{"class_type":"B"}}"#,
        r#"{"1":{"class_type":5},"1":{"class_type":"A"}}"#,
        r#"{"1":{"class_type":5},"nodes":[{"id":1,"type":"A"}]}"#,
        r#"{"nodes":[],"nodes":{}}"#,
        r#"{"1":5} x"#,
        "[]",
    ] {
        assert_eq!(read(text.as_bytes()), expected(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_link_shares_the_id_of_its_node_whichever_comes_first() {
    let text = r#"{"b":{"inputs":{"x":["c",0],"y":["a",0],"z":["c",1]}},"a":{"inputs":{"x":["b",0]}},"c":{}}"#;
    let prompt = Prompt::from_json(text).unwrap();
    for (_, link) in prompt.nodes.values().flat_map(PromptNode::links) {
        let (own, _) = prompt.nodes.get_key_value(&link.node).unwrap();
        assert!(std::ptr::eq(own.as_str(), link.node.as_str()), "{link}");
    }
}
