//! JSON as text inside image files: one line, `", "` and `": "` between parts, everything outside ASCII escaped.
//!
//! PNG text chunks are Latin-1, and programs compare these texts, so the form is that of Python's `json.dumps`.

use std::fmt::Write;

use kiln_graph::{non_finite, python_float};
use serde_json::{Number, Value};

/// `value` as one line of ASCII.
pub fn json_text(value: &Value) -> String {
    let mut out = String::new();
    push(&mut out, value);
    out
}

fn push(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => push_number(out, number),
        Value::String(text) => push_text(out, text),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                push(out, item);
            }
            out.push(']');
        }
        number if let Some(number) = non_finite(number) => out.push_str(match number {
            number if number.is_nan() => "NaN",
            number if number > 0.0 => "Infinity",
            _ => "-Infinity",
        }),
        Value::Object(entries) => {
            out.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                push_text(out, key);
                out.push_str(": ");
                push(out, value);
            }
            out.push('}');
        }
    }
}

fn push_number(out: &mut String, number: &Number) {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(float) => out.push_str(&python_float(float)),
        None => out.push_str(&number.to_string()),
    }
}

fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' | '\u{7f}' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing into a text never fails.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::json_text;

    #[test]
    fn the_text_has_pythons_separators_and_ascii_only() {
        let text = json_text(&json!({"a": [1, 2.5, null, true], "ü": "é\n\"😀"}));
        assert_eq!(text, r#"{"a": [1, 2.5, null, true], "\u00fc": "\u00e9\n\"\ud83d\ude00"}"#);
    }

    #[test]
    fn numbers_are_pythons() {
        let text = json_text(&json!([1e-7, 1e22, 3.0, -0.5, 12, {"__float__": "NaN"}, {"__float__": "-Infinity"}]));
        assert_eq!(text, "[1e-07, 1e+22, 3.0, -0.5, 12, NaN, -Infinity]");
        assert_eq!(json_text(&json!("\u{1}\t\u{8}\u{7f}\\/")), r#""\u0001\t\b\u007f\\/""#.replace("\\u007f", "\u{7f}"));
    }
}
