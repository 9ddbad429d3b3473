//! The parts of the page's JSON: ids, lists, slots, nodes.
//!
//! Generous where files differ (ids as numbers or texts, parts that are missing), strict where a part has a form that
//! cannot be meant. Knows no graph and no link.

use serde_json::Value;

use super::error::WorkflowError;
use super::ui::{Mode, UiInput, UiNode, WidgetValues};
use crate::prompt::kind;

pub(super) type Result<T> = std::result::Result<T, WorkflowError>;

/// The error for a part of the wrong form.
pub(super) fn wrong(at: impl Into<String>, expected: &'static str, found: &Value) -> WorkflowError {
    WorkflowError::Shape { at: at.into(), expected, found: kind(found) }
}

/// The list under `key`; absent and null are empty.
pub(super) fn list<'v>(value: &'v Value, key: &str, at: &str) -> Result<&'v [Value]> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(wrong(format!("{at}{key}"), "a list", other)),
    }
}

/// An id, which files write as number or text.
pub(super) fn id(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The text under `key`.
pub(super) fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

/// The numbers under `key`, which files write as a list or by place; what is none is 0.
pub(super) fn numbers<const N: usize>(value: &Value, key: &str) -> [f64; N] {
    let part = |place: usize| {
        let parts = value.get(key)?;
        parts.get(place).or_else(|| parts.get(place.to_string()))?.as_f64()
    };
    std::array::from_fn(|place| part(place).unwrap_or_default())
}

/// The type of a slot, which files write as text, number or list of choices.
fn ty(value: &Value) -> String {
    match value.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Array(_)) => "COMBO".to_owned(),
        _ => String::new(),
    }
}

/// A node as the page saves it.
pub(super) fn node(item: &Value, at: &str) -> Result<UiNode> {
    let ty = text(item, "type").ok_or_else(|| wrong(at, "an object with `type`", item))?;
    let at = format!("{at}.");
    let input = |item: &Value| UiInput {
        name: text(item, "name").unwrap_or_default(),
        label: text(item, "label").filter(|label| !label.is_empty()),
        ty: self::ty(item),
        link: id(item.get("link")),
        widget: item.get("widget").and_then(|widget| text(widget, "name")),
    };
    let values = match item.get("widgets_values") {
        Some(Value::Array(values)) => WidgetValues::List(values.clone()),
        Some(Value::Object(values)) => WidgetValues::Named(values.clone()),
        None | Some(Value::Null) => WidgetValues::None,
        Some(other) => return Err(wrong(format!("{at}widgets_values"), "a list or an object", other)),
    };
    Ok(UiNode {
        ty,
        title: text(item, "title"),
        mode: match item.get("mode").and_then(Value::as_i64) {
            Some(2) => Mode::Muted,
            Some(4) => Mode::Bypassed,
            _ => Mode::Always,
        },
        inputs: list(item, "inputs", &at)?.iter().map(input).collect(),
        outputs: list(item, "outputs", &at)?.iter().map(self::ty).collect(),
        values,
        named: item.get("widgets_values_named").and_then(Value::as_object).cloned(),
        properties: item.get("properties").and_then(Value::as_object).cloned().unwrap_or_default(),
        color: text(item, "color"),
        pos: numbers(item, "pos"),
        size: numbers(item, "size"),
    })
}
