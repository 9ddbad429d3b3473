//! The few habits of Python that the prompt format has taken over: truth, equality, and how values print.
//!
//! ComfyUI's error texts quote values as Python prints them; clients and tests compare those texts.

use std::fmt;

use serde_json::{Number, Value};

use crate::text::non_finite;

/// Python's `bool(value)`.
pub(crate) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Python's `a == b`: `1`, `1.0` and `True` are one value.
pub(crate) fn equal(a: &Value, b: &Value) -> bool {
    let number = |v: &Value| match v {
        Value::Bool(b) => Some(Number::from(u8::from(*b))),
        Value::Number(n) => Some(n.clone()),
        _ => None,
    };
    match (number(a), number(b)) {
        (Some(a), Some(b)) => compare(&a, &b) == Some(std::cmp::Ordering::Equal),
        (None, None) => a == b,
        _ => false,
    }
}

/// Compares two numbers exactly: integers as integers, else as floats.
pub(crate) fn compare(a: &Number, b: &Number) -> Option<std::cmp::Ordering> {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// The number as an integer, if it was written as one.
pub(crate) fn integer(n: &Number) -> Option<i128> {
    n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from))
}

/// Python's name of the value's type.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) if non_finite::non_finite(value).is_some() => "float",
        Value::Object(_) => "dict",
    }
}

/// Displays as Python's `str(value)`.
pub(crate) struct Str<'a>(pub(crate) &'a Value);
/// Displays as Python's `repr(value)`.
pub(crate) struct Repr<'a>(pub(crate) &'a Value);

impl fmt::Display for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(s) => f.write_str(s),
            other => write!(f, "{}", Repr(other)),
        }
    }
}

impl fmt::Display for Repr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("None"),
            Value::Bool(true) => f.write_str("True"),
            Value::Bool(false) => f.write_str("False"),
            Value::Number(n) => number(f, n),
            Value::String(s) => string(f, s),
            Value::Array(items) => list(f, items),
            Value::Object(_) if let Some(word) = non_finite::word(self.0) => f.write_str(match word {
                "NaN" => "nan",
                "Infinity" => "inf",
                _ => "-inf",
            }),
            Value::Object(map) => {
                f.write_str("{")?;
                for (i, (key, value)) in map.iter().enumerate() {
                    f.write_str(if i > 0 { ", " } else { "" })?;
                    string(f, key)?;
                    write!(f, ": {}", Repr(value))?;
                }
                f.write_str("}")
            }
        }
    }
}

/// A list as Python prints it.
pub(crate) fn list(f: &mut fmt::Formatter<'_>, items: &[Value]) -> fmt::Result {
    f.write_str("[")?;
    for (i, item) in items.iter().enumerate() {
        f.write_str(if i > 0 { ", " } else { "" })?;
        write!(f, "{}", Repr(item))?;
    }
    f.write_str("]")
}

fn number(f: &mut fmt::Formatter<'_>, n: &Number) -> fmt::Result {
    match n.as_f64().filter(|_| n.is_f64()) {
        Some(x) => f.write_str(&python_float(x)),
        None => write!(f, "{n}"),
    }
}

/// A float as Python prints it: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
///
/// ```
/// assert_eq!(["3.0", "1e-07", "1e+22", "nan"], [3.0, 1e-7, 1e22, f64::NAN].map(kiln_graph::python_float));
/// ```
pub fn python_float(x: f64) -> String {
    if !x.is_finite() {
        let sign = if x < 0.0 { "-" } else { "" };
        return if x.is_nan() { "nan".to_owned() } else { format!("{sign}inf") };
    }
    if x != 0.0 && !(1e-4..1e16).contains(&x.abs()) {
        let text = format!("{x:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(rest) => ('-', rest),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{x:?}")
}

/// Single quotes, unless the text has some and no double ones.
fn string(f: &mut fmt::Formatter<'_>, s: &str) -> fmt::Result {
    use std::fmt::Write as _;
    let quote = if s.contains('\'') && !s.contains('"') { '"' } else { '\'' };
    f.write_char(quote)?;
    for c in s.chars() {
        match c {
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\\' => f.write_str("\\\\")?,
            c if c == quote => write!(f, "\\{c}")?,
            c if c.is_control() && (c as u32) < 0x100 => write!(f, "\\x{:02x}", c as u32)?,
            c => f.write_char(c)?,
        }
    }
    f.write_char(quote)
}
