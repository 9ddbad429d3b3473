//! What the page rewrites in texts when it sends a workflow: comments and alternatives in prompts, dates and widget
//! values in file names.
//!
//! Knows texts and where to look widget values up. Knows no clock: the time is an option.

use std::fmt::Write as _;

use serde_json::Value;

use super::options::{LocalTime, LowerOptions};
use super::random::Random;
use super::ui::{UiNode, WidgetValues, Workflow};
use super::widgets;
use crate::def::{Definitions, InputDef};
use crate::map::Map;
use crate::python::Str;

/// Classes whose `filename_prefix` is rewritten, beside those that begin with `SaveAudio`.
const SAVERS: &[&str] = &[
    "SaveImage",
    "SaveAnimatedWEBP",
    "SaveAnimatedPNG",
    "SaveVideo",
    "SaveWEBM",
    "SaveSVGNode",
    "SaveLatent",
    "SaveGLB",
    "CLIPSave",
    "VAESave",
    "ModelSave",
    "LoraSave",
];

/// Alternatives nested deeper than this are left as they are.
const DEEPEST: usize = 64;

pub(super) struct Rewriter<'w> {
    workflow: &'w Workflow,
    definitions: &'w dyn Definitions,
    now: Option<LocalTime>,
    random: Random,
    /// Nodes by the name under which texts call them; made when first needed.
    names: Option<Map<&'w str, &'w UiNode>>,
}

impl<'w> Rewriter<'w> {
    pub(super) fn new(workflow: &'w Workflow, definitions: &'w dyn Definitions, options: &LowerOptions) -> Self {
        Self { workflow, definitions, now: options.now, random: Random(options.seed), names: None }
    }

    /// The value as it is sent for that input.
    pub(super) fn rewrite(&mut self, class_type: &str, input: &InputDef, value: Value) -> Value {
        let Value::String(text) = value else { return value };
        let saver = SAVERS.contains(&class_type) || class_type.starts_with("SaveAudio");
        if &*input.name == "filename_prefix" && saver {
            return Value::String(self.placeholders(&text));
        }
        if input.ty.is("STRING") && input.flag("dynamicPrompts") {
            return Value::String(self.alternatives(&text));
        }
        Value::String(text)
    }

    /// Replaces the placeholders of a text in place.
    pub(super) fn replace(&mut self, value: &mut Value) {
        if let Value::String(text) = value {
            *text = self.placeholders(text);
        }
    }

    /// Takes comments out and chooses one of each `{a|b|c}`.
    fn alternatives(&mut self, text: &str) -> String {
        let text = without_comments(text);
        // Each level: the alternatives so far, the last one growing. The outermost has just one.
        let mut levels: Vec<Vec<String>> = vec![vec![String::new()]];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let nested = levels.len() > 1;
            match c {
                '\\' => match chars.next() {
                    Some(next @ ('{' | '}' | '|')) => grow(&mut levels, next),
                    next => {
                        grow(&mut levels, '\\');
                        if let Some(next) = next {
                            grow(&mut levels, next);
                        }
                    }
                },
                '{' if levels.len() <= DEEPEST => levels.push(vec![String::new()]),
                '|' if nested => {
                    if let Some(level) = levels.last_mut() {
                        level.push(String::new());
                    }
                }
                '}' if nested => {
                    let mut options = levels.pop().unwrap_or_default();
                    let choice = (self.random.next() % options.len().max(1) as u64) as usize;
                    let chosen = if choice < options.len() { options.swap_remove(choice) } else { String::new() };
                    append(&mut levels, &chosen);
                }
                c => grow(&mut levels, c),
            }
        }
        // What was opened and never closed stays as it was written.
        while levels.len() > 1 {
            let open = levels.pop().unwrap_or_default();
            append(&mut levels, &format!("{{{}", open.join("|")));
        }
        levels.pop().and_then(|mut level| level.pop()).unwrap_or_default()
    }

    /// Replaces `%date:FORMAT%` and `%Node.widget%`; the rest is the server's matter.
    fn placeholders(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('%') {
            let (before, from) = rest.split_at(start);
            out.push_str(before);
            let Some(end) = from[1..].find('%') else {
                rest = from;
                break;
            };
            let inner = &from[1..=end];
            if let Some(value) = self.placeholder(inner) {
                out.push_str(&value);
                rest = &from[end + 2..];
                continue;
            }
            out.push('%');
            out.push_str(inner);
            // The closing sign may open the next one.
            rest = &from[end + 1..];
            if is_left(inner) {
                out.push('%');
                rest = &rest[1..];
            }
        }
        out + rest
    }

    fn placeholder(&mut self, inner: &str) -> Option<String> {
        if let Some(format) = inner.strip_prefix("date:") {
            return self.now.map(|now| date(format, now));
        }
        let (name, widget) = inner.split_once('.')?;
        let workflow = self.workflow;
        let names = self.names.get_or_insert_with(|| names(workflow));
        let node = names.get(name)?;
        let value = if let WidgetValues::Named(values) = &node.values {
            values.get(widget)?.clone()
        } else {
            let def = self.definitions.get(&node.ty)?;
            widgets::values(def, node).into_iter().find(|(input, _)| &*input.name == widget)?.1
        };
        let unsafe_in_names = |c: char| c.is_control() || "/?<>\\:*|\"".contains(c);
        Some(Str(&value).to_string().chars().map(|c| if unsafe_in_names(c) { '_' } else { c }).collect())
    }
}

