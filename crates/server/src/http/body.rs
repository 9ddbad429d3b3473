//! Bodies: JSON whatever the content type says, as clients post it without one.

use kiln_graph::read_json;
use serde_json::{Map, Value};

use super::answer::Refusal;

/// The JSON of a body.
///
/// # Errors
/// 400 with line and column.
pub(crate) fn json(body: &[u8]) -> Result<Value, Refusal> {
    read_json(body).map_err(|error| Refusal::wrong("invalid_json", "The request's body is not JSON", error.to_string()))
}

/// The JSON object of a body.
///
/// # Errors
/// 400 when it is none.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match json(body)? {
        Value::Object(object) => Ok(object),
        _ => Err(Refusal::wrong("invalid_json", "The request's body is not a JSON object", "")),
    }
}

/// Whether a key is there and true, as Python sees it.
pub(crate) fn is_set(object: &Map<String, Value>, key: &str) -> bool {
    match object.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(truth)) => *truth,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(entries)) => !entries.is_empty(),
    }
}

/// The texts of a list under a key; whatever is no text is passed over.
pub(crate) fn texts(object: &Map<String, Value>, key: &str) -> Vec<String> {
    let items = object.get(key).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}
