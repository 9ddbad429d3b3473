//! One literal against its declaration: type, range, choices. Knows neither links nor other nodes.

use std::fmt::Display;

use serde_json::Value;

use super::coerce::coerce;
use super::error::{ErrorKind, ValidationError};
use crate::def::InputDef;
use crate::input::WRAP;
use crate::python::{Repr, Str, compare, equal};
use crate::suggest;
use crate::text::non_finite;

/// Longer lists of choices are not sent back.
const LONG_LIST: usize = 20;
/// Values in sentences for people are cut here.
const LONGEST_QUOTE: usize = 60;

/// Checks one literal. Returns what should stand in its place, if that is another value.
///
/// `checked` is false where the class's own validator looks at the input: then range and choices are its matter.
pub(super) fn check(input: &InputDef, value: &Value, checked: bool) -> (Option<Value>, Option<ValidationError>) {
    let unwrapped = value.get(WRAP);
    let inner = unwrapped.unwrap_or(value);
    let coerced = match coerce(input.ty.name().unwrap_or_default(), inner) {
        Ok(coerced) => coerced,
        Err(reason) => return (unwrapped.cloned(), Some(wrong_type(input, inner, &reason))),
    };
    let last = coerced.as_ref().unwrap_or(inner);
    let error = if checked { out_of_range(input, last).or_else(|| not_a_choice(input, last)) } else { None };
    (coerced.or_else(|| unwrapped.cloned()), error)
}

fn wrong_type(input: &InputDef, value: &Value, reason: &str) -> ValidationError {
    let (name, ty) = (&input.name, &input.ty);
    ValidationError::new(ErrorKind::InvalidInputType)
        .message(format!("Failed to convert an input value to a {ty} value"))
        .details(format!("{name}, {}, {reason}", Str(value)))
        .info("input_name", (&**name).into())
        .info("input_config", input.config())
        .info("received_value", value.clone())
        .info("exception_message", reason.into())
        .plain(format!("input `{name}`: {} is not {}", quote(value), wanted(input)))
}

/// What an input wants, for people: `a whole number from 1 to 10000`.
fn wanted(input: &InputDef) -> String {
    let what = match input.ty.name() {
        Some("INT") => "a whole number",
        Some("FLOAT") => "a finite number",
        Some("BOOLEAN") => "true or false",
        Some("STRING") => "text",
        _ => "what it takes",
    };
    format!("{what}{}", range(input))
}

fn range(input: &InputDef) -> String {
    let bound = |key: &str| input.options.get(key).filter(|v| v.is_number()).map(|v| Str(v).to_string());
    match (bound("min"), bound("max")) {
        (Some(min), Some(max)) => format!(" from {min} to {max}"),
        (Some(min), None) => format!(", {min} or more"),
        (None, Some(max)) => format!(", {max} or less"),
        (None, None) => String::new(),
    }
}

fn out_of_range(input: &InputDef, value: &Value) -> Option<ValidationError> {
    use std::cmp::Ordering;
    let Value::Number(number) = value else { return None };
    let beyond = |key: &str, side: Ordering| match input.options.get(key) {
        Some(Value::Number(bound)) => (compare(number, bound) == Some(side)).then_some(bound),
        _ => None,
    };
    let (kind, bound, word) = match (beyond("min", Ordering::Less), beyond("max", Ordering::Greater)) {
        (Some(min), _) => (ErrorKind::ValueSmallerThanMin, min, "smaller than min"),
        (_, Some(max)) => (ErrorKind::ValueBiggerThanMax, max, "bigger than max"),
        _ => return None,
    };
    let bound = Value::Number(bound.clone());
    Some(
        ValidationError::new(kind)
            .message(format!("Value {} {word} of {}", Str(value), Str(&bound)))
            .details(&*input.name)
            .info("input_name", (&*input.name).into())
            .info("input_config", input.config())
            .info("received_value", value.clone())
            .plain(format!("input `{}`: {} is out of range; give {}", input.name, quote(value), wanted(input))),
    )
}

fn not_a_choice(input: &InputDef, value: &Value) -> Option<ValidationError> {
    let options: Vec<Value>;
    let choices = if input.is_dynamic_combo() {
        options = input.option_keys().map(Value::from).collect();
        &options
    } else {
        input.choices()?
    };
    if input.flag("remote_combo") {
        return None;
    }
    let known = |value: &Value| choices.iter().any(|choice| equal(choice, value));
    let wrong: Vec<&Value> = match value {
        Value::Array(values) if input.flag("multiselect") => values.iter().filter(|v| !known(v)).collect(),
        _ if known(value) => return None,
        _ => vec![value],
    };
    let first = *wrong.first()?;
    let long = choices.len() > LONG_LIST;
    let list = if long {
        format!("(list of length {})", choices.len())
    } else {
        Repr(&Value::Array(choices.to_vec())).to_string()
    };
    let wrong: Vec<String> = wrong.into_iter().map(|v| Repr(v).to_string()).collect();
    Some(
        ValidationError::new(ErrorKind::ValueNotInList)
            .message("Value not in list")
            .details(format!("{}: {} not in {list}", input.name, wrong.join(", ")))
            .info("input_name", (&*input.name).into())
            .info("input_config", if long { Value::Null } else { input.config() })
            .info("received_value", value.clone())
            .plain(format!("input `{}`: there is no {}; {}", input.name, quote(first), advice(choices, first))),
    )
}

/// Which choice to take instead.
fn advice(choices: &[Value], value: &Value) -> String {
    let names = || choices.iter().filter_map(Value::as_str);
    if choices.is_empty() {
        return "there is nothing to choose from: put the file into its folder".to_owned();
    }
    if let Some(nearest) = value.as_str().and_then(|word| suggest::nearest(word, names())) {
        return format!("did you mean `{nearest}`?");
    }
    let shown: Vec<String> = choices.iter().take(LONG_LIST).map(|c| format!("`{}`", Str(c))).collect();
    let more =
        if choices.len() > LONG_LIST { format!(" and {} more", choices.len() - LONG_LIST) } else { String::new() };
    format!("choose among {}{more}", shown.join(", "))
}

/// A value as people quote it, cut if it is long.
pub(super) fn quote(value: &Value) -> impl Display {
    let text = match non_finite::word(value) {
        Some(word) => word.to_owned(),
        None if value.is_string() => format!("`{}`", Str(value)),
        None => value.to_string(),
    };
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