/// Nodes by their property for search and replace, then by title; the first of each name counts.
fn names(workflow: &Workflow) -> Map<&str, &UiNode> {
    let graphs = || std::iter::once(&workflow.root).chain(workflow.subgraphs.values().map(|s| &s.graph));
    let nodes = || graphs().flat_map(|graph| graph.nodes.values());
    let property = |node: &'_ UiNode| node.properties.get("Node name for S&R").and_then(Value::as_str).is_some();
    let mut names: Map<&str, &UiNode> = Map::default();
    for node in nodes().filter(|node| property(node)) {
        if let Some(Value::String(name)) = node.properties.get("Node name for S&R") {
            names.entry(name).or_insert(node);
        }
    }
    for node in nodes() {
        if let Some(title) = &node.title {
            names.entry(title).or_insert(node);
        }
    }
    names
}

fn grow(levels: &mut [Vec<String>], c: char) {
    if let Some(text) = levels.last_mut().and_then(|level| level.last_mut()) {
        text.push(c);
    }
}

fn append(levels: &mut [Vec<String>], more: &str) {
    if let Some(text) = levels.last_mut().and_then(|level| level.last_mut()) {
        text.push_str(more);
    }
}

/// Whether this is a placeholder that someone else fills, which ends where it closes.
fn is_left(inner: &str) -> bool {
    !inner.is_empty() && inner.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '-'))
}

/// Takes `/* ... */` and `// ...` to the end of the line out.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Looking for an end that is not there once is enough.
    let mut closes = true;
    while let Some(start) = rest.find('/') {
        out.push_str(&rest[..start]);
        let comment = &rest[start..];
        if comment.starts_with("//") {
            rest = comment.find('\n').map_or("", |end| &comment[end..]);
        } else if let Some(inner) = comment.strip_prefix("/*").filter(|_| closes) {
            let end = inner.find("*/");
            closes = end.is_some();
            rest = end.map_or(comment, |end| &inner[end + 2..]);
        } else {
            out.push('/');
            rest = &comment[1..];
        }
    }
    out + rest
}

/// `yyyy-MM-dd hh:mm:ss` and its parts; anything else stays.
fn date(format: &str, now: LocalTime) -> String {
    let fields: [(&str, u16, usize); 12] = [
        ("yyyy", now.year, 4),
        ("yy", now.year % 100, 2),
        ("MM", u16::from(now.month), 2),
        ("M", u16::from(now.month), 1),
        ("dd", u16::from(now.day), 2),
        ("d", u16::from(now.day), 1),
        ("hh", u16::from(now.hour), 2),
        ("h", u16::from(now.hour), 1),
        ("mm", u16::from(now.minute), 2),
        ("m", u16::from(now.minute), 1),
        ("ss", u16::from(now.second), 2),
        ("s", u16::from(now.second), 1),
    ];
    let mut out = String::new();
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        let field = fields.iter().find(|(name, _, _)| rest.starts_with(name));
        let Some((name, value, width)) = field else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        // Writing to a String cannot fail.
        let _ = write!(out, "{value:0width$}");
        rest = &rest[name.len()..];
    }
    out
}
