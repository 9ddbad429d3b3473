//! Errors: what a node says went wrong, and what the run makes of it (where, in which node, with which inputs).

use std::fmt;
use std::sync::Arc;

use kiln_graph::{NodeId, PromptError};

use crate::report::Report;

/// What a node's code answers when it fails. Any `std::error::Error` turns into one through `?`.
///
/// It is not itself a `std::error::Error`: the run wraps it into a [`RunError`] that says which node it was.
#[derive(Clone)]
pub struct NodeError {
    inner: Box<Inner>,
}

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    type_name: Option<Arc<str>>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What sort of failure ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The node's own code failed.
    Failed,
    /// The node's code panicked.
    Panicked,
    /// A required input had no value.
    MissingInput,
    /// An input had a value of a type the node does not take, or a number that does not fit.
    WrongType,
    /// Somebody cancelled the run.
    Interrupted,
    /// A node asked for an input that it does not have or that is a constant.
    BadRequest,
    /// Nodes wait for each other in a circle.
    DependencyCycle,
    /// A node's class is not in the registry.
    UnknownClass,
    /// A link points at a node or socket that does not exist.
    DanglingLink,
    /// An expansion adds a node under an id that is taken.
    DuplicateId,
    /// Under the *restrict* mode an expansion linked to a node it may not link to.
    RestrictedLink,
    /// A limit of the run was reached: nodes in all, or depth of expansions.
    Limit,
    /// The prompt did not pass validation.
    Invalid,
    /// A device had too little memory.
    OutOfMemory,
    /// A spilled value could not be read back.
    Spill,
}

impl NodeError {
    /// A failure with a message. Say what was expected, what was found, and what to do.
    pub fn new(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Failed, message)
    }

    /// A failure of a certain kind.
    pub fn of(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { inner: Box::new(Inner { kind, message: message.into(), type_name: None, source: None }) }
    }

    /// The run was cancelled.
    pub fn interrupted() -> Self {
        Self::of(ErrorKind::Interrupted, "interrupted")
    }

    /// A required input has no value.
    pub fn missing(input: &str) -> Self {
        Self::of(ErrorKind::MissingInput, format!("input `{input}` has no value; link something into it or set it"))
    }

    /// An input has a value of the wrong type.
    pub fn wrong_type(input: &str, expected: &str, found: &crate::Value) -> Self {
        let message = match found {
            crate::Value::Int(_) | crate::Value::Float(_) if found.type_name() == expected => {
                format!("input `{input}`: {found:?} is out of range")
            }
            _ => format!("input `{input}` wants {expected}, got {}", found.type_name()),
        };
        Self::of(ErrorKind::WrongType, message)
    }

    /// The name clients see as `exception_type`, in place of the one for the kind.
    pub fn with_type_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.inner.type_name = Some(name.into());
        self
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// ComfyUI's `exception_type`.
    pub fn type_name(&self) -> &str {
        self.inner.type_name.as_deref().unwrap_or_else(|| self.inner.kind.exception_type())
    }

    pub(crate) fn panicked(payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
        Self::of(ErrorKind::Panicked, format!("panicked: {}", text.unwrap_or("without a message")))
    }
}

impl ErrorKind {
    /// The Python exception that ComfyUI would name.
    pub fn exception_type(self) -> &'static str {
        match self {
            Self::Failed | Self::Panicked => "RuntimeError",
            Self::MissingInput | Self::WrongType => "TypeError",
            Self::Interrupted => "InterruptProcessingException",
            Self::BadRequest => "comfy_execution.graph.NodeInputError",
            Self::DependencyCycle => "graph.DependencyCycleError",
            Self::UnknownClass => "KeyError",
            Self::DanglingLink => "comfy_execution.graph_utils.NodeNotFoundError",
            Self::DuplicateId | Self::RestrictedLink | Self::Limit | Self::Invalid => "ValueError",
            Self::OutOfMemory => "torch.OutOfMemoryError",
            Self::Spill => "OSError",
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for NodeError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            message = format!("{message}: {inner}");
            cause = inner.source();
        }
        let mut this = Self::new(message);
        this.inner.source = Some(Arc::new(error));
        this
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeError({:?}: {})", self.inner.kind, self.inner.message)
    }
}

/// One input of a failed node, as far as it was known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputReport {
    /// The input's name.
    pub name: Arc<str>,
    /// The type of its first value.
    pub type_name: String,
    /// How many values it had.
    pub count: usize,
    /// Bytes of all values together.
    pub bytes: u64,
    /// The values as ComfyUI shows them: plain ones as they are, payloads by their type.
    pub shown: serde_json::Value,
}

