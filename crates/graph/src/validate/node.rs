//! All inputs of one node: what is wrong with them, and which nodes they lead to.
//!
//! Knows one node at a time; the order of nodes is the walk's matter.

use std::sync::Arc;

use serde_json::{Value, json};

use super::error::{ErrorKind, ValidationError};
use super::validators::{ValidatorCall, Verdict};
use super::{links, literal};
use crate::def::{Group, InputDef, NodeDef};
use crate::id::Link;
use crate::input::Input;
use crate::inputs::Inputs;
use crate::map::Map;
use crate::prompt::Prompt;
use crate::suggest;

/// A node that must be valid too, and the input that leads there.
#[derive(Clone, Copy)]
pub(super) struct Edge {
    /// The source's place in the prompt.
    pub(super) source: u32,
    /// Which of its outputs.
    pub(super) socket: u32,
    /// The input's place among the inputs of the node that holds the link.
    pub(super) input: u32,
}

/// Checks every input of the node at `index`, coerces its literals, and appends the sources that it leads to.
pub(super) fn check(
    prompt: &mut Prompt,
    defs: &[&NodeDef],
    index: u32,
    edges: &mut Vec<Edge>,
    errors: &mut Vec<ValidationError>,
) {
    let def = defs[index as usize];
    let mut seen = 0;
    for input in def.inputs.iter().filter(|input| input.group != Group::Hidden) {
        let Some((_, node)) = prompt.nodes.get_index(index as usize) else { return };
        if !exists(input, &node.inputs) {
            continue;
        }
        let Some((place, given)) = find(&node.inputs, seen, &input.name) else {
            if input.is_required() {
                errors.push(missing(input, def, &node.inputs));
            }
            continue;
        };
        seen += 1;
        match given {
            Input::Link(link) => match links::resolve(prompt, defs, near(index, edges), &input.name, Some(input), link)
            {
                Err(error) => errors.push(error),
                Ok(source) => {
                    let free = def.validator.as_ref().is_some_and(|validator| validator.wants_input_types);
                    if free || source.ty.links_into(&input.ty) {
                        edges.push(Edge { source: source.index, socket: link.socket as u32, input: place as u32 });
                    } else {
                        errors.push(links::mismatch(input, source.ty, link, defs[source.index as usize]));
                    }
                }
            },
            Input::Malformed(value) => errors.push(links::malformed(input, value)),
            Input::Opaque(_) => {}
            Input::Literal(value) => {
                let checked = def.validator.as_ref().is_none_or(|validator| !validator.takes(&input.name));
                let (replacement, error) = literal::check(input, value, checked);
                errors.extend(error);
                if let Some(value) = replacement
                    && let Some((_, node)) = prompt.nodes.get_index_mut(index as usize)
                {
                    node.inputs[place] = Input::literal(value);
                }
            }
        }
    }
    undeclared(prompt, defs, index, seen, edges, errors);
}

/// Whether a node with these inputs has this one: always, unless it belongs to an option that is not chosen.
fn exists(input: &InputDef, given: &Inputs) -> bool {
    let Some((choice, key)) = &input.only_for else { return true };
    given.get(choice).and_then(Input::as_value).and_then(Value::as_str) == Some(key)
}

/// Where the next link of the node at `index` may lead: near the node, or near where the last one led.
fn near(index: u32, edges: &[Edge]) -> links::Near {
    links::Near { holder: index, last: edges.last().map_or(index, |edge| edge.source) }
}

/// The input of that name and its place. Prompts mostly list inputs as the class does, so `hint` is tried first.
fn find<'a>(inputs: &'a Inputs, hint: usize, name: &Arc<str>) -> Option<(usize, &'a Input)> {
    match inputs.get_index(hint) {
        Some((key, input)) if key == name => Some((hint, input)),
        _ => inputs.get_full(name).map(|(place, _, input)| (place, input)),
    }
}

/// Links in inputs that the class does not declare are resolved when the node runs, so they must lead somewhere.
fn undeclared(
    prompt: &Prompt,
    defs: &[&NodeDef],
    index: u32,
    seen: usize,
    edges: &mut Vec<Edge>,
    errors: &mut Vec<ValidationError>,
) {
    let Some((_, node)) = prompt.nodes.get_index(index as usize) else { return };
    if seen == node.inputs.len() {
        return;
    }
    let def = defs[index as usize];
    for (place, (name, input)) in node.inputs.iter().enumerate() {
        let Input::Link(link) = input else { continue };
        let visible = |declared: &InputDef| declared.group != Group::Hidden && exists(declared, &node.inputs);
        if def.find_input(name).is_some_and(visible) {
            continue;
        }
        match links::resolve(prompt, defs, near(index, edges), name, None, link) {
            Ok(source) => {
                edges.push(Edge { source: source.index, socket: link.socket as u32, input: place as u32 });
            }
            Err(error) => errors.push(error),
        }
    }
}

