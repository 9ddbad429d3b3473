//! The testing nodes that reckon, compare and keep lists, row by row of their tables.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::Bench;
use kiln_exec::{Link, NodeId, Prompt, RunError, RunOptions, Value, Values};
use serde_json::{Value as Json, json};

/// Runs the nodes `1`, `2`, … and returns output `socket` of the last.
fn last(nodes: &[(&str, Json)], socket: usize) -> Result<Values, RunError> {
    let mut prompt = serde_json::Map::new();
    for (at, (class, inputs)) in nodes.iter().enumerate() {
        prompt.insert((at + 1).to_string(), json!({"class_type": class, "inputs": inputs}));
    }
    // Something has to be shown for a graph to be fit to run.
    let number = json!({"class_type": "StubInt", "inputs": {"value": 1}});
    prompt.insert("number".into(), number);
    prompt.insert("shown".into(), json!({"class_type": "PreviewAny", "inputs": {"source": ["number", 0]}}));
    let link = Link::new(NodeId::from(nodes.len().to_string()), socket);
    let options = RunOptions::new().fetching(link.clone());
    let prompt = Prompt::from_value(Json::Object(prompt)).unwrap();
    let report = Bench::new().engine.start(prompt).options(options).run()?;
    Ok(report.values(&link).unwrap().clone())
}

fn one(class: &str, inputs: Json) -> Result<Value, RunError> {
    last(&[(class, inputs)], 0).map(|values| values.at(0).unwrap().clone())
}

#[test]
fn whole_numbers_are_reckoned_as_in_python() {
    let reckon =
        |a: i64, b: i64, operation: &str| one("TestIntMathOperation", json!({"a": a, "b": b, "operation": operation}));
    for (a, b, operation, result) in [
        (7, 2, "add", 9),
        (7, 2, "subtract", 5),
        (7, -2, "multiply", -14),
        (7, 2, "divide", 3),
        (-7, 2, "divide", -4),
        (7, -2, "divide", -4),
        (-7, -2, "divide", 3),
        (7, 2, "modulo", 1),
        (-7, 2, "modulo", 1),
        (7, -2, "modulo", -1),
        (-6, 3, "modulo", 0),
        (2, 10, "power", 1024),
    ] {
        assert_eq!(reckon(a, b, operation).unwrap(), Value::Int(result), "{a} {operation} {b}");
    }
    assert!(reckon(7, 0, "divide").is_err());
    assert!(reckon(7, 0, "modulo").is_err());
}

#[test]
fn numbers_are_compared() {
    for (operation, results) in [
        ("==", [false, true, false]),
        ("!=", [true, false, true]),
        ("<", [true, false, false]),
        (">", [false, false, true]),
        ("<=", [true, true, false]),
        (">=", [false, true, true]),
    ] {
        for (a, result) in [1, 2, 3].into_iter().zip(results) {
            let ints = one("TestIntConditions", json!({"a": a, "b": 2, "operation": operation})).unwrap();
            assert_eq!(ints, Value::Bool(result), "{a} {operation} 2");
            let floats = json!({"a": f64::from(a) / 4.0, "b": 0.5, "operation": operation});
            assert_eq!(one("TestFloatConditions", floats).unwrap(), Value::Bool(result), "{a}/4 {operation} 0.5");
        }
    }
}

#[test]
fn texts_are_compared_with_or_without_case() {
    let compare = |a: &str, operation: &str, b: &str, case_sensitive: bool| {
        let inputs = json!({"a": a, "b": b, "operation": operation, "case_sensitive": case_sensitive});
        one("TestStringConditions", inputs).unwrap() == Value::Bool(true)
    };
    assert!(compare("Ab", "a == b", "Ab", true) && !compare("Ab", "a == b", "aB", true));
    assert!(compare("Ab", "a == b", "aB", false));
    assert!(compare("Ab", "a != b", "aB", true) && !compare("Ab", "a != b", "aB", false));
    assert!(compare("b", "a IN b", "abc", true) && !compare("abc", "a IN b", "b", true));
    assert!(compare("abc", "a BEGINSWITH b", "ab", true) && !compare("abc", "a BEGINSWITH b", "bc", true));
    assert!(compare("abc", "a ENDSWITH b", "BC", false) && !compare("abc", "a ENDSWITH b", "BC", true));
    assert!(compare("abc", "a MATCH REGEX(b)", "a.", true), "it need not match to the end");
    assert!(!compare("abc", "a MATCH REGEX(b)", "b", true), "but from the start");
    assert!(compare("abc", "a MATCH REGEX(b)", "x|ab", true), "each branch from the start");
    for bad in ["(", "a)(b", "[", "*"] {
        assert!(!compare("abc", "a MATCH REGEX(b)", bad, true), "{bad} is no pattern");
    }
}

#[test]
fn truth_is_pythons_and_an_image_is_false_when_it_is_black_all_over() {
    let truth = |value: Json, invert: bool| {
        one("TestToBoolNode", json!({"value": value, "invert": invert})).unwrap() == Value::Bool(true)
    };
    for (value, result) in
        [(json!(0), false), (json!(2), true), (json!(0.0), false), (json!(""), false), (json!("x"), true)]
    {
        assert_eq!(truth(value.clone(), false), result, "{value}");
        assert_eq!(truth(value.clone(), true), !result, "not {value}");
    }
    for (content, result) in [("BLACK", false), ("WHITE", true)] {
        let image = ("StubImage", json!({"content": content, "height": 4, "width": 4, "batch_size": 1}));
        let values = last(&[image, ("TestToBoolNode", json!({"value": ["1", 0]}))], 0).unwrap();
        assert_eq!(values.at(0), Some(&Value::Bool(result)), "{content}");
    }
}

