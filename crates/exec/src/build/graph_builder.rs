//! The graph builder: a prompt, node by node. It is also what expansions are built with.
//!
//! Knows how prompts are written, nothing of how they run.

use std::cell::RefCell;
use std::sync::Arc;

use kiln_graph::{Input, Inputs, NodeId, Prompt, PromptNode};

use crate::build::handle::{IntoArg, Out};
use crate::build::outputs::Outputs;
use crate::value::IntoValue;

/// A node that is being written: a class and inputs, without an id yet.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    class_type: Arc<str>,
    inputs: Inputs,
}

impl NodeSpec {
    /// A node of `class_type` without inputs.
    pub fn new(class_type: &str) -> Self {
        Self { class_type: class_type.into(), inputs: Inputs::default() }
    }

    /// With a typed input. What the derived builders are made of.
    pub fn arg<K>(mut self, name: &str, arg: impl IntoArg<K>) -> Self {
        self.inputs.insert(name.into(), arg.into_arg().into_source().into());
        self
    }

    /// With an input whose type nobody checks.
    pub fn input(mut self, name: &str, input: impl Into<Input>) -> Self {
        self.inputs.insert(name.into(), input.into());
        self
    }
}

/// A node builder that knows its outputs.
pub trait TypedNode {
    /// The sockets.
    type Outputs: Outputs;
    /// The node as data.
    fn into_spec(self) -> NodeSpec;
}

/// Builds a prompt node by node; ids are `1`, `2`, … unless given.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    prefix: String,
    prompt: RefCell<Prompt>,
    /// The id that is being looked for, so that only the one that is taken is allocated.
    next: RefCell<String>,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty graph whose ids all begin with `prefix`.
    pub fn with_prefix(prefix: String) -> Self {
        Self { prefix, ..Self::default() }
    }

    /// Adds a node and returns handles onto its outputs.
    pub fn add<N: TypedNode>(&self, node: N) -> <N::Outputs as Outputs>::Handles {
        let id = self.add_spec(node.into_spec());
        N::Outputs::handles(&id)
    }

    /// Adds a node under an id of its own (behind the builder's prefix).
    pub fn add_as<N: TypedNode>(&self, id: &str, node: N) -> <N::Outputs as Outputs>::Handles {
        let id = self.add_spec_as(id, node.into_spec());
        N::Outputs::handles(&id)
    }

    /// Adds a node without types and returns its id.
    pub fn add_spec(&self, spec: NodeSpec) -> NodeId {
        let mut number = self.prompt.borrow().nodes.len() + 1;
        loop {
            let id = self.numbered(number);
            if !self.prompt.borrow().nodes.contains_key(&id) {
                return self.insert(id, spec);
            }
            number += 1;
        }
    }

    /// Adds a node without types under an id of its own (behind the builder's prefix). A loop that clones its nodes
    /// under their ids puts id before id: what comes behind a prefix is shortened as prefixes are.
    pub fn add_spec_as(&self, id: &str, spec: NodeSpec) -> NodeId {
        let short = if self.prefix.is_empty() { id.into() } else { kiln_graph::short_id(id) };
        self.insert(format!("{}{short}", self.prefix).into(), spec)
    }

    /// The node that is shown as running in place of `node`.
    pub fn display_as(&self, node: &NodeId, shown: impl Into<NodeId>) {
        if let Some(node) = self.prompt.borrow_mut().nodes.get_mut(node) {
            node.override_display_id = Some(shown.into());
        }
    }

    /// Sets an input of a node that was added before; `None` removes it.
    pub fn set_input(&self, node: &NodeId, name: &str, input: Option<Input>) {
        let mut prompt = self.prompt.borrow_mut();
        let Some(node) = prompt.nodes.get_mut(node) else { return };
        match input {
            Some(input) => drop(node.inputs.insert(name.into(), input)),
            None => drop(node.inputs.shift_remove(name)),
        }
    }

    /// A value as a handle, for inputs that would otherwise be linked.
    pub fn value<T: IntoValue>(&self, value: T) -> Out<T::Kind> {
        Out::value(value.into_value())
    }

    /// What ids begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The finished prompt.
    pub fn into_prompt(self) -> Prompt {
        self.prompt.into_inner()
    }

    fn numbered(&self, number: usize) -> NodeId {
        let mut id = self.next.borrow_mut();
        id.clear();
        id.push_str(&self.prefix);
        id.push_str(itoa::Buffer::new().format(number));
        NodeId::from(id.as_str())
    }

    fn insert(&self, id: NodeId, spec: NodeSpec) -> NodeId {
        let node = PromptNode { class_type: spec.class_type, inputs: spec.inputs, ..PromptNode::default() };
        self.prompt.borrow_mut().insert(id, node)
    }
}
