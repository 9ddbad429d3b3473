//! Bringing a literal to its declared type, as Python's `int()`, `float()`, `str()` and `bool()` would.
//!
//! Knows values and the four widget types. Knows no ranges.

use serde_json::{Number, Value};

use crate::python::{Str, truthy, type_name};
use crate::text::non_finite;

/// The value as `ty` wants it; `None` when it is fine as it is.
///
/// # Errors
/// The text of Python's exception, or ours where Python would go on with a number that is none.
pub(super) fn coerce(ty: &str, value: &Value) -> Result<Option<Value>, String> {
    match ty {
        "INT" => int(value),
        "FLOAT" => float(value),
        "STRING" if !value.is_string() => Ok(Some(Value::from(Str(value).to_string()))),
        "BOOLEAN" if !value.is_boolean() => Ok(Some(Value::from(truthy(value)))),
        _ => Ok(None),
    }
}

fn int(value: &Value) -> Result<Option<Value>, String> {
    match value {
        Value::Number(n) if !n.is_f64() => Ok(None),
        Value::Number(n) => {
            let whole = n.as_f64().unwrap_or(f64::NAN).trunc();
            // Both bounds are powers of two, so the comparison is exact.
            if (-9_223_372_036_854_775_808.0..0.0).contains(&whole) {
                Ok(Some(Value::from(whole as i64)))
            } else if (0.0..18_446_744_073_709_551_616.0).contains(&whole) {
                Ok(Some(Value::from(whole as u64)))
            } else {
                Err(format!("{} does not fit in 64 bits", Str(value)))
            }
        }
        Value::Bool(b) => Ok(Some(Value::from(u8::from(*b)))),
        Value::String(text) => match digits(text).map(|text| text.parse::<i128>()) {
            Some(Ok(n)) => match i64::try_from(n).map(Value::from).or_else(|_| u64::try_from(n).map(Value::from)) {
                Ok(n) => Ok(Some(n)),
                Err(_) => Err(format!("{n} does not fit in 64 bits")),
            },
            _ => Err(format!("invalid literal for int() with base 10: {}", crate::python::Repr(value))),
        },
        other if non_finite::non_finite(other).is_some_and(f64::is_nan) => {
            Err("cannot convert float NaN to integer".to_owned())
        }
        other if non_finite::non_finite(other).is_some() => Err("cannot convert float infinity to integer".to_owned()),
        other => Err(format!(
            "int() argument must be a string, a bytes-like object or a real number, not '{}'",
            type_name(other)
        )),
    }
}

fn float(value: &Value) -> Result<Option<Value>, String> {
    let number = match value {
        Value::Number(n) if n.is_f64() => return Ok(None),
        Value::Number(n) => n.as_f64().unwrap_or(f64::NAN),
        Value::Bool(b) => f64::from(u8::from(*b)),
        Value::String(text) => digits(text)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| format!("could not convert string to float: {}", crate::python::Repr(value)))?,
        other if non_finite::non_finite(other).is_some() => f64::NAN,
        other => {
            return Err(format!("float() argument must be a string or a real number, not '{}'", type_name(other)));
        }
    };
    match Number::from_f64(number) {
        Some(number) => Ok(Some(Value::Number(number))),
        None => Err("not a finite number".to_owned()),
    }
}

/// The text without blanks around it and without Python's underscores between digits.
fn digits(text: &str) -> Option<String> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let digit = |i: Option<usize>| i.and_then(|i| bytes.get(i)).is_some_and(u8::is_ascii_digit);
    let misplaced = |(i, byte): (usize, &u8)| *byte == b'_' && !(digit(i.checked_sub(1)) && digit(Some(i + 1)));
    if bytes.iter().enumerate().any(misplaced) {
        return None;
    }
    Some(text.replace('_', ""))
}