/// Longer paths are shown with their ends only.
const MOST_STEPS: usize = 6;

/// Why a run ended early: what, and in which node.
#[derive(Clone)]
pub struct RunError {
    inner: Box<RunErrorInner>,
}

#[derive(Clone, Debug)]
pub(crate) struct RunErrorInner {
    pub error: NodeError,
    pub class_type: Option<Arc<str>>,
    /// From the node of the submitted prompt down to the node that failed, one step per expansion.
    pub path: Vec<NodeId>,
    pub inputs: Vec<InputReport>,
    pub executed: Vec<NodeId>,
    pub refused: Option<Arc<PromptError>>,
    pub report: Option<Arc<Report>>,
}

impl RunError {
    pub(crate) fn new(inner: RunErrorInner) -> Self {
        Self { inner: Box::new(inner) }
    }

    /// An error of the prompt as a whole.
    pub(crate) fn of_prompt(error: NodeError) -> Self {
        Self::new(RunErrorInner {
            error,
            class_type: None,
            path: Vec::new(),
            inputs: Vec::new(),
            executed: Vec::new(),
            refused: None,
            report: None,
        })
    }

    /// The prompt did not pass validation.
    pub(crate) fn invalid(refused: PromptError) -> Self {
        let mut this = Self::of_prompt(NodeError::of(ErrorKind::Invalid, refused.to_string()));
        this.inner.refused = Some(Arc::new(refused));
        this
    }

    pub(crate) fn with_report(mut self, report: Report) -> Self {
        self.inner.report = Some(Arc::new(report));
        self
    }

    /// What validation found, when that is why.
    pub fn refused(&self) -> Option<&PromptError> {
        self.inner.refused.as_deref()
    }

    /// What the run had done until then: outputs that were finished, counts, bytes.
    pub fn report(&self) -> Option<&Report> {
        self.inner.report.as_deref()
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.inner.error.kind()
    }

    /// The node's message, without the node's name.
    pub fn message(&self) -> &str {
        self.inner.error.message()
    }

    /// What the node's code answered.
    pub fn node_error(&self) -> &NodeError {
        &self.inner.error
    }

    /// The class of the node that failed.
    pub fn class_type(&self) -> Option<&str> {
        self.inner.class_type.as_deref()
    }

    /// From the node of the submitted prompt down to the node that failed, one step per expansion. Empty when the
    /// prompt as a whole is at fault.
    pub fn node_path(&self) -> &[NodeId] {
        &self.inner.path
    }

    /// The node of the submitted prompt that is to blame.
    pub fn node(&self) -> Option<&NodeId> {
        self.inner.path.first()
    }

    /// Types and sizes of the failed node's inputs.
    pub fn inputs(&self) -> &[InputReport] {
        &self.inner.inputs
    }

    /// Nodes that had finished before.
    pub fn executed(&self) -> &[NodeId] {
        &self.inner.executed
    }

    /// Whether the run was cancelled rather than broken.
    pub fn is_interrupted(&self) -> bool {
        self.kind() == ErrorKind::Interrupted
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(class) = self.class_type() {
            write!(f, "{class} ")?;
        }
        let path = self.node_path();
        // A loop's path has a step per iteration: its ends say enough.
        let (first, last) = if path.len() > MOST_STEPS { path.split_at(path.len() - 2) } else { (path, &path[..0]) };
        let first = if last.is_empty() { first } else { &first[..2] };
        for (depth, id) in first.iter().enumerate() {
            let arrow = if depth == 0 { "" } else { " → " };
            write!(f, "{arrow}\"{id}\"")?;
        }
        if !last.is_empty() {
            write!(f, " → {} more", path.len() - 4)?;
        }
        for id in last {
            write!(f, " → \"{id}\"")?;
        }
        if !self.node_path().is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(self.message())?;
        let plain = |name: &str| matches!(name, "STRING" | "INT" | "FLOAT" | "BOOLEAN");
        for input in self.inputs().iter().filter(|input| input.bytes > 0 && !plain(&input.type_name)) {
            write!(f, "\n  {}: {} × {}, {} bytes", input.name, input.count, input.type_name, input.bytes)?;
        }
        Ok(())
    }
}

/// As for people: `fn main() -> Result<(), RunError>` then ends with the message and not with its parts.
impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.error.inner.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
