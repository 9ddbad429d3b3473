//! Group nodes, which older pages made before there were subgraphs: read as definitions like any other.
//!
//! Knows how a group names its inputs and orders its values.

use serde_json::Value;

use super::error::WorkflowError;
use super::json::{list, node};
use super::order::order;
use super::ui::{Graph, INPUTS, OUTPUTS, Subgraph, UiLink, UiNode, WidgetValues};
use super::{control, widgets};
use crate::def::{Definitions, InputDef};
use crate::map::{Map, Set};

/// Reads `extra.groupNodes` into definitions named as the nodes that use them: `workflow>NAME` and `workflow/NAME`.
pub(super) fn read(value: &Value, subgraphs: &mut Map<String, Subgraph>) -> Result<(), WorkflowError> {
    let groups = value.pointer("/extra/groupNodes").and_then(Value::as_object);
    for (name, group) in groups.into_iter().flatten() {
        let at = format!("extra.groupNodes.{name}");
        let subgraph = definition(name, group, &at)?;
        for separator in ['>', '/'] {
            subgraphs.entry(format!("workflow{separator}{name}")).or_insert_with(|| subgraph.clone());
        }
    }
    Ok(())
}

fn definition(name: &str, group: &Value, at: &str) -> Result<Subgraph, WorkflowError> {
    let mut graph = Graph::default();
    for (i, item) in list(group, "nodes", &format!("{at}."))?.iter().enumerate() {
        graph.nodes.insert(i.to_string(), node(item, &format!("{at}.nodes[{i}]"))?);
    }
    for node in graph.nodes.values_mut() {
        node.inputs.iter_mut().for_each(|input| input.link = None);
    }
    // Outputs that are linked inside and not outside too are not shown.
    let mut hidden: Set<(usize, usize)> = Set::default();
    for (i, item) in list(group, "links", &format!("{at}."))?.iter().enumerate() {
        let part = |place: usize| item.get(place).and_then(Value::as_u64).map(|n| n as usize);
        let (Some(from), Some(from_slot), Some(to), Some(to_slot)) = (part(0), part(1), part(2), part(3)) else {
            continue;
        };
        hidden.insert((from, from_slot));
        connect(&mut graph, format!("inner {i}"), (from.to_string(), from_slot), (to.to_string(), to_slot));
    }
    for item in list(group, "external", &format!("{at}."))? {
        let part = |place: usize| item.get(place).and_then(Value::as_u64).map(|n| n as usize);
        if let (Some(node), Some(slot)) = (part(0), part(1)) {
            hidden.swap_remove(&(node, slot));
        }
    }
    let inputs = expose_inputs(&mut graph, group.get("config"));
    expose_outputs(&mut graph, &hidden);
    Ok(Subgraph { name: name.to_owned(), graph, inputs, is_group: true, ..Subgraph::default() })
}

fn connect(graph: &mut Graph, id: String, from: (String, usize), to: (String, usize)) {
    if let Some(input) = graph.nodes.get_mut(&to.0).and_then(|node| node.inputs.get_mut(to.1)) {
        input.link = Some(id.clone());
    }
    graph.links.insert(id, UiLink { from: from.0, from_slot: from.1, to: to.0, to_slot: to.1, ty: String::new() });
}

/// Every input that is not linked inside becomes one of the group's; a name that is taken gets the node's before it.
fn expose_inputs(graph: &mut Graph, config: Option<&Value>) -> Vec<String> {
    let mut names: Set<String> = Set::default();
    let mut links = Vec::new();
    for (id, node) in &graph.nodes {
        let title = node.title.as_deref().unwrap_or(&node.ty);
        for (slot, input) in node.inputs.iter().enumerate().filter(|(_, input)| input.link.is_none()) {
            let chosen =
                config.and_then(|config| config.get(id)?.get("input")?.get(&input.name)?.get("name")?.as_str());
            let plain = chosen.unwrap_or(&input.name).to_owned();
            let qualified = format!("{title} {plain}");
            let numbered = (1..).map(|n| format!("{qualified} {n}"));
            let mut candidates = [plain, qualified.clone()].into_iter().chain(numbered);
            let Some(name) = candidates.find(|name| !names.contains(name)) else { continue };
            links.push((names.len(), id.clone(), slot));
            names.insert(name);
        }
    }
    for (place, node, slot) in links {
        connect(graph, format!("in {place}"), (INPUTS.to_owned(), place), (node, slot));
    }
    names.into_iter().collect()
}

fn expose_outputs(graph: &mut Graph, hidden: &Set<(usize, usize)>) {
    let shown = |node: usize, slot: usize| !hidden.contains(&(node, slot));
    let outputs: Vec<(String, usize)> = graph
        .nodes
        .iter()
        .enumerate()
        .flat_map(|(place, (id, node))| (0..node.outputs.len()).map(move |slot| (place, id.clone(), slot)))
        .filter(|(place, _, slot)| shown(*place, *slot))
        .map(|(_, id, slot)| (id, slot))
        .collect();
    for (place, from) in outputs.into_iter().enumerate() {
        connect(graph, format!("out {place}"), from, (OUTPUTS.to_owned(), place));
    }
}

/// The group's stored values, dealt out over the widgets of the nodes inside in their order. The class of a node inside
/// may have got widgets since: what the list is too short for keeps its own value.
pub(super) fn values(node: &UiNode, group: &Subgraph, definitions: &dyn Definitions) -> Vec<(String, String, Value)> {
    let WidgetValues::List(values) = &node.values else { return Vec::new() };
    let mut places = places(group, definitions);
    // Whether controls were stored shows in what stands at their places.
    let is_mode = |(place, value): (&Place, &Value)| !matches!(place, Place::Mode) || control::mode(value).is_some();
    if !places.iter().zip(values).all(is_mode) {
        places.retain(|place| matches!(place, Place::Widget(..)));
    }
    let widget = |(place, value): (Place, &Value)| match place {
        Place::Widget(id, widget) => Some((id, widget, value.clone())),
        Place::Mode | Place::Filter => None,
    };
    places.into_iter().zip(values).filter_map(widget).collect()
}

/// What a stored value belongs to.
enum Place {
    /// The inner node and its widget.
    Widget(String, String),
    /// What becomes of the value before after a run.
    Mode,
    /// Which choices that may reach.
    Filter,
}

/// What each stored value belongs to.
fn places(group: &Subgraph, definitions: &dyn Definitions) -> Vec<Place> {
    let mut places = Vec::new();
    for id in order(&group.graph) {
        let Some(node) = group.graph.nodes.get(id) else { continue };
        let Some(def) = definitions.get(&node.ty) else { continue };
        let linked = |input: &InputDef| {
            let slot = node.inputs.iter().find(|slot| *slot.name == *input.name);
            slot.and_then(|slot| slot.link.as_deref()).is_some_and(|link| link.starts_with("inner "))
        };
        for input in widgets::widgets(def).filter(|input| !linked(input)) {
            places.push(Place::Widget(id.to_owned(), input.name.to_string()));
            places.extend([Place::Mode, Place::Filter].into_iter().take(widgets::controls(input)));
        }
    }
    places
}
