//! What happens to stored values after a run: `increment`, `decrement`, `randomize`, as the page does it.
//!
//! Knows stored values and their controls. Knows no links but those of primitives.

use serde_json::Value;

use super::random::Random;
use super::ui::{Graph, UiNode, WidgetValues};
use super::widgets;
use crate::def::{Definitions, InputDef};
use crate::python::Str;

/// The page draws random numbers up to here only, so that they stay exact in its language.
const LARGEST: i128 = 1 << 50;

/// What a control can say.
const MODES: &[&str] = &["fixed", "increment", "increment-wrap", "decrement", "randomize"];

/// Moves every controlled value of a graph on by one run.
pub(super) fn advance(graph: &mut Graph, definitions: &dyn Definitions, random: &mut Random) {
    let primitives = targets(graph, definitions);
    for (id, node) in &mut graph.nodes {
        if let Some(input) = primitives.get(id) {
            advance_at(node, 0, input, random);
            continue;
        }
        let Some(def) = definitions.get(&node.ty) else { continue };
        let stored: Vec<_> = match &node.values {
            WidgetValues::List(list) => widgets::stored_at(def, list).collect(),
            _ => continue,
        };
        for (place, input) in stored {
            if widgets::controls(input) > 0 {
                advance_at(node, place, input, random);
            }
        }
    }
}

/// What each primitive is linked to, by the primitive's id.
fn targets<'d>(graph: &Graph, definitions: &'d dyn Definitions) -> crate::map::Map<String, &'d InputDef> {
    let target = |link: &super::ui::UiLink| {
        graph.nodes.get(&link.from).filter(|source| source.ty == "PrimitiveNode")?;
        let node = graph.nodes.get(&link.to)?;
        let input = node.input_at(link.to_slot)?;
        let widget = input.widget.as_deref().unwrap_or(&input.name);
        Some((link.from.clone(), definitions.get(&node.ty)?.find_input(widget)?))
    };
    graph.links.values().filter_map(target).collect()
}

/// Moves the value at `place` on, by the mode that stands behind it.
fn advance_at(node: &mut UiNode, place: usize, input: &InputDef, random: &mut Random) {
    let WidgetValues::List(list) = &mut node.values else { return };
    let Some(mode) = list.get(place + 1).and_then(mode).map(str::to_owned) else { return };
    let filter = list.get(place + 2).and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let Some(value) = list.get_mut(place) else { return };
    let next = match input.choices() {
        Some(choices) => next_choice(value, &mode, choices, &filter, random),
        None => next_number(value, &mode, input, random),
    };
    if let Some(next) = next {
        *value = next;
    }
}

/// The mode that stands behind a value. Files of 2023 have true for `randomize`, false for `fixed`.
pub(super) fn mode(stored: &Value) -> Option<&str> {
    match stored {
        Value::Bool(true) => Some("randomize"),
        Value::Bool(false) => Some("fixed"),
        other => other.as_str().filter(|mode| MODES.contains(mode)),
    }
}

fn next_number(value: &Value, mode: &str, input: &InputDef, random: &mut Random) -> Option<Value> {
    let whole = |value: &Value| value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    let option = |key: &str| input.options.get(key).and_then(whole);
    let (min, max) = (option("min").unwrap_or(0), option("max").unwrap_or(LARGEST));
    let step = option("step").filter(|step| *step > 0).unwrap_or(1);
    let next = match mode {
        "increment" => whole(value)? + step,
        "decrement" => whole(value)? - step,
        "randomize" => {
            let (low, high) = (min.max(-LARGEST), max.min(LARGEST));
            let steps = (high - low).max(0) / step + 1;
            low + (i128::from(random.next()) % steps) * step
        }
        _ => return None,
    };
    let next = next.min(max).max(min);
    i64::try_from(next).map(Value::from).or_else(|_| u64::try_from(next).map(Value::from)).ok()
}

fn next_choice(value: &Value, mode: &str, choices: &[Value], filter: &str, random: &mut Random) -> Option<Value> {
    let passes = |choice: &&Value| Str(choice).to_string().to_lowercase().contains(filter);
    let choices: Vec<&Value> = choices.iter().filter(passes).collect();
    let last = choices.len().checked_sub(1)?;
    let now = choices.iter().position(|choice| *choice == value);
    let next = match (mode, now) {
        ("increment", Some(now)) => (now + 1).min(last),
        ("increment-wrap", Some(now)) if now < last => now + 1,
        ("decrement", Some(now)) => now.saturating_sub(1),
        ("increment" | "increment-wrap" | "decrement", _) => 0,
        ("randomize", _) => (random.next() % choices.len() as u64) as usize,
        _ => return None,
    };
    choices.get(next).map(|choice| (*choice).clone())
}
