//! Unfolding subgraphs: one instance per place where a definition is used, each with its own values.
//!
//! Knows which values an instance hands inside. Knows no links between levels: see `resolve`.

use serde_json::Value;

use super::error::WorkflowError;
use super::instance::{Deep, Instance, Parent};
use super::ui::{Mode, Shown, Subgraph, UiNode, WidgetValues, Workflow};
use super::{groups, primitives, proxies};
use crate::def::Definitions;
use crate::map::Map;

/// More nodes than this are not unfolded.
const MOST_NODES: usize = 2_000_000;
/// Nor more levels.
const DEEPEST: usize = 256;

/// All instances, the root first.
pub(super) fn unfold<'w>(
    workflow: &'w Workflow,
    definitions: &dyn Definitions,
) -> Result<Vec<Instance<'w>>, WorkflowError> {
    let mut instances = vec![Instance {
        graph: &workflow.root,
        prefix: String::new(),
        parent: None,
        children: Map::default(),
        own: Vec::new(),
        overrides: primitives::overrides(&workflow.root),
        deep: Map::default(),
        depth: 0,
    }];
    let (mut next, mut nodes) = (0, workflow.root.nodes.len());
    while next < instances.len() {
        let graph = instances[next].graph;
        for (id, node) in graph.nodes.iter().filter(|(_, node)| node.mode == Mode::Always) {
            let Some(def) = workflow.subgraphs.get(&node.ty) else { continue };
            nodes += def.graph.nodes.len() + 1;
            if nodes > MOST_NODES {
                return Err(WorkflowError::TooLarge { limit: MOST_NODES, what: "nodes" });
            }
            let parent = Parent { instance: next, id, node, def };
            let child = enter(&instances, parent, id, definitions)?;
            let place = instances.len();
            instances[next].children.insert(id, place);
            instances.push(child);
        }
        next += 1;
    }
    Ok(instances)
}

fn enter<'w>(
    instances: &[Instance<'w>],
    parent: Parent<'w>,
    id: &'w str,
    definitions: &dyn Definitions,
) -> Result<Instance<'w>, WorkflowError> {
    let outer = &instances[parent.instance];
    let chain = std::iter::successors(outer.parent, |up| instances[up.instance].parent);
    if chain.map(|up| up.def).any(|def| std::ptr::eq(def, parent.def)) {
        let node = format!("{}{id}", outer.prefix);
        return Err(WorkflowError::RecursiveSubgraph { node, name: parent.def.name.clone() });
    }
    if outer.depth >= DEEPEST {
        return Err(WorkflowError::TooLarge { limit: DEEPEST, what: "levels of subgraphs" });
    }
    let Parent { node, def, .. } = parent;
    let mut child = Instance {
        graph: &def.graph,
        prefix: format!("{}{id}:", outer.prefix),
        parent: Some(parent),
        children: Map::default(),
        own: vec![None; def.inputs.len()],
        overrides: primitives::overrides(&def.graph),
        deep: Map::default(),
        depth: outer.depth + 1,
    };
    if def.is_group {
        for (id, widget, value) in groups::values(node, def, definitions) {
            child.overrides.entry(id).or_default().insert(widget, value);
        }
    } else if !proxies::take(&mut child, node, def) {
        promoted(&mut child, node, def);
    }
    // What the graph around sets this node's widgets to.
    for (widget, value) in outer.overrides.get(id).into_iter().flatten() {
        match def.input(widget) {
            Some(input) => child.own[input] = Some(value.clone()),
            None => hand_down(&mut child, widget, value),
        }
    }
    for Deep { source, widget, value } in outer.deep.get(id).into_iter().flatten() {
        let shows = |shown: &Option<Shown>| shown.as_ref().is_some_and(|s| s.node == *source && s.widget == *widget);
        match def.shows.iter().position(shows) {
            Some(input) => child.own[input] = Some(value.clone()),
            None => drop(child.overrides.entry(source.clone()).or_default().insert(widget.clone(), value.clone())),
        }
    }
    Ok(child)
}

/// A stored value; the page stores null for what an instance only shows.
fn given(value: &Value) -> Option<Value> {
    Some(value).filter(|value| !value.is_null()).cloned()
}

/// The stored values, by position over the promoted inputs or by name.
fn promoted(child: &mut Instance<'_>, node: &UiNode, def: &Subgraph) {
    let inputs = (0..def.inputs.len()).filter(|input| matches!(def.shows.get(*input), Some(Some(_))));
    match &node.values {
        WidgetValues::None => {}
        WidgetValues::List(values) => {
            for (input, value) in inputs.zip(values) {
                child.own[input] = given(value);
            }
        }
        WidgetValues::Named(values) => {
            for input in inputs {
                child.own[input] = values.get(&def.inputs[input]).and_then(given);
            }
        }
    }
}

/// A value that names no input of this instance belongs to the inner widget of that name, if there is just one.
fn hand_down(child: &mut Instance<'_>, widget: &str, value: &Value) {
    let graph = child.graph;
    let has = |node: &UiNode| node.inputs.iter().any(|input| input.widget.as_deref() == Some(widget));
    let mut owners = graph.nodes.iter().filter(|(_, node)| has(node)).map(|(id, _)| id);
    if let (Some(owner), None) = (owners.next(), owners.next()) {
        child.overrides.entry(owner.clone()).or_default().insert(widget.to_owned(), value.clone());
    }
}
