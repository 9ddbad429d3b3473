//! Reports: what a run leaves behind for whoever started it, and the error it ended with (where, in which node, with
//! which inputs). An error carries the report of what was done until then, and a report the errors of other branches.

use std::fmt;
use std::sync::Arc;

use kiln_graph::{Link, Map, NodeErrors, NodeId, PromptError};
use serde::Serialize;

use crate::error::{ErrorKind, NodeError};
use crate::node::Ui;
use crate::observe::{Explanation, Trace};
use crate::value::Values;

/// What a run leaves behind.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The run's id.
    pub prompt_id: Arc<str>,
    /// Output nodes that finished, those of expansions included, and what they showed.
    pub outputs: Map<NodeId, NodeOutput>,
    /// Outputs that were asked for with [`RunOptions::fetch`](crate::RunOptions::fetch).
    pub fetched: Vec<(Link, Values)>,
    /// Nodes that failed, where the run was told to continue.
    pub failures: Vec<RunError>,
    /// What validation found wrong with outputs that were left out.
    pub node_errors: Map<NodeId, NodeErrors>,
    /// Counts and bytes.
    pub summary: Summary,
    /// What ran when, if a trace was asked for.
    pub trace: Option<Trace>,
    /// Why each node ran or did not, if a trace was asked for.
    pub explanations: Vec<Explanation>,
}

/// What an output node showed.
#[derive(Clone, Debug)]
pub struct NodeOutput {
    /// What it showed.
    pub ui: Option<Ui>,
    /// The values on its sockets.
    pub values: Vec<Values>,
    /// The node that is shown as having run.
    pub display_node: NodeId,
    /// The node whose expansion it is part of.
    pub parent_node: Option<NodeId>,
    /// The node of the prompt it comes from.
    pub real_node: NodeId,
    /// It was not run but taken from the cache.
    pub cached: bool,
}

/// Counts and bytes of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Nodes that ran, counting each time.
    pub executed: u64,
    /// Nodes whose results were known: those of the prompt that were in the cache when the run began, and those that
    /// found an equal one's result on the way.
    pub cached: u64,
    /// Nodes that ran once more because a dropped output was needed again; they count as executed, too.
    pub reexecuted: u64,
    /// Nodes that expanded.
    pub expanded: u64,
    /// Outputs released before the end.
    pub dropped: u64,
    /// The most payload bytes alive at any time, outputs and cache together.
    pub peak_bytes: u64,
    /// Payload bytes alive after the end: what the cache keeps.
    pub live_bytes_at_end: u64,
    /// The most nodes known at any time.
    pub peak_nodes: u64,
}

impl Report {
    /// The values of an output that was asked for, or of an output node's socket.
    pub fn values(&self, link: &Link) -> Option<&Values> {
        let fetched = self.fetched.iter().find(|(asked, _)| asked == link).map(|(_, values)| values);
        fetched.or_else(|| self.outputs.get(&link.node)?.values.get(link.socket))
    }

    /// What an output node showed.
    pub fn ui(&self, node: &str) -> Option<&Ui> {
        self.outputs.get(node)?.ui.as_ref()
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
    /// The node that is shown in place of the failed one, where that is another than the path's first.
    pub shown: Option<NodeId>,
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
            shown: None,
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

    /// What the node's code returned.
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

    /// The node that people see in place of the one that failed: for a copy in a loop the node that was copied.
    pub fn shown_node(&self) -> Option<&NodeId> {
        self.inner.shown.as_ref().or_else(|| self.node())
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
        if let Some(shown) = &self.inner.shown {
            write!(f, " (node \"{shown}\")")?;
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
        self.inner.error.cause()
    }
}
