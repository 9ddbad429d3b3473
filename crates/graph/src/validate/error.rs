//! What validation found wrong: data first, in ComfyUI's shape; a sentence for people second.
//!
//! Knows no rule: the rules fill these in.

use std::fmt;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map as Object, Value};

use crate::id::NodeId;
use crate::map::Map;

/// How many nodes with errors are listed. The rest still count as wrong.
pub const MOST_REPORTED: usize = 1000;
/// How many of the outputs that an error spoils are listed with it.
const MOST_DEPENDENTS: usize = 100;
/// How many errors the text for people lists.
const MOST_LINES: usize = 20;

/// The kind of an error: its `type` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A required input is absent.
    RequiredInputMissing,
    /// A list that is no link.
    BadLinkedInput,
    /// A link to a node that does not exist (ComfyUI: a KeyError).
    LinkedNodeMissing,
    /// A link to an output that its node does not have (ComfyUI: an IndexError).
    LinkedSocketMissing,
    /// A link from an output of another type.
    ReturnTypeMismatch,
    /// A value that cannot be brought to the declared type, or a number that is none.
    InvalidInputType,
    /// A number below its minimum.
    ValueSmallerThanMin,
    /// A number above its maximum.
    ValueBiggerThanMax,
    /// No such choice.
    ValueNotInList,
    /// The class's own validator refused.
    CustomValidationFailed,
    /// The class's own validator broke down, on an output node.
    ExceptionDuringValidation,
    /// The class's own validator broke down, on a node further up.
    ExceptionDuringInnerValidation,
    /// The node needs itself.
    DependencyCycle,
    /// The class is unknown or not given.
    MissingNodeType,
    /// Nothing to run.
    PromptNoOutputs,
    /// No output node is fit to run.
    PromptOutputsFailedValidation,
}

impl ErrorKind {
    /// The `type` that clients read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequiredInputMissing => "required_input_missing",
            Self::BadLinkedInput => "bad_linked_input",
            Self::LinkedNodeMissing => "linked_node_missing",
            Self::LinkedSocketMissing => "linked_socket_missing",
            Self::ReturnTypeMismatch => "return_type_mismatch",
            Self::InvalidInputType => "invalid_input_type",
            Self::ValueSmallerThanMin => "value_smaller_than_min",
            Self::ValueBiggerThanMax => "value_bigger_than_max",
            Self::ValueNotInList => "value_not_in_list",
            Self::CustomValidationFailed => "custom_validation_failed",
            Self::ExceptionDuringValidation => "exception_during_validation",
            Self::ExceptionDuringInnerValidation => "exception_during_inner_validation",
            Self::DependencyCycle => "dependency_cycle",
            Self::MissingNodeType => "missing_node_type",
            Self::PromptNoOutputs => "prompt_no_outputs",
            Self::PromptOutputsFailedValidation => "prompt_outputs_failed_validation",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is wrong. Serialises to ComfyUI's `{"type", "message", "details", "extra_info"}`; displays as a
/// sentence that says what to do.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidationError {
    /// What kind of error.
    pub kind: ErrorKind,
    /// ComfyUI's words.
    pub message: String,
    /// Where, and which value.
    pub details: String,
    /// The same as data.
    pub extra_info: Box<Object<String, Value>>,
    /// The sentence for people.
    plain: String,
}

impl ValidationError {
    pub(super) fn new(kind: ErrorKind) -> Self {
        Self { kind, message: String::new(), details: String::new(), extra_info: Box::default(), plain: String::new() }
    }

    pub(super) fn message(mut self, text: impl Into<String>) -> Self {
        self.message = text.into();
        self
    }

    pub(super) fn details(mut self, text: impl Into<String>) -> Self {
        self.details = text.into();
        self
    }

    pub(super) fn info(mut self, key: &str, value: Value) -> Self {
        self.extra_info.insert(key.to_owned(), value);
        self
    }

    pub(super) fn plain(mut self, text: impl Into<String>) -> Self {
        self.plain = text.into();
        self
    }

    /// The input that is wrong, if one is.
    pub fn input(&self) -> Option<&str> {
        self.extra_info.get("input_name")?.as_str()
    }
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plain)
    }
}

impl std::error::Error for ValidationError {}

impl Serialize for ValidationError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("type", self.kind.as_str())?;
        map.serialize_entry("message", &self.message)?;
        map.serialize_entry("details", &self.details)?;
        map.serialize_entry("extra_info", &self.extra_info)?;
        map.end()
    }
}

/// What is wrong with one node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeErrors {
    /// Its errors in the order of the class's inputs.
    pub errors: Vec<ValidationError>,
    /// The node's class.
    pub class_type: Arc<str>,
    /// All outputs that cannot run, in the order in which they were looked at.
    pub(super) failing: Arc<[NodeId]>,
    /// Where in `failing` this node's begin.
    pub(super) since: usize,
}

impl NodeErrors {
    /// None yet.
    pub(super) fn new(class_type: Arc<str>) -> Self {
        Self { errors: Vec::new(), class_type, failing: Arc::default(), since: 0 }
    }

    /// One more, on which exactly these outputs depend.
    pub(super) fn add(&mut self, error: ValidationError, outputs: &[NodeId]) {
        self.errors.push(error);
        let all: std::collections::BTreeSet<_> = self.dependent_outputs().iter().chain(outputs).cloned().collect();
        (self.failing, self.since) = (all.into_iter().collect(), 0);
    }

    /// The output nodes that cannot run, from the first that needs this node on. As in ComfyUI, some of them may be
    /// there for another reason. In JSON at most 100.
    pub fn dependent_outputs(&self) -> &[NodeId] {
        self.failing.get(self.since..).unwrap_or_default()
    }
}

impl Serialize for NodeErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dependents = self.dependent_outputs();
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("errors", &self.errors)?;
        map.serialize_entry("dependent_outputs", &dependents[..dependents.len().min(MOST_DEPENDENTS)])?;
        map.serialize_entry("class_type", &self.class_type)?;
        map.end()
    }
}

/// Why a prompt cannot run at all. Serialises to the body of ComfyUI's response 400: `{"error", "node_errors"}`.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptError {
    /// The error as a whole.
    pub error: Box<ValidationError>,
    /// What is wrong with which node.
    pub node_errors: Map<NodeId, NodeErrors>,
}

impl From<ValidationError> for PromptError {
    fn from(error: ValidationError) -> Self {
        Self { error: Box::new(error), node_errors: Map::default() }
    }
}

impl std::error::Error for PromptError {}

impl fmt::Display for PromptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        write_node_errors(f, &self.node_errors)
    }
}

/// One line per error: ``KSampler "3": input `steps`: ...``.
pub(super) fn write_node_errors(f: &mut fmt::Formatter<'_>, node_errors: &Map<NodeId, NodeErrors>) -> fmt::Result {
    let mut all = node_errors.iter().flat_map(|(id, node)| node.errors.iter().map(move |error| (id, node, error)));
    let (mut last, mut lines) = (String::new(), 0);
    while lines < MOST_LINES
        && let Some((id, node, error)) = all.next()
    {
        let line = format!("\n  {} \"{id}\": {error}", node.class_type);
        // A validator that looks at several inputs has one word for all of them.
        if line != last {
            f.write_str(&line)?;
            (last, lines) = (line, lines + 1);
        }
    }
    match all.count() {
        0 => Ok(()),
        more => write!(f, "\n  and {more} more"),
    }
}

impl Serialize for PromptError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("error", &self.error)?;
        map.serialize_entry("node_errors", &self.node_errors)?;
        map.end()
    }
}
