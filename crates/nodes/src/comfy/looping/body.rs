//! The body of a loop: the nodes between its start and its end, and their copies, one set per iteration.
//!
//! Knows ids and links. Knows nothing of what the nodes do.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_exec::NodeError;
use kiln_exec::graph::{DynamicPrompt, Input, Link, NodeId, Prompt, PromptNode, short_id};
use serde_json::{Value as Json, json};

/// Under these keys validation writes into a start's node what its loop is.
const BODY: &str = "_loop_body";
const END: &str = "_loop_end";

/// A loop in the graph of a run.
pub(super) struct Body<'g> {
    start: &'g NodeId,
    /// The end that belongs to the start.
    pub(super) end: NodeId,
    /// What stands in the end's inputs.
    pub(super) end_node: &'g PromptNode,
    nodes: Vec<(NodeId, &'g PromptNode)>,
    places: HashMap<NodeId, usize>,
}

impl<'g> Body<'g> {
    /// The loop that begins at `start`.
    ///
    /// # Errors
    /// When the start was paired with no end, or nodes of the loop are not known any more.
    pub(super) fn of(start: &'g NodeId, graph: &'g DynamicPrompt) -> Result<Self, NodeError> {
        let extra = graph.get(start.as_ref()).and_then(|node| node.extra.as_deref());
        let found = extra.and_then(|extra| Some((extra.get(END)?.as_str()?, extra.get(BODY)?.as_array()?)));
        let (end, body) = found.ok_or_else(|| {
            NodeError::new("this loop has no end: link what it repeats into an End Loop, and that one to an output")
        })?;
        let known = |id: &str| {
            let missing = || NodeError::new(format!("node \"{id}\" of the loop does not exist"));
            graph.get(id).ok_or_else(missing)
        };
        let ids = body.iter().filter_map(Json::as_str);
        let nodes = ids.map(|id| Ok((NodeId::from(id), known(id)?))).collect::<Result<Vec<_>, NodeError>>()?;
        let places = nodes.iter().enumerate().map(|(place, (id, _))| (id.clone(), place)).collect();
        Ok(Self { start, end: end.into(), end_node: known(end)?, nodes, places })
    }

    /// How many nodes are copied per iteration.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The ids of the nodes.
    pub(super) fn ids(&self) -> impl Iterator<Item = &NodeId> {
        self.nodes.iter().map(|(id, _)| id)
    }

    /// Adds a copy of every node to `graph`, for the iteration that begins at the node `iteration`.
    pub(super) fn copy(&self, graph: &mut Prompt, prefix: &str, position: u64, iteration: NodeId) -> Copies<'_, 'g> {
        let id = |original: &NodeId| NodeId::from(format!("{prefix}{position}_{}", short_id(original.as_ref())));
        let ids = self.ids().map(id).collect();
        let copies = Copies { body: self, iteration, ids };
        for ((original, node), id) in self.nodes.iter().zip(&copies.ids) {
            graph.insert(id.clone(), copies.of_node(original, node));
        }
        copies
    }
}

/// The copies of one iteration.
pub(super) struct Copies<'b, 'g> {
    body: &'b Body<'g>,
    iteration: NodeId,
    ids: Vec<NodeId>,
}

impl Copies<'_, '_> {
    /// The same input within the iteration: a link into the loop leads to the copy there.
    pub(super) fn input(&self, input: &Input) -> Input {
        match input.as_link() {
            Some(link) => Input::Link(self.link(link)),
            None => input.clone(),
        }
    }

    /// The same link within the iteration.
    pub(super) fn link(&self, link: &Link) -> Link {
        if link.node == *self.body.start {
            return Link::new(&self.iteration, link.socket);
        }
        match self.id(&link.node) {
            Some(copy) => Link::new(copy, link.socket),
            None => link.clone(),
        }
    }

    fn id(&self, original: &NodeId) -> Option<&NodeId> {
        self.ids.get(*self.body.places.get(original)?)
    }

    fn of_node(&self, id: &NodeId, node: &PromptNode) -> PromptNode {
        PromptNode {
            class_type: Arc::clone(&node.class_type),
            inputs: node.inputs.iter().map(|(name, input)| (Arc::clone(name), self.input(input))).collect(),
            override_display_id: Some(id.clone()),
            is_changed: node.is_changed.clone(),
            extra: self.inner_loop(node),
            ..PromptNode::default()
        }
    }

    /// What a loop inside of this one is, among the copies.
    fn inner_loop(&self, node: &PromptNode) -> Option<Box<serde_json::Map<String, Json>>> {
        let extra = node.extra.as_deref()?;
        let copy = |id: &Json| self.id(&id.as_str()?.into()).map(ToString::to_string);
        let end = copy(extra.get(END)?)?;
        let body: Vec<String> = extra.get(BODY)?.as_array()?.iter().filter_map(copy).collect();
        Some(Box::new([(END.to_owned(), json!(end)), (BODY.to_owned(), json!(body))].into_iter().collect()))
    }
}