#[test]
fn truths_are_combined() {
    for (op, results) in [
        ("a AND b", [false, false, false, true]),
        ("a OR b", [false, true, true, true]),
        ("a XOR b", [false, true, true, false]),
        ("NOT a", [true, true, false, false]),
    ] {
        let pairs = [(false, false), (false, true), (true, false), (true, true)];
        for ((a, b), result) in pairs.into_iter().zip(results) {
            let found = one("TestBoolOperationNode", json!({"a": a, "b": b, "op": op})).unwrap();
            assert_eq!(found, Value::Bool(result), "{a} {op} {b}");
        }
    }
}

/// `1`: 10, 20, 30 as a list; `2`: as an accumulation.
fn three(then: &[(&'static str, Json)], socket: usize) -> Result<Values, RunError> {
    let mut nodes = vec![
        ("TestMakeListNode", json!({"value1": 10, "value2": 20, "value5": 30})),
        ("TestListToAccumulationNode", json!({"list": ["1", 0]})),
    ];
    nodes.extend(then.iter().cloned());
    last(&nodes, socket)
}

fn ints(values: &Values) -> Vec<i128> {
    values.iter().map(|value| if let Value::Int(i) = value { *i } else { -1 }).collect()
}

#[test]
fn accumulations_are_read_and_copied() {
    assert_eq!(ints(&last(&[("TestMakeListNode", json!({"value1": 1, "value9": 2}))], 0).unwrap()), [1, 2]);
    let of = json!({"accumulation": ["2", 0]});
    assert_eq!(ints(&three(&[("TestAccumulationToListNode", of.clone())], 0).unwrap()), [10, 20, 30]);
    assert_eq!(ints(&three(&[("TestAccumulationGetLengthNode", of.clone())], 0).unwrap()), [3]);
    assert_eq!(ints(&three(&[("TestAccumulationHeadNode", of.clone())], 1).unwrap()), [10]);
    assert_eq!(ints(&three(&[("TestAccumulationTailNode", of.clone())], 1).unwrap()), [30]);
    let rest =
        |class| three(&[(class, of.clone()), ("TestAccumulationToListNode", json!({"accumulation": ["3", 0]}))], 0);
    assert_eq!(ints(&rest("TestAccumulationHeadNode").unwrap()), [20, 30]);
    assert_eq!(ints(&rest("TestAccumulationTailNode").unwrap()), [10, 20]);
    for (index, item) in [(0, 10), (2, 30), (-1, 30), (-3, 10)] {
        let at = json!({"accumulation": ["2", 0], "index": index});
        assert_eq!(ints(&three(&[("TestAccumulationGetItemNode", at)], 0).unwrap()), [item], "{index}");
    }
    assert!(three(&[("TestAccumulationGetItemNode", json!({"accumulation": ["2", 0], "index": 3}))], 0).is_err());
    let set = ("TestAccumulationSetItemNode", json!({"accumulation": ["2", 0], "index": 1, "value": 5}));
    let listed = ("TestAccumulationToListNode", json!({"accumulation": ["3", 0]}));
    assert_eq!(ints(&three(&[set, listed.clone()], 0).unwrap()), [10, 5, 30]);
    let grown = ("TestAccumulateNode", json!({"to_add": 40, "accumulation": ["2", 0]}));
    assert_eq!(ints(&three(&[grown, listed], 0).unwrap()), [10, 20, 30, 40]);
}

#[test]
fn an_empty_accumulation_has_a_head_and_a_tail_of_its_own_kind() {
    let one = ("TestAccumulateNode", json!({"to_add": 1}));
    let empty = ("TestAccumulationHeadNode", json!({"accumulation": ["1", 0]}));
    let of = json!({"accumulation": ["2", 0]});
    let with = |class: &'static str, socket| {
        last(&[one.clone(), empty.clone(), (class, of.clone())], socket).unwrap().at(0).unwrap().clone()
    };
    assert_eq!(with("TestAccumulationHeadNode", 0).type_name(), "ACCUMULATION");
    assert_eq!(with("TestAccumulationHeadNode", 1), Value::Null);
    assert_eq!(with("TestAccumulationTailNode", 0), Value::Null);
    assert_eq!(with("TestAccumulationTailNode", 1).type_name(), "ACCUMULATION");
}

#[test]
fn waiting_validators_refuse_with_a_sentence() {
    for (class, limit, text) in [
        ("TestAsyncValidation", "threshold", "Value 12.5 exceeds threshold 10.0"),
        ("TestAsyncValidationError", "max_value", "Async validation failed: 12.5 > 10.0"),
    ] {
        let mut prompt = serde_json::Map::new();
        let mut inputs = json!({"value": 12.5});
        inputs[limit] = json!(10.0);
        prompt.insert("1".into(), json!({"class_type": class, "inputs": inputs}));
        prompt.insert("2".into(), json!({"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}));
        let prompt = Prompt::from_value(Json::Object(prompt)).unwrap();
        let error = Bench::new().engine.run(prompt).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}
