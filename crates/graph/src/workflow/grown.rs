//! Widgets that packs add to a node while it is drawn: the class declares none of them, and the page sends their values.
//!
//! A table of such classes. Knows saved values, no links and no definitions.

use serde_json::{Map as Object, Value, json};

use super::ui::{UiNode, WidgetValues};

/// What the page sends for widgets of a node that its class does not declare, by name, in their order.
pub(super) fn values(node: &UiNode) -> Vec<(String, Value)> {
    match node.ty.as_str() {
        "Power Lora Loader (rgthree)" => loras(node),
        "VHS_VideoCombine" => formats(node),
        _ => Vec::new(),
    }
}

/// A row for each LoRA, between the header and the button that adds one.
fn loras(node: &UiNode) -> Vec<(String, Value)> {
    let header = "PowerLoraLoaderHeaderWidget";
    let separate = node.properties.get("Show Strengths").and_then(Value::as_str) == Some("Separate Model & Clip");
    let list = match &node.values {
        WidgetValues::List(list) => list.as_slice(),
        WidgetValues::Named(_) | WidgetValues::None => &[],
    };
    let rows = list.iter().filter_map(Value::as_object).filter(|row| row.contains_key("lora"));
    let rows = rows.enumerate().map(|(i, row)| (format!("lora_{}", i + 1), lora(row, separate)));
    let header = (header.to_owned(), json!({"type": header}));
    std::iter::once(header).chain(rows).chain([("➕ Add Lora".to_owned(), json!(""))]).collect()
}

/// The strength of the text encoders goes along only where the node shows it.
fn lora(row: &Object<String, Value>, separate: bool) -> Value {
    let mut row = row.clone();
    if separate {
        let second = row.entry("strengthTwo").or_insert(Value::Null);
        if second.is_null() {
            *second = json!(1);
        }
    } else {
        row.shift_remove("strengthTwo");
    }
    row.into()
}

/// The settings of the chosen format. The player that shows the last video is not sent.
fn formats(node: &UiNode) -> Vec<(String, Value)> {
    const DECLARED: &[&str] =
        &["frame_rate", "loop_count", "filename_prefix", "format", "pingpong", "save_output", "videopreview"];
    let WidgetValues::Named(named) = &node.values else { return Vec::new() };
    let added = named.iter().filter(|(name, value)| !DECLARED.contains(&name.as_str()) && !value.is_null());
    added.map(|(name, value)| (name.clone(), value.clone())).collect()
}
