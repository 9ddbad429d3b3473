//! One link against its source and the input it goes into. Knows nothing of literals.

use serde_json::{Value, json};

use super::error::{ErrorKind, ValidationError};
use super::literal::quote;
use crate::def::{InputDef, NodeDef, SocketType};
use crate::id::{Link, NodeId};
use crate::prompt::Prompt;

/// Where a link leads.
pub(super) struct Source<'d> {
    /// The node's place in the prompt.
    pub(super) index: u32,
    /// What the socket carries.
    pub(super) ty: &'d SocketType,
}

/// Places near which a link may lead.
#[derive(Clone, Copy)]
pub(super) struct Near {
    /// That of the node that holds the link.
    pub(super) holder: u32,
    /// That of the source found last.
    pub(super) last: u32,
}

/// Finds the source of a link. `input` is the declaration it stands in, `None` for an undeclared input.
pub(super) fn resolve<'d>(
    prompt: &Prompt,
    defs: &[&'d NodeDef],
    near: Near,
    name: &str,
    input: Option<&InputDef>,
    link: &Link,
) -> Result<Source<'d>, ValidationError> {
    let Some(index) = place(prompt, near, &link.node) else { return Err(no_node(name, input, link)) };
    let def = defs[index];
    match def.outputs.get(link.socket) {
        Some(output) => Ok(Source { index: index as u32, ty: &output.ty }),
        None => Err(no_socket(name, input, link, def)),
    }
}

/// The place of a node. Most links lead to a neighbour: looking there first saves the hash and two trips to memory,
/// which is most of what a link costs in a prompt that is larger than the caches.
fn place(prompt: &Prompt, near: Near, id: &NodeId) -> Option<usize> {
    let is_it = |place: &u32| prompt.nodes.get_index(*place as usize).is_some_and(|(key, _)| key.is_copy_of(id));
    let Near { holder, last } = near;
    let neighbours = [holder.wrapping_sub(1), last + 1, holder.wrapping_sub(2), holder.wrapping_sub(3), last];
    let found = neighbours.into_iter().find(is_it).map(|place| place as usize);
    found.or_else(|| prompt.nodes.get_index_of(id))
}

fn about(kind: ErrorKind, name: &str, input: Option<&InputDef>) -> ValidationError {
    let error = ValidationError::new(kind).info("input_name", name.into());
    match input {
        Some(input) => error.info("input_config", input.config()),
        None => error,
    }
}

fn no_node(name: &str, input: Option<&InputDef>, link: &Link) -> ValidationError {
    let id = &link.node;
    about(ErrorKind::LinkedNodeMissing, name, input)
        .message("Linked node does not exist")
        .details(format!("{name}: node '{id}' does not exist"))
        .info("linked_node", json!(link))
        .plain(format!("input `{name}` is linked to node \"{id}\", which does not exist; link it to one that does"))
}

fn no_socket(name: &str, input: Option<&InputDef>, link: &Link, def: &NodeDef) -> ValidationError {
    let (id, socket, class, count) = (&link.node, link.socket, &def.class_type, def.outputs.len());
    let outputs: Vec<String> = def.outputs.iter().enumerate().map(|(i, o)| format!("{i} {}", o.name)).collect();
    let has = if outputs.is_empty() { "has no outputs".to_owned() } else { format!("has {}", outputs.join(", ")) };
    about(ErrorKind::LinkedSocketMissing, name, input)
        .message("Linked output does not exist")
        .details(format!("{name}: node '{id}' ({class}) has {count} outputs, there is no output {socket}"))
        .info("linked_node", json!(link))
        .plain(format!("input `{name}` is linked to output {socket} of {class} \"{id}\", which {has}"))
}

/// A link of the wrong type.
pub(super) fn mismatch(input: &InputDef, received: &SocketType, link: &Link, source: &NodeDef) -> ValidationError {
    let name = &input.name;
    let fitting = source.outputs.iter().position(|output| output.ty.links_into(&input.ty));
    let advice = fitting.map(|socket| format!("; its output {socket} would fit")).unwrap_or_default();
    let wants = if input.choices().is_some() { "one of its choices".to_owned() } else { input.ty.to_string() };
    let carries = if received.name().is_none() { "a choice".to_owned() } else { received.to_string() };
    about(ErrorKind::ReturnTypeMismatch, name, Some(input))
        .message("Return type mismatch between linked nodes")
        .details(format!("{name}, received_type({received}) mismatch input_type({})", input.ty))
        .info("received_type", json!(received))
        .info("linked_node", json!(link))
        .plain(format!(
            "input `{name}` wants {wants}, but output {} of {} \"{}\" is {carries}{advice}",
            link.socket, source.class_type, link.node
        ))
}

/// A list that is no link.
pub(super) fn malformed(input: &InputDef, value: &Value) -> ValidationError {
    let name = &input.name;
    about(ErrorKind::BadLinkedInput, name, Some(input))
        .message("Bad linked input, must be a length-2 list of [node_id, slot_index]")
        .details(&**name)
        .info("received_value", value.clone())
        .plain(format!(
            "input `{name}`: {} is no link; write [\"node id\", output number], or {{\"__value__\": [..]}} for a list",
            quote(value)
        ))
}
