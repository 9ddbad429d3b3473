//! Reading a whole workflow, of every schema version, into one form: graphs, definitions of subgraphs, old group nodes.
//!
//! Knows which parts there are. The form of a single part is `json`'s matter.

use serde_json::Value;

use super::error::WorkflowError;
use super::groups;
use super::json::{Result, id, list, node, numbers, text, wrong};
use super::ui::{Graph, INPUTS, Shown, Subgraph, UiFrame, UiInput, UiLink, UiNode, Workflow};
use crate::map::{Map, Set};

pub(super) fn workflow(value: &Value) -> Result<Workflow> {
    if !value.is_object() {
        return Err(wrong("the whole", "an object with `nodes` and `links`", value));
    }
    if value.get("nodes").is_none() {
        return Err(wrong("`nodes`", "a list", &Value::Null));
    }
    let root = graph(value, "")?;
    let mut subgraphs = Map::default();
    definitions(value, &mut subgraphs)?;
    groups::read(value, &mut subgraphs)?;
    promote(&mut subgraphs);
    Ok(Workflow { root, subgraphs })
}

fn graph(value: &Value, at: &str) -> Result<Graph> {
    let mut graph = Graph::default();
    for (i, item) in list(value, "nodes", at)?.iter().enumerate() {
        let at = format!("{at}nodes[{i}]");
        let id = id(item.get("id")).ok_or_else(|| wrong(&at, "an object with an `id`", item))?;
        if graph.nodes.insert(id.clone(), node(item, &at)?).is_some() {
            return Err(WorkflowError::DuplicateNode { id });
        }
    }
    for (i, item) in list(value, "links", at)?.iter().enumerate() {
        if item.is_null() {
            continue;
        }
        let (id, link) = link(item).ok_or_else(|| wrong(format!("{at}links[{i}]"), LINK, item))?;
        graph.links.insert(id, link);
    }
    for item in value.get("groups").and_then(Value::as_array).into_iter().flatten() {
        let title = text(item, "title").unwrap_or_default();
        graph.frames.push(UiFrame { title, bounding: numbers(item, "bounding") });
    }
    Ok(graph)
}

const LINK: &str = "[id, from, from slot, to, to slot, type], or an object with the same";

fn link(item: &Value) -> Option<(String, UiLink)> {
    let part = |place: usize, key: &str| if item.is_array() { item.get(place) } else { item.get(key) };
    let slot = |value: Option<&Value>| value.and_then(Value::as_u64).and_then(|slot| usize::try_from(slot).ok());
    let link = UiLink {
        from: id(part(1, "origin_id"))?,
        from_slot: slot(part(2, "origin_slot"))?,
        to: id(part(3, "target_id"))?,
        to_slot: slot(part(4, "target_slot")).unwrap_or_default(),
        ty: part(5, "type").and_then(Value::as_str).unwrap_or_default().to_owned(),
    };
    Some((id(part(0, "id"))?, link))
}

/// All definitions, those inside definitions too.
fn definitions(value: &Value, subgraphs: &mut Map<String, Subgraph>) -> Result<()> {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        let Some(definitions) = value.get("definitions").filter(|d| !d.is_null()) else { continue };
        for (i, item) in list(definitions, "subgraphs", "definitions.")?.iter().enumerate() {
            let at = format!("definitions.subgraphs[{i}]");
            let id = id(item.get("id")).ok_or_else(|| wrong(&at, "an object with an `id`", item))?;
            let inputs = list(item, "inputs", &format!("{at}."))?;
            let listed = inputs.iter().filter_map(|input| input.get("linkIds")?.as_array()).flatten();
            let subgraph = Subgraph {
                name: text(item, "name").unwrap_or_else(|| id.clone()),
                graph: graph(item, &format!("{at}."))?,
                inputs: inputs.iter().map(|input| text(input, "name").unwrap_or_default()).collect(),
                links_in: listed.filter_map(|link| self::id(Some(link))).collect(),
                ..Subgraph::default()
            };
            subgraphs.entry(id).or_insert(subgraph);
            open.push(item);
        }
    }
    Ok(())
}

/// What the inputs of a definition lead to: the input's place, the node and its input. Links come in the order in
/// which the inputs list them, so that the first widget is the one that is shown.
fn fed(subgraph: &Subgraph) -> impl Iterator<Item = (usize, &str, &UiNode, &UiInput)> {
    let graph = &subgraph.graph;
    let listed = subgraph.links_in.iter().filter_map(|id| graph.links.get(id));
    listed.chain(graph.links.values()).filter(|link| link.from == INPUTS).filter_map(|link| {
        let (id, target) = graph.nodes.get_key_value(&link.to)?;
        Some((link.from_slot, id.as_str(), target, target.input_at(link.to_slot)?))
    })
}

/// Finds the inputs that hang on a widget inside, directly or on an instance's input that does.
fn promote(subgraphs: &mut Map<String, Subgraph>) {
    // What each input feeds, as (definition, input) pairs: on a widget, or on inputs of instances further in.
    let mut promoted: Set<(usize, usize)> = Set::default();
    let mut feeds: Map<(usize, usize), Vec<(usize, usize)>> = Map::default();
    for (place, subgraph) in subgraphs.values().enumerate() {
        for (slot, _, target, input) in fed(subgraph) {
            if input.widget.is_some() {
                promoted.insert((place, slot));
            } else if let Some(inner) = nested_input(subgraphs, target, input) {
                feeds.entry(inner).or_default().push((place, slot));
            }
        }
    }
    let mut done = 0;
    while let Some(input) = promoted.get_index(done).copied() {
        promoted.extend(feeds.get(&input).into_iter().flatten().copied());
        done += 1;
    }
    let shows: Vec<_> = subgraphs.values().map(|subgraph| shown(subgraph, subgraphs, &promoted)).collect();
    for (subgraph, shows) in subgraphs.values_mut().zip(shows) {
        subgraph.shows = shows;
    }
}

/// The definition and the place of an instance's input, as numbers.
fn nested_input(subgraphs: &Map<String, Subgraph>, node: &UiNode, input: &UiInput) -> Option<(usize, usize)> {
    let (place, _, nested) = subgraphs.get_full(&node.ty)?;
    Some((place, nested.input(&input.name)?))
}

/// What each input of a definition shows: the first widget that it leads to.
fn shown(subgraph: &Subgraph, subgraphs: &Map<String, Subgraph>, promoted: &Set<(usize, usize)>) -> Vec<Option<Shown>> {
    let mut shows = vec![None; subgraph.inputs.len()];
    for (slot, node, target, input) in fed(subgraph) {
        let Some(show) = shows.get_mut(slot).filter(|show| show.is_none()) else { continue };
        let nested = nested_input(subgraphs, target, input);
        let widget = match (&input.widget, nested) {
            (_, Some(inner)) if promoted.contains(&inner) || input.widget.is_some() => &input.name,
            (Some(widget), None) => widget,
            _ => continue,
        };
        *show = Some(Shown { node: node.to_owned(), widget: widget.clone() });
    }
    shows
}
