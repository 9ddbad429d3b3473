//! The view of a node: what a prompt says of one node and of those that it is linked to, before anything runs.
//!
//! Knows links, literals and socket types; calls nothing.

use kiln_graph::{Definitions, NodeId, Prompt, PromptNode, SocketType};

/// A node of a prompt that has not run. Inexpensive to copy.
#[derive(Clone, Copy)]
pub struct NodeView<'p> {
    definitions: &'p dyn Definitions,
    prompt: &'p Prompt,
    position: usize,
    node: &'p PromptNode,
}

impl<'p> NodeView<'p> {
    /// The node with this id, if the prompt has it. `definitions` say of what types its inputs are.
    pub fn new(definitions: &'p dyn Definitions, prompt: &'p Prompt, id: &NodeId) -> Option<Self> {
        let (position, _, node) = prompt.nodes.get_full(id)?;
        Some(Self { definitions, prompt, position, node })
    }

    /// Its class.
    pub fn class_type(self) -> &'p str {
        &self.node.class_type
    }

    /// Its place in the prompt.
    pub fn position(self) -> usize {
        self.position
    }

    /// The type of an input, if the class is known and declares it.
    pub fn input_type(self, input: &str) -> Option<&'p SocketType> {
        Some(&self.definitions.get(self.class_type())?.find_input(input)?.ty)
    }

    /// The names of inputs that are linked and are declared to be of type `ty`.
    pub fn linked(self, ty: &'p SocketType) -> impl Iterator<Item = &'p str> {
        let inputs = self.definitions.get(self.class_type()).map(|def| def.inputs.as_slice()).unwrap_or_default();
        inputs
            .iter()
            .filter(move |input| input.ty == *ty && self.follow(&input.name).is_some())
            .map(|input| &*input.name)
    }

    /// The node that `input` is linked to.
    pub fn follow(self, input: &str) -> Option<Self> {
        Self::new(self.definitions, self.prompt, &self.node.inputs.get(input)?.as_link()?.node)
    }

    /// The first node, going up from `input` through the first linked input of the same type each time, that has an input `wanted`.
    pub fn trace(self, input: &str, wanted: &str) -> Option<Self> {
        let ty = self.input_type(input)?;
        let mut view = self.follow(input)?;
        // A circle ends as well.
        for _ in 0..self.prompt.len() {
            if view.node.inputs.contains_key(wanted) {
                return Some(view);
            }
            view = view.follow(view.linked(ty).next()?)?;
        }
        None
    }

    /// A text that stands in the prompt.
    pub fn text(self, input: &str) -> Option<&'p str> {
        self.node.inputs.get(input)?.as_value()?.as_str()
    }

    /// A whole number that stands in the prompt, here or as the `value` of the node that is linked here.
    pub fn number(self, input: &str) -> Option<u64> {
        match self.node.inputs.get(input)?.as_value() {
            Some(value) => value.as_u64(),
            None => self.follow(input)?.node.inputs.get("value")?.as_value()?.as_u64(),
        }
    }
}
