//! The typed graph builder: nodes are structs, links are values, a wrong link does not compile.
//!
//! Knows how prompts are written, nothing of how they run. It is also what expansions are built with.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;

use kiln_graph::{Input, Inputs, Link, NodeId, Prompt, PromptNode};

use crate::kind::{self, LinksInto};
use crate::outputs::Outputs;
use crate::value::Value;
use crate::values::Values;

/// Where an output of an expansion, or an input of a node, comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// An output of some node.
    Link(Link),
    /// Values that are known now.
    Values(Values),
}

impl From<Link> for Source {
    fn from(link: Link) -> Self {
        Self::Link(link)
    }
}
impl From<Value> for Source {
    fn from(value: Value) -> Self {
        Self::Values(value.into())
    }
}
impl From<Values> for Source {
    fn from(values: Values) -> Self {
        Self::Values(values)
    }
}
impl From<Source> for Input {
    /// Plain values become literals, so that equal ones are equal; payloads travel as they are.
    fn from(reply: Source) -> Self {
        match reply {
            Source::Link(link) => Self::Link(link),
            Source::Values(Values::One(value)) => match value.to_json() {
                Some(json) => Self::literal(json),
                None => Self::Opaque(Arc::new(Values::One(value))),
            },
            Source::Values(many) => Self::Opaque(Arc::new(many)),
        }
    }
}

/// A typed handle: an output of a node, or a value that stands for one.
#[derive(Debug)]
pub struct Out<K> {
    reply: Source,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Out<K> {
    fn clone(&self) -> Self {
        Self { reply: self.reply.clone(), kind: PhantomData }
    }
}

impl<K> Out<K> {
    /// Output `socket` of `node`, taken to be of this kind.
    pub fn link(node: &NodeId, socket: usize) -> Self {
        Self { reply: Source::Link(Link::new(node, socket)), kind: PhantomData }
    }

    /// A value in place of a link.
    pub fn value(value: impl Into<Values>) -> Self {
        Self { reply: Source::Values(value.into()), kind: PhantomData }
    }

    /// The untyped form.
    pub fn into_reply(self) -> Source {
        self.reply
    }

    /// The link, unless it is a value.
    pub fn as_link(&self) -> Option<&Link> {
        if let Source::Link(link) = &self.reply { Some(link) } else { None }
    }

    /// The same handle for sockets of any type.
    pub fn any(self) -> Out<kind::Any> {
        Out { reply: self.reply, kind: PhantomData }
    }
}

/// Everything that can be put into an input of kind `K`: a link that carries it, or a literal.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be put into an input of kind `{K}`",
    note = "give a literal of that kind, or an output handle that `GraphBuilder::add` answered"
)]
pub trait IntoArg<K> {
    /// The input's content.
    fn into_arg(self) -> Out<K>;
}
impl<S: LinksInto<K>, K> IntoArg<K> for Out<S> {
    fn into_arg(self) -> Out<K> {
        Out { reply: self.reply, kind: PhantomData }
    }
}
impl<S: LinksInto<K>, K> IntoArg<K> for &Out<S> {
    fn into_arg(self) -> Out<K> {
        self.clone().into_arg()
    }
}

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

    /// The same with a typed input. What the derived builders are made of.
    pub fn arg<K>(mut self, name: &str, arg: impl IntoArg<K>) -> Self {
        self.inputs.insert(name.into(), arg.into_arg().reply.into());
        self
    }

    /// The same with an input whose type nobody checks.
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
    fn into_draft(self) -> NodeSpec;
}

/// Builds a prompt node by node; ids are `1`, `2`, … unless given.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    prefix: String,
    prompt: RefCell<Prompt>,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty graph whose ids all begin with `prefix`.
    pub fn with_prefix(prefix: String) -> Self {
        Self { prefix, prompt: RefCell::default() }
    }

    /// Adds a node and answers handles onto its outputs.
    pub fn add<N: TypedNode>(&self, node: N) -> <N::Outputs as Outputs>::Handles {
        let id = self.add_draft(node.into_draft());
        N::Outputs::handles(&id)
    }

    /// Adds a node under an id of its own (behind the builder's prefix).
    pub fn add_as<N: TypedNode>(&self, id: &str, node: N) -> <N::Outputs as Outputs>::Handles {
        let id = self.add_draft_as(id, node.into_draft());
        N::Outputs::handles(&id)
    }

    /// Adds a node without types and answers its id.
    pub fn add_draft(&self, draft: NodeSpec) -> NodeId {
        let mut number = self.prompt.borrow().nodes.len() + 1;
        let mut id = format!("{}{number}", self.prefix);
        while self.prompt.borrow().nodes.contains_key(id.as_str()) {
            number += 1;
            id = format!("{}{number}", self.prefix);
        }
        self.insert(id.into(), draft)
    }

    /// Adds a node without types under an id of its own (behind the builder's prefix). A loop that clones its nodes
    /// under their ids puts id before id: what comes behind a prefix is shortened as prefixes are.
    pub fn add_draft_as(&self, id: &str, draft: NodeSpec) -> NodeId {
        let short = if self.prefix.is_empty() { id.into() } else { kiln_graph::short_id(id) };
        self.insert(format!("{}{short}", self.prefix).into(), draft)
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
    pub fn value<T: crate::convert::IntoValue>(&self, value: T) -> Out<T::Kind> {
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

    fn insert(&self, id: NodeId, draft: NodeSpec) -> NodeId {
        let node = PromptNode { class_type: draft.class_type, inputs: draft.inputs, ..PromptNode::default() };
        self.prompt.borrow_mut().insert(id, node)
    }
}
