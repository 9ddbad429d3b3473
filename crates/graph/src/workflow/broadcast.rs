//! What one node of Use Everywhere sends, and which inputs it fits: the pack's settings, of its older versions too.
//!
//! Knows one source and one input at a time. Which of several sources an input takes is `everywhere`'s matter.

use serde_json::Value;

use super::error::WorkflowError;
use super::frames;
use super::pattern::{Expression, Pattern};
use super::ui::{Graph, INPUTS, Mode, UiLink, UiNode, WidgetValues};
use super::virtuals::{self, Virtual};
use crate::map::Set;

/// Where an input that is linked nowhere gets its value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Feed<'w> {
    /// What this link carries.
    Link(&'w str),
    /// An output of a node.
    Output(&'w str, usize),
}

/// An input that may take what is sent.
pub(super) struct Receiver<'a> {
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    pub(super) input: &'a str,
    pub(super) ty: &'a str,
}

/// One thing that is sent.
pub(super) struct Broadcast<'w> {
    pub(super) feed: Feed<'w>,
    pub(super) priority: f64,
    ty: &'w str,
    /// The node that makes it, which does not send to itself.
    source: &'w str,
    title: Option<Pattern>,
    input: Option<Pattern>,
    /// The nodes that it goes to, where it does not go to all.
    nodes: Option<Set<&'w str>>,
    same_name: Option<SameName<'w>>,
    string_to_combo: bool,
}

/// A node that sends several things of one type tells them apart by the name of its own input.
struct SameName<'w> {
    name: &'w str,
    rule: u64,
}

impl SameName<'_> {
    fn fits(&self, receiver: &Receiver<'_>) -> bool {
        let (own, other) = (self.name, receiver.input);
        match self.rule {
            0 => own == other,
            1 => own.starts_with(other) || other.starts_with(own),
            2 => own.ends_with(other) || other.ends_with(own),
            _ => receiver.title == own,
        }
    }
}

impl Broadcast<'_> {
    /// Whether it may go to that input.
    pub(super) fn fits(&self, receiver: &Receiver<'_>) -> bool {
        let type_fits = self.ty == receiver.ty || self.string_to_combo && self.ty == "STRING" && receiver.ty == "COMBO";
        let fits = |pattern: &Option<Pattern>, text: &str| pattern.as_ref().is_none_or(|pattern| pattern.fits(text));
        type_fits
            && receiver.id != self.source
            && self.nodes.as_ref().is_none_or(|nodes| nodes.contains(receiver.id))
            && self.same_name.as_ref().is_none_or(|rule| rule.fits(receiver))
            && fits(&self.title, receiver.title)
            && fits(&self.input, receiver.input)
    }
}

/// Everything that is sent in a graph; one more than `most` where it is more.
///
/// # Errors
/// As [`Pattern::of`].
pub(super) fn broadcasts(graph: &Graph, most: usize) -> Result<Vec<Broadcast<'_>>, WorkflowError> {
    let mut all = Vec::new();
    for (id, node) in graph.nodes.iter().filter(|(_, node)| node.mode == Mode::Always) {
        if let Some(settings) = Settings::of(node) {
            all.extend(sent(graph, id, node, &settings)?);
        }
        if all.len() > most {
            break;
        }
    }
    Ok(all)
}

/// The settings of a node that sends.
struct Settings<'w> {
    values: Value,
    /// It sends what it makes, not what comes in.
    outputs: bool,
    prompts: bool,
    node: &'w UiNode,
}

impl<'w> Settings<'w> {
    fn of(node: &'w UiNode) -> Option<Self> {
        let flag = |value: Option<&Value>| value.is_some_and(crate::python::truthy);
        let outputs = flag(node.properties.get("ue_convert"));
        if !outputs && virtuals::of(&node.ty) != Some(Virtual::Everywhere) {
            return None;
        }
        let own = node.properties.get("ue_properties").filter(|own| outputs || own.get("version").is_some());
        let values = own.cloned().unwrap_or_else(|| Self::of_old(node));
        let prompts = flag(values.get("prompt_regexes")) || node.ty == "Prompts Everywhere";
        Some(Self { values, outputs, prompts, node })
    }

    /// What versions before 7 stored, in the form of today: the expressions are widgets.
    fn of_old(node: &UiNode) -> Value {
        let widget = |place: usize| match &node.values {
            WidgetValues::List(values) => values.get(place).cloned().unwrap_or_default(),
            _ => Value::Null,
        };
        let property = |name: &str| node.properties.get(name).cloned().unwrap_or_default();
        serde_json::json!({
            "title_regex": widget(0), "input_regex": widget(1), "group_regex": widget(2),
            "group_restricted": property("group_restricted"), "color_restricted": property("color_restricted"),
        })
    }

    fn number(&self, name: &str) -> u64 {
        match self.values.get(name) {
            Some(Value::Bool(true)) => 1,
            Some(value) => value.as_u64().unwrap_or_default(),
            None => 0,
        }
    }

