//! Texts as Python has them: patterns, numbers, truth.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::Bench;
use kiln_exec::Prompt;
use serde_json::{Value, json};

/// What PreviewAny shows of a literal, or of what a node of this class and these inputs returns.
fn shown(source: &Value, node: Option<(&str, Value)>) -> Result<String, String> {
    let mut prompt = json!({"show": {"class_type": "PreviewAny", "inputs": {"source": source}}});
    if let Some((class, inputs)) = node {
        prompt["made"] = json!({"class_type": class, "inputs": inputs});
        prompt["show"]["inputs"]["source"] = json!(["made", 0]);
    }
    let report = Bench::new().engine.run(Prompt::from_value(prompt).unwrap()).map_err(|error| error.to_string())?;
    let ui = report.outputs["show"].ui.as_ref().unwrap();
    Ok(ui.get("text").unwrap()[0].as_str().unwrap().to_owned())
}

fn made(class: &str, inputs: Value) -> Result<String, String> {
    shown(&Value::Null, Some((class, inputs)))
}

#[test]
fn values_are_shown_as_python_prints_them() {
    for (number, text) in [(json!(1e-7), "1e-07"), (json!(3), "3.0"), (json!(-0.5), "-0.5")] {
        assert_eq!(made("PrimitiveFloat", json!({"value": number})).unwrap(), text);
    }
    assert_eq!(made("PrimitiveBoolean", json!({"value": true})).unwrap(), "True");
    assert_eq!(made("PrimitiveInt", json!({"value": -7})).unwrap(), "-7");
    assert_eq!(made("PrimitiveString", json!({"value": "True \"é\""})).unwrap(), "True \"é\"");
    for (literal, text) in [
        (Value::Null, "None"),
        (json!(false), "False"),
        (json!(1e16), "1e+16"),
        (json!(1e22), "1e+22"),
        (json!({"__value__": [1, 2.0, "ü", null, true]}), r#"[1, 2.0, "\u00fc", null, true]"#),
        (json!({"a": {"b": 1e-5}}), r#"{"a": {"b": 1e-05}}"#),
        (json!({"__float__": "NaN"}), "nan"),
        (json!({"__float__": "-Infinity"}), "-inf"),
    ] {
        assert_eq!(shown(&literal, None).unwrap(), text, "{literal}");
    }
}

fn searched(class: &str, string: &str, pattern: &str, more: &Value) -> Result<String, String> {
    let mut inputs = json!({
        "string": string, "regex_pattern": pattern, "case_insensitive": true, "multiline": false, "dotall": false
    });
    inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    made(class, inputs)
}

#[test]
fn patterns_are_pythons() {
    let first = json!({"mode": "First Match", "group_index": 1});
    assert_eq!(searched("RegexExtract", "seed: 123, steps: 20", r"(?<=steps: )\d+", &first).unwrap(), "20");
    let replaced = |string, pattern, replace: &str| {
        searched("RegexReplace", string, pattern, &json!({"replace": replace, "count": 0})).unwrap()
    };
    assert_eq!(replaced("red fox, blue car", r"(\w+) (\w+)", r"\g<2> \1"), "fox red, car blue");
    assert_eq!(replaced("a a cat sat on the the mat", r"\b(\w+) \1\b", r"\1"), "a cat sat on the mat");
    let named = "(?P<key>\\w+)=(?P<value>\\w+)";
    assert_eq!(replaced("a=1, b=2", named, r"\g<value>:\g<key>$1"), "1:a$1, 2:b$1");
    let none = r"^(?!.*nsfw).*$";
    assert_eq!(searched("RegexExtract", "1girl, best", none, &first).unwrap(), "1girl, best");
    assert_eq!(searched("RegexMatch", "1girl, nsfw", none, &json!({})).unwrap(), "False");
    assert_eq!(searched("RegexMatch", "Ab", "^(?-i:a)", &json!({})).unwrap(), "False");
    let only = |count: usize| json!({"replace": "-", "count": count});
    assert_eq!(searched("RegexReplace", "abxd", "x*", &only(2)).unwrap(), "-a-bxd");
}

#[test]
fn extracting_gives_finds_or_groups() {
    let extracted = |pattern, mode: &str, group: usize| {
        searched("RegexExtract", "a1 b2 c", pattern, &json!({"mode": mode, "group_index": group})).unwrap()
    };
    assert_eq!(extracted(r"\w\d", "All Matches", 1), "a1\nb2");
    // As Python's `findall`: the first group where there are groups.
    assert_eq!(extracted(r"(\w)(\d)", "All Matches", 2), "a\nb");
    assert_eq!(extracted(r"(\w)(\d)", "First Group", 2), "1");
    assert_eq!(extracted(r"(\w)(\d)", "First Group", 0), "a1");
    assert_eq!(extracted(r"(\w)(\d)", "First Group", 3), "");
    assert_eq!(extracted(r"(\w)(\d)", "All Groups", 2), "1\n2");
    assert_eq!(extracted(r"\w\d", "All Groups", 0), "");
    assert_eq!(extracted(r"q", "First Match", 1), "");
}

#[test]
fn what_is_no_pattern_finds_nothing_and_what_cant_be_run_is_an_error() {
    // As in ComfyUI.
    assert_eq!(searched("RegexMatch", "a", "(", &json!({})).unwrap(), "False");
    let replace = json!({"replace": "\\2", "count": 0});
    let error = searched("RegexReplace", "a", "(", &replace).unwrap_err();
    assert!(error.contains("RegexReplace") && error.contains("`regex_pattern`: missing ), unterminated"), "{error}");
    let error = searched("RegexReplace", "a", "a", &replace).unwrap_err();
    assert!(error.contains("`replace`: invalid group reference 2"), "{error}");
    let error = searched("RegexMatch", "•", r"\N{BULLET}", &json!({})).unwrap_err();
    assert!(error.contains("RegexMatch") && error.contains("can't run"), "{error}");
    let endless = "x".repeat(200);
    let error = searched("RegexMatch", &endless, "(x+x+)+y(?!z)", &json!({})).unwrap_err();
    assert!(error.contains("too many ways"), "{error}");
}

#[test]
fn blanks_and_words_are_pythons() {
    let trimmed = made("StringTrim", json!({"string": "\u{1c}\u{3000} a \u{1f}", "mode": "Both"})).unwrap();
    assert_eq!(trimmed, "a");
    let titled = made("CaseConverter", json!({"string": "don't a中b x2y", "mode": "Title Case"})).unwrap();
    assert_eq!(titled, "Don'T A中B X2Y");
}
