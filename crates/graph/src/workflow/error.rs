//! Why a text is no workflow, or a workflow no prompt.

use crate::missing::MissingClasses;
use crate::prompt::PromptReadError;

/// What is wrong with a workflow, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkflowError {
    /// The text is not JSON, or a prompt of the wrong form.
    #[error(transparent)]
    Read(#[from] PromptReadError),
    /// A file of another kind carries a graph that cannot be read.
    #[error("the {part} that it carries ({kind}): {problem}")]
    Carried {
        /// What the file is.
        kind: &'static str,
        /// Which of its texts: `prompt` or `workflow`.
        part: &'static str,
        /// What is wrong with it.
        problem: Box<WorkflowError>,
    },
    /// A file of another kind carries no graph.
    #[error("{kind} that carries no graph{}", if *parameters { ", but parameters of a program that has none" } else { "" })]
    NoGraph {
        /// What the file is.
        kind: &'static str,
        /// Whether it carries what other programs write: the prompt and the settings as words.
        parameters: bool,
    },
    /// A part has the wrong form.
    #[error("no workflow: {at} must be {expected}, found {found}")]
    Shape {
        /// Which part: `nodes[3].inputs`.
        at: String,
        /// What should stand there.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// Two nodes of one graph have the same id.
    #[error("no workflow: two nodes have the id {id}")]
    DuplicateNode {
        /// The id.
        id: String,
    },
    /// No definition for nodes that would run. All of them are named.
    #[error("{0}")]
    UnknownClasses(Box<MissingClasses>),
    /// Links lead through reroutes, bypassed nodes or subgraphs back to themselves.
    #[error("the links of these nodes run in a circle: {}", nodes.join(" -> "))]
    LinkLoop {
        /// The nodes in order.
        nodes: Vec<String>,
    },
    /// A subgraph contains itself.
    #[error("node {node}: the subgraph {name:?} contains itself")]
    RecursiveSubgraph {
        /// The instance.
        node: String,
        /// The name of its definition.
        name: String,
    },
    /// A node that sends what comes in everywhere chooses by an expression.
    #[error("the expression `{text}` of a node that sends everywhere needs the feature `regex` of kiln-graph")]
    Expression {
        /// The expression.
        text: String,
    },
    /// Subgraphs unfold to more than anyone can run.
    #[error("the workflow comes to more than {limit} {what}")]
    TooLarge {
        /// How many are allowed.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
}