    /// The priority that was given, else the pack's: the narrower, the higher.
    fn priority(&self) -> f64 {
        let given = self.values.get("priority").and_then(Value::as_f64).filter(|priority| *priority != 0.0);
        given.unwrap_or_else(|| {
            let says = |name: &&str| {
                let text = self.values.get(format!("{name}_regex")).and_then(Value::as_str);
                text.is_some_and(|text| !text.is_empty() && text != ".*")
            };
            let restricted = ["title", "input", "prompt", "negative", "group"].iter().any(says);
            let named = self.node.ty == "Prompts Everywhere";
            10.0 + if named { 10.0 } else { 0.0 }
                + if restricted { 20.0 } else { 0.0 }
                + if self.number("group_restricted") > 0 { 3.0 } else { 0.0 }
                + if self.number("color_restricted") > 0 { 6.0 } else { 0.0 }
        })
    }

    /// The expression for the inputs that the thing at a place goes to.
    fn input(&self, place: usize) -> Result<Option<Pattern>, WorkflowError> {
        match (self.prompts, place) {
            (true, 0) => Pattern::of(&self.values, "prompt", Some(Expression::Positive)),
            (true, _) => Pattern::of(&self.values, "negative", Some(Expression::Negative)),
            (false, _) => Pattern::of(&self.values, "input", None),
        }
    }

    /// The nodes that it sends to, where those are not all.
    fn nodes(&self, graph: &'w Graph, id: &str) -> Result<Option<Set<&'w str>>, WorkflowError> {
        let mut nodes: Option<Set<&str>> = None;
        let mut restrict = |others: Set<&'w str>, want: bool| {
            let known = nodes.take().unwrap_or_else(|| graph.nodes.keys().map(String::as_str).collect());
            nodes = Some(known.into_iter().filter(|id| others.contains(id) == want).collect());
        };
        match self.number("group_restricted") {
            0 => {}
            which => restrict(frames::neighbours(graph, id), which == 1),
        }
        let color = |node: &UiNode| node.color == self.node.color;
        let of_color = || graph.nodes.iter().filter(|(_, node)| color(node)).map(|(id, _)| id.as_str()).collect();
        match self.number("color_restricted") {
            0 => {}
            which => restrict(of_color(), which == 1),
        }
        if let Some(pattern) = Pattern::of(&self.values, "group", None)? {
            restrict(frames::in_groups(graph, |title| pattern.fits(title)), true);
        }
        Ok(nodes)
    }
}

/// What one node sends.
fn sent<'w>(
    graph: &'w Graph,
    id: &'w str,
    node: &'w UiNode,
    settings: &Settings<'w>,
) -> Result<Vec<Broadcast<'w>>, WorkflowError> {
    let things = if settings.outputs { made(id, node) } else { taken(graph, node) };
    let repeated = |ty: &str| !settings.prompts && things.iter().filter(|thing| thing.ty == ty).count() > 1;
    let broadcast = |thing: &Thing<'w>| {
        let rule = || SameName { name: thing.name, rule: settings.number("repeated_type_rule") };
        Ok(Broadcast {
            feed: thing.feed,
            priority: settings.priority(),
            ty: thing.ty,
            source: thing.source,
            title: Pattern::of(&settings.values, "title", None)?,
            input: settings.input(thing.place)?,
            nodes: settings.nodes(graph, id)?,
            same_name: repeated(thing.ty).then(rule),
            string_to_combo: settings.number("string_to_combo") > 0,
        })
    };
    things.iter().map(broadcast).collect()
}

/// Something that a node could send.
struct Thing<'w> {
    place: usize,
    name: &'w str,
    ty: &'w str,
    source: &'w str,
    feed: Feed<'w>,
}

/// What a node makes.
fn made<'w>(id: &'w str, node: &'w UiNode) -> Vec<Thing<'w>> {
    let thing =
        |(place, ty): (usize, &'w String)| Thing { place, name: ty, ty, source: id, feed: Feed::Output(id, place) };
    node.outputs.iter().enumerate().map(thing).collect()
}

/// What comes into a node from others that run.
fn taken<'w>(graph: &'w Graph, node: &'w UiNode) -> Vec<Thing<'w>> {
    let thing = |(place, input): (usize, &'w super::ui::UiInput)| {
        let link = input.link.as_deref()?;
        let from = past_bypassed(graph, link)?;
        let source = graph.nodes.get(&from.from);
        if from.from != INPUTS && source.is_none_or(|source| source.mode != Mode::Always) {
            return None;
        }
        let known = |ty: &&str| !matches!(*ty, "" | "*");
        let of_output = || source?.outputs.get(from.from_slot).map(String::as_str);
        let ty = Some(from.ty.as_str()).filter(known).or_else(of_output).filter(known).unwrap_or(&input.ty);
        let name = input.label.as_deref().unwrap_or(&input.name);
        Some(Thing { place, name, ty, source: &from.from, feed: Feed::Link(link) })
    };
    node.inputs.iter().enumerate().filter_map(thing).collect()
}

/// The link that a link comes from past bypassed nodes, which hand on the input of the same type; `None` for a loose
/// end.
pub(super) fn past_bypassed<'w>(graph: &'w Graph, link: &str) -> Option<&'w UiLink> {
    let mut link = graph.links.get(link)?;
    // No path is longer than there are nodes.
    for _ in 0..=graph.nodes.len() {
        if link.from == INPUTS {
            return Some(link);
        }
        let node = graph.nodes.get(&link.from)?;
        if node.mode != Mode::Bypassed {
            return Some(link);
        }
        let same = node.input_at(link.from_slot).filter(|input| input.ty == link.ty);
        let input = same.or_else(|| node.inputs.iter().find(|input| input.ty == link.ty))?;
        link = graph.links.get(input.link.as_deref()?)?;
    }
    None
}
