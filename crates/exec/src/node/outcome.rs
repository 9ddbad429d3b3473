//! Outcomes: what a node may return. Values, a graph that computes them, or "do not run what depends on me".

use std::marker::PhantomData;

use kiln_graph::Prompt;

use crate::build::{Outputs, Source};
use crate::node::ui::Ui;
use crate::value::{Blocker, Values};

/// What a node returns.
#[derive(Debug)]
pub enum Outcome<T> {
    /// The values of all its outputs.
    Done(T),
    /// A graph; its results become the outputs. Made by [`Cx::expand`](crate::Cx::expand).
    Expand(Expansion<T>),
    /// A blocker on every output; `None` blocks silently.
    Block(Option<String>),
}

/// A graph that stands for a node's outputs.
#[derive(Debug)]
pub struct Expansion<T> {
    pub(crate) graph: Prompt,
    pub(crate) results: Vec<Source>,
    types: PhantomData<fn() -> T>,
}

impl<T> Expansion<T> {
    /// The nodes of `graph` are added to the run; `results` are the outputs, one per socket.
    ///
    /// Results may be links to any node of the run, old or new, and values.
    pub fn new(graph: Prompt, results: Vec<Source>) -> Self {
        Self { graph, results, types: PhantomData }
    }
}

/// An outcome together with what the user interface gets to see.
#[derive(Debug)]
pub struct WithUi<T> {
    /// The outcome proper.
    pub outcome: T,
    /// Shown to the user as soon as the node is done.
    pub ui: Ui,
}

/// What one call of a node leaves behind, types erased. The buffer is reused from call to call.
#[derive(Debug, Default)]
pub struct Produced {
    /// Values per socket, when the node is done.
    pub outputs: Vec<Values>,
    /// What the user interface gets.
    pub ui: Option<Ui>,
}

/// An outcome, types erased.
#[derive(Debug)]
pub enum Answer {
    /// The values are in [`Produced::outputs`].
    Done,
    /// A graph in their place.
    Expand(Box<Expansion<()>>),
    /// A blocker on every socket.
    Block(Blocker),
}

/// Everything `execute` may return inside its `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not something a node can return",
    note = "return `()`, a payload, a number, text, a `List<T>`, a tuple of them, `Outcome<…>` or `WithUi<…>`"
)]
pub trait IntoOutcome {
    /// The sockets.
    type Outputs: Outputs;
    /// Erases the types.
    fn erase(self, into: &mut Produced) -> Answer;
}

impl<T: Outputs> IntoOutcome for T {
    type Outputs = T;
    fn erase(self, into: &mut Produced) -> Answer {
        self.write(&mut into.outputs);
        Answer::Done
    }
}

impl<T: Outputs> IntoOutcome for Outcome<T> {
    type Outputs = T;
    fn erase(self, into: &mut Produced) -> Answer {
        match self {
            Self::Done(outputs) => outputs.erase(into),
            Self::Expand(expansion) => Answer::Expand(Box::new(Expansion::new(expansion.graph, expansion.results))),
            Self::Block(message) => Answer::Block(message.map_or_else(Blocker::silent, Blocker::with_message)),
        }
    }
}

impl<T: IntoOutcome> IntoOutcome for WithUi<T> {
    type Outputs = T::Outputs;
    fn erase(self, into: &mut Produced) -> Answer {
        into.ui = Some(self.ui);
        self.outcome.erase(into)
    }
}
