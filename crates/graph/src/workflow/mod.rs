//! The workflow: what the page saves, with positions, groups and subgraphs, and its lowering to a prompt.
//!
//! Reads every schema version (links as lists or as objects) into the same data. Lowering is pure: the same workflow,
//! definitions and options give the same prompt.

mod broadcast;
mod control;
mod error;
mod everywhere;
mod frames;
mod groups;
mod grown;
mod instance;
mod json;
mod lower;
mod names;
mod options;
mod order;
mod pattern;
mod primitives;
mod promoted;
mod proxies;
mod random;
mod read;
mod renames;
mod resolve;
mod text;
mod ui;
mod unfold;
mod virtuals;
mod widgets;

use serde_json::Value;

pub use self::error::WorkflowError;
pub use self::options::{LocalTime, LowerOptions};
pub use self::ui::Workflow;

use crate::def::Definitions;
use crate::prompt::{Prompt, as_python, syntax};
use crate::text::{encoding, non_finite};

impl Workflow {
    /// Reads a saved workflow. Text may be UTF-8, UTF-16 or UTF-32, with a byte order mark or without; NaN and
    /// infinities, which Python writes, are null, as for the page.
    ///
    /// # Errors
    /// [`WorkflowError`] with line and column where the text is not JSON, with the place where it is no workflow.
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Self, WorkflowError> {
        let text = &*encoding::utf8(text.as_ref());
        let mut value = as_python(text, |text| serde_json::from_slice(text).map_err(|e| syntax(text, &e)))?;
        non_finite::to_null(&mut value);
        Self::from_value(&value)
    }

    /// Reads a saved workflow from JSON that is already parsed.
    ///
    /// # Errors
    /// [`WorkflowError`] with the place where the value is no workflow.
    pub fn from_value(value: &Value) -> Result<Self, WorkflowError> {
        read::workflow(value)
    }

    /// How many nodes stand on the top level.
    pub fn len(&self) -> usize {
        self.root.nodes.len()
    }

    /// Whether the top level is empty.
    pub fn is_empty(&self) -> bool {
        self.root.nodes.is_empty()
    }

    /// Moves the values on that are to change after each run (`increment`, `decrement`, `randomize` behind a seed), as
    /// the page does after sending. Lower again for the next run's prompt.
    pub fn advance(&mut self, definitions: &dyn Definitions, seed: u64) {
        let mut random = random::Random(seed);
        let inner = self.subgraphs.values_mut().map(|subgraph| &mut subgraph.graph);
        for graph in std::iter::once(&mut self.root).chain(inner) {
            control::advance(graph, definitions, &mut random);
        }
    }

    /// Lowers the workflow to the prompt that the page would send.
    ///
    /// Muted and bypassed nodes, notes, reroutes and primitives disappear, subgraphs unfold (`12:5` is node 5 inside
    /// node 12), and widget values get their names from the definitions. Names that the page changes while it loads a
    /// file are changed.
    ///
    /// # Errors
    /// [`WorkflowError`] naming the node: a class without definition, links that run in a circle without a node
    /// between, a subgraph that contains itself, or one that unfolds without measure.
    pub fn lower(&self, definitions: &dyn Definitions, options: &LowerOptions) -> Result<Prompt, WorkflowError> {
        lower::lower(&renames::renamed(self, definitions), definitions, options)
    }
}
