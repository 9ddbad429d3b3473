//! A prompt's nodes as data. Knows neither JSON nor node classes.

use std::sync::Arc;

use serde_json::Value;

use super::meta::Meta;
use crate::id::{Link, NodeId};
use crate::input::Input;
use crate::inputs::Inputs;
use crate::map::Map;

/// A graph to run: API-format JSON as data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// The nodes in the order in which they were written.
    pub nodes: Map<NodeId, PromptNode>,
}

/// One node of a prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptNode {
    /// The node's class. Empty when the JSON had none, which validation refuses.
    pub class_type: Arc<str>,
    /// Links and literals by input name.
    pub inputs: Inputs,
    /// The `_meta` object. Only its title is looked at, and only for people.
    pub meta: Option<Meta>,
    /// The fingerprint that the executor wrote here, or that the sender put here to choose it.
    pub is_changed: Option<Box<Value>>,
    /// In a graph made by an expansion: the node that is shown as running in place of this one.
    pub override_display_id: Option<NodeId>,
    /// Keys that nobody knows, kept as they came.
    pub extra: Option<Box<serde_json::Map<String, Value>>>,
    /// Whether `inputs` is written before `class_type`, as the page does.
    pub inputs_first: bool,
}

impl PromptNode {
    /// A node of that class without inputs.
    pub fn new(class_type: impl Into<Arc<str>>) -> Self {
        Self { class_type: class_type.into(), ..Self::default() }
    }

    /// The same node with `input` set. [`Link`] and [`Value`] both convert.
    #[must_use]
    pub fn with(mut self, name: impl Into<Arc<str>>, input: impl Into<Input>) -> Self {
        self.inputs.insert(name.into(), input.into());
        self
    }

    /// The title that a person gave the node.
    pub fn title(&self) -> Option<&str> {
        self.meta.as_ref()?.title()
    }

    /// The pack that the page says the node's class is from: its repository, else its name in the registry.
    pub(crate) fn origin(&self) -> Option<String> {
        let meta = self.meta.as_ref()?.to_value();
        let text = |key: &str| meta.get(key)?.as_str();
        text("aux_id").or_else(|| text("cnr_id")).map(str::to_owned)
    }

    /// Every link among the inputs, with the input's name.
    pub fn links(&self) -> impl Iterator<Item = (&Arc<str>, &Link)> {
        self.inputs.iter().filter_map(|(name, input)| Some((name, input.as_link()?)))
    }
}

impl Prompt {
    /// An empty prompt.
    pub fn new() -> Self {
        Self::default()
    }

    /// The node of that id.
    pub fn get(&self, id: &str) -> Option<&PromptNode> {
        self.nodes.get(id)
    }

    /// Adds a node, or replaces the one of that id. Returns the id.
    pub fn insert(&mut self, id: impl Into<NodeId>, node: PromptNode) -> NodeId {
        let id = id.into();
        self.nodes.insert(id.clone(), node);
        id
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

impl FromIterator<(NodeId, PromptNode)> for Prompt {
    fn from_iter<T: IntoIterator<Item = (NodeId, PromptNode)>>(nodes: T) -> Self {
        Self { nodes: nodes.into_iter().collect() }
    }
}
