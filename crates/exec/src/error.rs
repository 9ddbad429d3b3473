//! Node errors: what a node says went wrong, and of what kind that is.
//!
//! Knows neither node nor run: the run adds where, in which node, with which inputs.

use std::fmt;
use std::sync::Arc;

use crate::value::Value;

/// What a node's code returns when it fails. Any `std::error::Error` turns into one through `?`.
///
/// It is not itself a `std::error::Error`: the run wraps it into a [`RunError`](crate::RunError) that says which node it was.
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
    /// The engine runs another prompt, and this run did not want to wait.
    Busy,
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
    pub fn wrong_type(input: &str, expected: &str, found: &Value) -> Self {
        let message = match found {
            Value::Int(_) | Value::Float(_) if found.type_name() == expected => {
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

    /// The error that it was made of.
    pub(crate) fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
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
            Self::Busy => "BlockingIOError",
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
