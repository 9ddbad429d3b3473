//! Resources: what a class says of large things that are loaded once and used in passes (models, mostly), for whoever plans
//! before a run.
//!
//! Knows names of inputs, and types of sockets. What a resource is, and whether there is a plan, is the embedder's business: the
//! engine reads none of it.

use std::sync::Arc;

use crate::node::view::NodeView;

/// How many passes a node makes over a resource, read off the prompt. A wrong guess costs time, never a result.
pub type Passes = Arc<dyn Fn(NodeView<'_>) -> u32 + Send + Sync>;

/// What a class says of resources.
#[derive(Clone, Default)]
pub struct Resources {
    uses: Vec<(Arc<str>, Passes)>,
    carries: Vec<Arc<str>>,
    provides: Vec<Provided>,
}

/// A part of a resource that comes out of a loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provided {
    /// The input that names the file.
    pub input: Arc<str>,
    /// The type of the sockets through which the part leaves.
    pub socket_type: Arc<str>,
    /// What the part is called: `unet`.
    pub name: Arc<str>,
}

impl Resources {
    /// Inputs that lead to what this node runs, in the order of the fields, each with the number of passes.
    pub fn uses(&self) -> impl Iterator<Item = (&str, &Passes)> {
        self.uses.iter().map(|(input, passes)| (&**input, passes))
    }

    /// Inputs that lead to what is run by whoever uses this node's outputs, in the same pass.
    pub fn carries(&self) -> impl Iterator<Item = &str> {
        self.carries.iter().map(|input| &**input)
    }

    /// What this node loads.
    pub fn provides(&self) -> &[Provided] {
        &self.provides
    }

    pub(crate) fn add_use(&mut self, input: &str, passes: Passes) {
        self.uses.push((input.into(), passes));
    }

    pub(crate) fn add_carried(&mut self, input: &str) {
        self.carries.push(input.into());
    }

    pub(crate) fn add_provided(&mut self, provided: Provided) {
        self.provides.push(provided);
    }
}
