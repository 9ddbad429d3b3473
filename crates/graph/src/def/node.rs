//! The description of a node class. Knows neither how the class runs nor who uses it.

use std::sync::Arc;

use super::{Group, InputDef, SocketType};

/// One declared output.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputDef {
    /// The name shown at the socket.
    pub name: Arc<str>,
    /// What it carries.
    pub ty: SocketType,
    /// Each run of the node returns a list for this socket.
    pub is_list: bool,
    /// What people read when they point at the socket.
    pub tooltip: Option<Arc<str>>,
    /// For an output that is of whatever type stands in certain inputs: the name of the template that they share.
    pub match_template: Option<Arc<str>>,
}

impl OutputDef {
    /// An output named after its type.
    pub fn new(ty: impl Into<SocketType>) -> Self {
        let ty = ty.into();
        let name = ty.name().unwrap_or("COMBO").into();
        Self { name, ty, is_list: false, tooltip: None, match_template: None }
    }

    /// Sets another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// An output of the type of the inputs that share this template.
    pub fn matching(template: &str) -> Self {
        Self { match_template: Some(template.into()), ..Self::new("COMFY_MATCHTYPE_V3") }
    }

    /// Sets what people read when they point at the socket.
    #[must_use]
    pub fn tooltip(mut self, text: &str) -> Self {
        self.tooltip = Some(text.into());
        self
    }

    /// Each run of the node returns a list.
    #[must_use]
    pub fn list(mut self) -> Self {
        self.is_list = true;
        self
    }
}

/// What a class's own validator looks at (ComfyUI: the signature of `VALIDATE_INPUTS`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidatorDef {
    /// The inputs it names. Minimum, maximum and choices of these are its matter and not checked otherwise.
    pub inputs: Vec<Arc<str>>,
    /// It takes every input (`**kwargs`).
    pub takes_kwargs: bool,
    /// It takes the types of the linked inputs (`input_types`), which turns the check of link types off for the class.
    pub wants_input_types: bool,
}

impl ValidatorDef {
    /// Whether the validator looks at that input.
    pub fn takes(&self, input: &str) -> bool {
        self.takes_kwargs || self.inputs.iter().any(|name| &**name == input)
    }
}

/// Which end of a loop the nodes of a class are. Validation pairs them; the class does the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoopBoundary {
    /// What depends on the node is repeated.
    Start,
    /// What the node depends on, back to the start that it is paired with, was repeated.
    End,
}

/// One node class, as `/object_info` shows it.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "the flags are independent, and each is one field of /object_info")]
pub struct NodeDef {
    /// The class's name in prompts.
    pub class_type: Arc<str>,
    /// The name that people see.
    pub display_name: Option<Arc<str>>,
    /// `/object_info` has null in the place of the name that people see, as ComfyUI's does for classes of its newer kind that
    /// declare none. Without a name and this, it has the class's.
    pub unnamed: bool,
    /// Where the class stands in menus, with slashes.
    pub category: Arc<str>,
    /// What the node does.
    pub description: Arc<str>,
    /// Who brought it (`nodes`, `custom_nodes.pack`): the page groups by it.
    pub module: Arc<str>,
    /// Other words by which people look for it.
    pub search_aliases: Vec<Arc<str>>,
    /// Inputs of all three groups, each group in its order.
    pub inputs: Vec<InputDef>,
    /// Outputs by socket.
    pub outputs: Vec<OutputDef>,
    /// What the class's validator looks at, if it has one.
    pub validator: Option<ValidatorDef>,
    /// The node is a reason to run: a prompt runs what its output nodes need.
    pub output_node: bool,
    /// The node gets all inputs as whole lists, in one call.
    pub input_is_list: bool,
    /// Two equal nodes do not share a result.
    pub not_idempotent: bool,
    /// Literals that the class does not declare are passed on too.
    pub accept_all_inputs: bool,
    /// The node shows something though others go on from it.
    pub has_intermediate_output: bool,
    /// People should use another.
    pub deprecated: bool,
    /// May change.
    pub experimental: bool,
    /// Shown to developers only.
    pub dev_only: bool,
    /// Asks a paid service.
    pub api_node: bool,
    /// The nodes are where a loop begins or ends.
    pub loop_boundary: Option<LoopBoundary>,
}

impl NodeDef {
    /// A class without inputs and outputs.
    pub fn new(class_type: impl Into<Arc<str>>) -> Self {
        let nothing: Arc<str> = "".into();
        Self {
            class_type: class_type.into(),
            display_name: None,
            unnamed: false,
            category: nothing.clone(),
            description: nothing,
            module: "nodes".into(),
            search_aliases: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            validator: None,
            output_node: false,
            input_is_list: false,
            not_idempotent: false,
            accept_all_inputs: false,
            has_intermediate_output: false,
            deprecated: false,
            experimental: false,
            dev_only: false,
            api_node: false,
            loop_boundary: None,
        }
    }

    /// Sets the name for people.
    #[must_use]
    pub fn display_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.display_name = Some(name.into());
        self
    }

    /// Sets the category.
    #[must_use]
    pub fn category(mut self, category: impl Into<Arc<str>>) -> Self {
        self.category = category.into();
        self
    }

    /// Sets the description.
    #[must_use]
    pub fn description(mut self, text: impl Into<Arc<str>>) -> Self {
        self.description = text.into();
        self
    }

    /// Makes the class an output node, or not.
    #[must_use]
    pub fn output_node(mut self, yes: bool) -> Self {
        self.output_node = yes;
        self
    }

    /// Adds an input, and what the options of a dynamic choice bring.
    #[must_use]
    pub fn input(mut self, input: InputDef) -> Self {
        self.add_input(input);
        self
    }

    pub(super) fn add_input(&mut self, input: InputDef) {
        let brought = input.brought_inputs();
        self.inputs.push(input);
        self.inputs.extend(brought);
    }

    /// Adds an output.
    #[must_use]
    pub fn output(mut self, output: OutputDef) -> Self {
        self.outputs.push(output);
        self
    }

    /// Sets what the class's validator looks at.
    #[must_use]
    pub fn validator(mut self, validator: ValidatorDef) -> Self {
        self.validator = Some(validator);
        self
    }

    /// The input of that name, of any group.
    pub fn find_input(&self, name: &str) -> Option<&InputDef> {
        self.inputs.iter().find(|input| &*input.name == name)
    }

    /// The inputs of one group in order.
    pub fn group(&self, group: Group) -> impl Iterator<Item = &InputDef> {
        self.inputs.iter().filter(move |input| input.group == group)
    }
}