fn missing(input: &InputDef, def: &NodeDef, given: &Inputs) -> ValidationError {
    let name = &input.name;
    let unknown = given.keys().map(|key| &**key).filter(|key| def.find_input(key).is_none());
    let misspelt = suggest::nearest(name, unknown.take(100)).map(|key| format!(" (`{key}` is given: is that meant?)"));
    let misspelt = misspelt.unwrap_or_default();
    let what = match input.ty.name() {
        None | Some("COMBO") => "choose one of its values".to_owned(),
        Some(ty @ ("INT" | "FLOAT" | "STRING" | "BOOLEAN")) => format!("give it a value ({ty})"),
        Some(ty) => format!("link an output of type {ty} to it"),
    };
    ValidationError::new(ErrorKind::RequiredInputMissing)
        .message("Required input is missing")
        .details(&**name)
        .info("input_name", (&**name).into())
        .plain(format!("input `{name}` is required and not given{misspelt}; {what}"))
}

/// The call to the class's own validator; `None` when it has none.
pub(super) fn validator_call<'a>(prompt: &'a Prompt, defs: &[&'a NodeDef], index: u32) -> Option<ValidatorCall<'a>> {
    let def = defs[index as usize];
    let validator = def.validator.as_ref()?;
    let (id, node) = prompt.nodes.get_index(index as usize)?;
    let declared = |name: &str, input: &Input| {
        input.as_link().is_some() || def.accept_all_inputs || def.find_input(name).is_some()
    };
    let inputs = node.inputs.iter().filter(|(name, input)| validator.takes(name) && declared(name, input));
    let inputs = inputs.map(|(name, input)| (name, input.as_value())).collect();
    let typed = |(name, link): (&'a Arc<str>, &'a Link)| {
        def.find_input(name)?;
        let source = defs.get(prompt.nodes.get_index_of(&link.node)?)?;
        Some((name, &source.outputs.get(link.socket)?.ty))
    };
    let input_types = if validator.wants_input_types { node.links().filter_map(typed).collect() } else { Vec::new() };
    Some(ValidatorCall { id, def, inputs, input_types })
}

/// Turns a validator's verdict into errors: one per input that it took, as ComfyUI reports it.
pub(super) fn apply_verdict(call: &ValidatorCall<'_>, verdict: Verdict, errors: &mut Vec<ValidationError>) {
    let reason = match verdict {
        Verdict::Good => return,
        Verdict::Failed { exception_type, message } => {
            errors.push(broken_down(&exception_type, &message));
            return;
        }
        Verdict::Bad(reason) => reason,
    };
    let wants_types = call.def.validator.as_ref().is_some_and(|validator| validator.wants_input_types);
    let types = wants_types.then_some("input_types");
    let names: Vec<&str> = call.inputs.iter().map(|(name, _)| &***name).chain(types).collect();
    let suffix = reason.as_ref().map(|reason| format!(" - {reason}")).unwrap_or_default();
    let why = reason.unwrap_or_else(|| "its values do not go together".to_owned());
    let error = || {
        ValidationError::new(ErrorKind::CustomValidationFailed)
            .message("Custom validation failed for node")
            .plain(format!("the node refuses its inputs: {why}"))
    };
    if names.is_empty() {
        errors.push(error().details(suffix.trim_start_matches(" - ")));
    }
    for name in names {
        errors.push(error().details(format!("{name}{suffix}")).info("input_name", name.into()));
    }
}

fn broken_down(exception_type: &str, message: &str) -> ValidationError {
    ValidationError::new(ErrorKind::ExceptionDuringValidation)
        .message("Exception when validating node")
        .details(message)
        .info("exception_type", exception_type.into())
        .info("traceback", json!([]))
        .plain(format!("its validator failed: {message}"))
}

/// Rewords an error as it is reported for a node that was reached through a link of `holder`.
pub(super) fn report_as_inner(
    error: &mut ValidationError,
    prompt: &Prompt,
    defs: &[&NodeDef],
    holder: u32,
    edge: Edge,
) {
    if error.kind != ErrorKind::ExceptionDuringValidation {
        return;
    }
    let Some((_, node)) = prompt.nodes.get_index(holder as usize) else { return };
    let Some((name, Input::Link(link))) = node.inputs.get_index(edge.input as usize) else { return };
    let info: Map<&str, _> = [
        ("input_name", json!(name)),
        ("input_config", defs[holder as usize].find_input(name).map_or(json!(null), InputDef::config)),
        ("exception_message", json!(error.details)),
        ("linked_node", json!(link)),
    ]
    .into_iter()
    .collect();
    error.kind = ErrorKind::ExceptionDuringInnerValidation;
    "Exception when validating inner node".clone_into(&mut error.message);
    error.extra_info.extend(info.into_iter().map(|(key, value)| (key.to_owned(), value)));
}
