//! What is known of a node before it runs: its constants. Fingerprints and validators look at this and at nothing else.

use std::sync::Arc;

use kiln_graph::{Input, Inputs, SocketType, ValidatorCall};

use crate::error::NodeError;
use crate::host::Host;
use crate::value::{FromValue, Value, Values};

/// A node's constants. Linked inputs are unknown, always.
#[derive(Clone, Copy)]
pub struct ConstantInputs<'a> {
    source: Source<'a>,
    host: &'a Host,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Node(&'a Inputs),
    Validation(&'a ValidatorCall<'a>),
}

impl<'a> ConstantInputs<'a> {
    /// What is known of a node with these inputs.
    pub fn new(inputs: &'a Inputs, host: &'a Host) -> Self {
        Self { source: Source::Node(inputs), host }
    }

    /// What is known while a prompt is validated: also the types of linked inputs, where the class asks for them.
    pub(crate) fn of_call(call: &'a ValidatorCall<'a>, host: &'a Host) -> Self {
        Self { source: Source::Validation(call), host }
    }

    /// The constant in `input`; `None` when it is absent, or linked.
    pub fn get(&self, input: &str) -> Option<Value> {
        match self.source {
            Source::Node(inputs) => literal(inputs.get(input)?)?.at(0).cloned(),
            Source::Validation(call) => {
                let (_, json) = call.inputs.iter().find(|(name, _)| &***name == input)?;
                json.map(Value::from_json)
            }
        }
    }

    /// The constant in `input` as a `T`; `None` when it is absent, linked, or of another type.
    pub fn get_as<T: FromValue>(&self, input: &str) -> Option<T> {
        T::from_value(self.get(input)?).ok()
    }

    /// Whether the prompt gives `input` at all, as a constant or a link.
    pub fn is_given(&self, input: &str) -> bool {
        self.names().any(|name| name == input)
    }

    /// The type of what is linked into `input`; only in validators of classes that ask for types.
    pub fn received_type(&self, input: &str) -> Option<&'a SocketType> {
        self.received_types().iter().find(|(name, _)| &***name == input).map(|(_, ty)| *ty)
    }

    /// The types of all linked inputs; only in validators of classes that ask for types.
    pub fn received_types(&self) -> &'a [(&'a Arc<str>, &'a SocketType)] {
        match self.source {
            Source::Node(_) => &[],
            Source::Validation(call) => &call.input_types,
        }
    }

    /// All inputs that the prompt gives, in its order.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        let (node, call) = match self.source {
            Source::Node(inputs) => (Some(inputs), None),
            Source::Validation(call) => (None, Some(call)),
        };
        let of_node = node.into_iter().flat_map(kiln_graph::Inputs::keys).map(|name| &**name);
        of_node.chain(call.into_iter().flat_map(|call| &call.inputs).map(|(name, _)| &***name))
    }

    /// A service of the embedding program.
    ///
    /// # Errors
    /// When there is none of that type.
    pub fn host<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, NodeError> {
        self.host.require()
    }
}

/// The value of an input that is no link.
pub(crate) fn literal(input: &Input) -> Option<Values> {
    match input {
        Input::Link(_) => None,
        Input::Literal(json) | Input::Malformed(json) => Some(Value::from_json(json).into()),
        Input::Opaque(payload) => Some(opaque(payload)),
    }
}

fn opaque(payload: &Arc<dyn std::any::Any + Send + Sync>) -> Values {
    if let Some(values) = payload.downcast_ref::<Values>() {
        values.clone()
    } else if let Some(value) = payload.downcast_ref::<Value>() {
        value.clone().into()
    } else {
        Value::Null.into()
    }
}

/// What a node's result depends on besides its inputs (ComfyUI: `IS_CHANGED`).
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Fingerprint {
    /// On nothing else.
    #[default]
    Stable,
    /// On something that this value stands for: a file's hash, a date.
    Value(serde_json::Value),
    /// On everything: the node, and whatever depends on it, runs in every prompt.
    Always,
}

impl Fingerprint {
    /// From a JSON value as prompts may carry it in `is_changed`. `false` and `null` stand for nothing; what holds a NaN
    /// equals nothing, so its node runs in every prompt.
    pub fn from_json(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Bool(false) => Self::Stable,
            nan if kiln_graph::has_nan(&nan) => Self::Always,
            other => Self::Value(other),
        }
    }
}
