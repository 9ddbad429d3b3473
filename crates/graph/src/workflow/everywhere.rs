//! Use Everywhere: what comes into such a node goes to every free input of the same graph that it fits.
//!
//! Follows today's version of that pack, which reads the settings of its older ones. Knows one graph; what the links
//! lead to is `resolve`'s matter.

use super::broadcast::{Broadcast, Feed, Receiver, broadcasts, past_bypassed};
use super::error::WorkflowError;
use super::ui::{Graph, Mode, UiInput, UiNode};
use super::virtuals::{self, Virtual};
use super::widgets;
use crate::def::{Definitions, Group, NodeDef};
use crate::map::Map;

/// So many pairs of a source and an input are looked at.
const MOST_PAIRS: usize = 1_000_000;
/// So many sources.
const MOST_SOURCES: usize = 2_000;

/// An input that the file may not list, and its type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fed<'w> {
    pub(super) input: &'w str,
    pub(super) ty: &'w str,
    pub(super) feed: Feed<'w>,
}

/// What every node of a graph is sent, by its id.
pub(super) type Feeds<'w> = Map<&'w str, Vec<Fed<'w>>>;

/// Finds what goes where in a graph.
///
/// # Errors
/// [`WorkflowError::TooLarge`] when there are too many pairs to look at, [`WorkflowError::Expression`] for expressions
/// that need the feature `regex`.
pub(super) fn feeds<'w>(graph: &'w Graph, definitions: &'w dyn Definitions) -> Result<Feeds<'w>, WorkflowError> {
    let broadcasts = broadcasts(graph, MOST_SOURCES)?;
    let mut feeds = Feeds::default();
    if broadcasts.is_empty() {
        return Ok(feeds);
    }
    if broadcasts.len() > MOST_SOURCES {
        return Err(WorkflowError::TooLarge { limit: MOST_SOURCES, what: "things that are sent everywhere" });
    }
    let mut pairs = 0;
    let live = graph.nodes.iter().filter(|(_, node)| node.mode == Mode::Always && receives(node));
    for (id, node) in live {
        let def = definitions.get(&node.ty);
        for (input, label, ty) in free_inputs(graph, node, def) {
            pairs += broadcasts.len();
            if pairs > MOST_PAIRS {
                return Err(WorkflowError::TooLarge { limit: MOST_PAIRS, what: "inputs that something is sent to" });
            }
            let title = title(node, def);
            let receiver = Receiver { id, title, input: label, ty };
            if let Some(feed) = best(&broadcasts, &receiver) {
                feeds.entry(id.as_str()).or_default().push(Fed { input, ty, feed });
            }
        }
    }
    Ok(feeds)
}

/// The one source of highest priority; none when two are equal.
fn best<'w>(broadcasts: &[Broadcast<'w>], receiver: &Receiver<'_>) -> Option<Feed<'w>> {
    let fitting: Vec<&Broadcast<'w>> = broadcasts.iter().filter(|broadcast| broadcast.fits(receiver)).collect();
    let highest = fitting.iter().map(|broadcast| broadcast.priority).fold(f64::NEG_INFINITY, f64::max);
    let mut first = fitting.into_iter().filter(|broadcast| broadcast.priority >= highest);
    match (first.next(), first.next()) {
        (Some(only), None) => Some(only.feed),
        _ => None,
    }
}

fn receives(node: &UiNode) -> bool {
    let rejects = node.properties.get("rejects_ue_links").is_some_and(crate::python::truthy);
    !rejects && virtuals::of(&node.ty) != Some(Virtual::Everywhere)
}

fn title<'w>(node: &'w UiNode, def: Option<&'w NodeDef>) -> &'w str {
    let title = node.title.as_deref().filter(|title| !title.is_empty());
    title.or_else(|| def?.display_name.as_deref()).unwrap_or(&node.ty)
}

/// The inputs that take what is sent: name, label and type. Sockets do unless they were told not to, widgets only if
/// they were told to.
fn free_inputs<'w>(graph: &'w Graph, node: &'w UiNode, def: Option<&'w NodeDef>) -> Vec<(&'w str, &'w str, &'w str)> {
    let settings = node.properties.get("ue_properties");
    let told = |list: &str, input: &str| {
        let list = settings.and_then(|settings| settings.get(list)).or_else(|| node.properties.get(list));
        list.and_then(|list| list.get(input)).is_some_and(crate::python::truthy)
    };
    let knows_widgets = settings.is_some_and(|s| s.get("widget_ue_connectable").is_some())
        || node.properties.get("widget_ue_connectable").is_some();
    // Files of before 1.16 list a widget among the inputs only if it was made an input.
    let takes = |input: &str, widget: bool| match widget {
        true if knows_widgets => told("widget_ue_connectable", input),
        true => true,
        false => !told("input_ue_unconnectable", input),
    };
    let mut free: Vec<(&str, &str, &str)> = Vec::new();
    for input in node.inputs.iter().filter(|input| !connected(graph, input)) {
        if takes(&input.name, input.widget.is_some()) {
            free.push((&input.name, input.label.as_deref().unwrap_or(&input.name), &input.ty));
        }
    }
    // What the class has and the file does not list: widgets that are linked nowhere, sockets that came later.
    let listed = |name: &str| node.inputs.iter().any(|input| input.name == name);
    for input in
        def.into_iter().flat_map(|def| &def.inputs).filter(|input| input.group != Group::Hidden && !listed(&input.name))
    {
        let widget = widgets::is_widget(input);
        if (knows_widgets || !widget) && takes(&input.name, widget) {
            free.push((&input.name, &input.name, input.ty.name().unwrap_or("COMBO")));
        }
    }
    free
}

/// Whether an input is linked to anything, past bypassed nodes.
fn connected(graph: &Graph, input: &UiInput) -> bool {
    input.link.as_deref().is_some_and(|link| past_bypassed(graph, link).is_some())
}
