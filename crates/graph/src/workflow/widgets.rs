//! Widget values: which stored value belongs to which input.
//!
//! Knows one node and its definition. Knows no links.

use serde_json::{Map as Object, Value, json};

use super::ui::{UiNode, WidgetValues};
use crate::def::{Group, InputDef, NodeDef};

/// Types that the page shows as a widget rather than a socket.
const WIDGET_TYPES: &[&str] = &[
    "INT",
    "FLOAT",
    "STRING",
    "BOOLEAN",
    "COMBO",
    "COMFY_DYNAMICCOMBO_V3",
    "MARKDOWN",
    "COLOR",
    "TEXTAREA",
    "CURVE",
    "RANGE",
    "BOUNDING_BOX",
    "PAINTER",
];

/// Buttons that store a value of their own after all others.
const UPLOADS: &[&str] = &["image_upload", "video_upload", "animated_image_upload"];

fn widget_type(input: &InputDef) -> bool {
    let known = |name: &str| WIDGET_TYPES.contains(&name);
    let declared = input.options.get("widgetType").and_then(Value::as_str).is_some_and(known);
    declared || input.ty.name().is_none_or(known)
}

/// Inputs in the order in which the page makes their widgets.
fn in_order(def: &NodeDef) -> impl Iterator<Item = &InputDef> {
    def.group(Group::Required).chain(def.group(Group::Optional))
}

/// The inputs that are widgets.
pub(super) fn widgets(def: &NodeDef) -> impl Iterator<Item = &InputDef> {
    in_order(def).filter(|input| is_widget(input))
}

/// Whether an input is a widget rather than a socket.
pub(super) fn is_widget(input: &InputDef) -> bool {
    widget_type(input) && !input.flag("forceInput")
}

/// How many stored values after this input's belong to its control (`randomize` and the like).
pub(super) fn controls(input: &InputDef) -> usize {
    let combo = input.ty.name().is_none_or(|name| name == "COMBO");
    match input.options.get("control_after_generate") {
        Some(option) if crate::python::truthy(option) => 1 + usize::from(combo),
        Some(_) => 0,
        None => usize::from(input.ty.is("INT") && matches!(&*input.name, "seed" | "noise_seed")),
    }
}

/// What stands in the dynamic choices of a node, as far as they were looked at.
#[derive(Default)]
struct Chosen<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Chosen<'a> {
    /// Whether the node has this input. A choice is remembered, its first option where nothing is `stored` for it.
    fn has(&mut self, input: &'a InputDef, stored: Option<&'a Value>) -> bool {
        let exists = input.only_for.as_ref().is_none_or(|(choice, key)| self.0.contains(&(&**choice, &**key)));
        if exists && input.is_dynamic_combo() {
            let key = stored.and_then(Value::as_str).or_else(|| input.option_keys().next());
            self.0.extend(key.map(|key| (&*input.name, key)));
        }
        exists
    }
}

/// The inputs by stored position; `None` where the page stores something that it never sends. Which of them there are
/// depends on what is stored for dynamic choices.
fn positions<'d>(def: &'d NodeDef, forced: bool, list: &[Value]) -> Vec<Option<&'d InputDef>> {
    let mut places = Vec::new();
    let mut chosen = Chosen::default();
    for input in in_order(def).filter(|input| widget_type(input)) {
        if !chosen.has(input, list.get(places.len())) {
            continue;
        }
        if !input.flag("forceInput") {
            places.push(Some(input));
            places.extend(std::iter::repeat_n(None, controls(input)));
        } else if forced {
            places.push(None);
        }
    }
    let upload = |input: &InputDef| UPLOADS.iter().any(|option| input.flag(option));
    if def.group(Group::Required).any(upload) {
        places.push(None);
    }
    places
}

/// The values that the page would send, by input name in widget order.
pub(super) fn values<'d>(def: &'d NodeDef, node: &UiNode) -> Vec<(&'d InputDef, Value)> {
    match &node.values {
        WidgetValues::Named(named) => by_name(def, named),
        WidgetValues::None => match &node.named {
            Some(named) => by_name(def, named),
            None => by_position(def, &[]),
        },
        WidgetValues::List(list) => {
            let fits = |forced| positions(def, forced, list).len() == list.len();
            match &node.named {
                Some(named) if !fits(false) && !fits(true) => by_name(def, named),
                _ => by_position(def, list),
            }
        }
    }
}

fn by_name<'d>(def: &'d NodeDef, named: &Object<String, Value>) -> Vec<(&'d InputDef, Value)> {
    let value = |input: &InputDef| named.get(&*input.name).cloned().or_else(|| input.default_value());
    let mut chosen = Chosen::default();
    let own = widgets(def).filter(|input| chosen.has(input, named.get(&*input.name)));
    own.filter_map(|input| Some((input, value(input)?))).collect()
}

/// The inputs with the places of their values in that list.
pub(super) fn stored_at<'d>(def: &'d NodeDef, list: &[Value]) -> impl Iterator<Item = (usize, &'d InputDef)> + use<'d> {
    let plain = positions(def, false, list);
    // Files from before the page's version 1.16 also stored a value for inputs that are always sockets.
    let old = Some(positions(def, true, list)).filter(|old| old.len() == list.len() && old.len() != plain.len());
    let places = old.unwrap_or(plain);
    places.into_iter().enumerate().filter_map(|(place, input)| Some((place, input?)))
}

fn by_position<'d>(def: &'d NodeDef, list: &[Value]) -> Vec<(&'d InputDef, Value)> {
    let value = |(place, input): (usize, &'d InputDef)| {
        Some((input, list.get(place).cloned().or_else(|| input.default_value())?))
    };
    stored_at(def, list).filter_map(value).collect()
}

/// The value with the names of today: samplers were once called `sample_euler`.
pub(super) fn of_today(def: &NodeDef, input: &InputDef, value: Value) -> Value {
    let samples = matches!(&*def.class_type, "KSampler" | "KSamplerAdvanced") && &*input.name == "sampler_name";
    match value.as_str().and_then(|name| name.strip_prefix("sample_")) {
        Some(name) if samples => name.into(),
        _ => value,
    }
}

/// The value in the form in which it is sent; `None` for a widget that is not.
pub(super) fn sent(input: &InputDef, value: Value) -> Option<Value> {
    if input.options.get("serialize").is_some_and(|option| !crate::python::truthy(option)) {
        return None;
    }
    match input.ty.name() {
        Some("CURVE") if value.is_array() => Some(json!({"__type__": "CURVE", "__value__": value})),
        _ => Some(value),
    }
}
