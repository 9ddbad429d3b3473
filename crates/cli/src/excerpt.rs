//! An excerpt: the lines of a graph's file that an error is about, with a mark under what is wrong.
//!
//! Knows errors of graphs and texts. What miette draws, and when there is nothing to draw.

use std::error::Error;
use std::io::IsTerminal as _;
use std::ops::Range;
use std::path::Path;

use kiln_graph::{NodeErrors, PromptError, PromptReadError, ValidationError, WorkflowError};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource};

use crate::open::{OpenError, Refused};
use crate::places::{member, members, whole};

/// Longer files are not read again for a picture of some lines.
const LARGEST: u64 = 16 << 20;
/// Marks in one excerpt.
const MOST: usize = 5;
/// Lines that are longer are cut around the mark.
const LONGEST: usize = 160;

/// A place in the file, and what is wrong there.
type Mark = (Range<usize>, String);

/// The lines that an error of a graph's file is about, as they stand there; nothing for other errors and other files.
pub(crate) fn excerpt(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(OpenError::Graph { file, problem }) = error.downcast_ref() {
        return drawn(file, |text| of_reading(text, problem));
    }
    let Refused { file, error } = error.downcast_ref()?;
    drawn(file, |text| of_validation(text, error))
}

/// The lines of the file that are about outputs which will not run beside others that will.
pub fn excerpt_of_nodes<'e>(
    file: &Path,
    errors: impl IntoIterator<Item = (&'e kiln_graph::NodeId, &'e NodeErrors)>,
) -> Option<String> {
    drawn(file, |text| of_nodes(text, errors))
}

fn drawn(file: &Path, marks: impl FnOnce(&str) -> Vec<Mark>) -> Option<String> {
    if std::fs::metadata(file).ok()?.len() > LARGEST {
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    let mut marks = marks(&text);
    marks.truncate(MOST);
    let name = file.display().to_string();
    match marks.as_slice() {
        [] => None,
        [first, ..] if has_long_line(&text, &marks) => Some(cut(&name, &text, first)),
        _ => picture(&name, text, marks),
    }
}

fn of_reading(text: &str, problem: &WorkflowError) -> Vec<Mark> {
    match problem {
        WorkflowError::Read(PromptReadError::Syntax { line, column, message }) => {
            vec![(position(text, *line, *column), message.clone())]
        }
        WorkflowError::Read(PromptReadError::Shape { node: Some(node), key, expected, .. }) => {
            let place = key.and_then(|key| in_node(text, node.as_str(), &[key]));
            let place = place.or_else(|| in_node(text, node.as_str(), &[]));
            place.into_iter().map(|place| (place, format!("must be {expected}"))).collect()
        }
        WorkflowError::UnknownClasses(missing) => {
            let of = |node: &str| in_node(text, node, &["class_type"]).or_else(|| in_node(text, node, &["type"]));
            let marks = missing.iter().filter_map(|class| {
                let place = class.nodes.iter().find_map(|node| of(node.as_str()))?;
                Some((place, "no such class".to_owned()))
            });
            marks.collect()
        }
        _ => Vec::new(),
    }
}

fn of_validation(text: &str, refused: &PromptError) -> Vec<Mark> {
    if refused.node_errors.is_empty() {
        return of_error(text, None, &refused.error).into_iter().collect();
    }
    of_nodes(text, &refused.node_errors)
}

fn of_nodes<'e>(text: &str, errors: impl IntoIterator<Item = (&'e kiln_graph::NodeId, &'e NodeErrors)>) -> Vec<Mark> {
    let errors = errors.into_iter().flat_map(|(id, node)| node.errors.iter().map(move |error| (id, error)));
    errors.take(MOST).filter_map(|(id, error)| of_error(text, Some(id.as_str()), error)).collect()
}

/// Where an error stands: at the value of its input, else at the class of its node.
fn of_error(text: &str, node: Option<&str>, error: &ValidationError) -> Option<Mark> {
    let node = node.or_else(|| error.extra_info.get("node_id")?.as_str())?;
    let input = error.input().and_then(|input| in_node(text, node, &["inputs", input]));
    let place = input.or_else(|| in_node(text, node, &["class_type"]));
    let place = place.or_else(|| in_node(text, node, &["type"])).or_else(|| in_node(text, node, &[]))?;
    Some((place, error.to_string()))
}

/// The bytes of what a node has under these keys, in a prompt, in the body of a request, or in a saved workflow.
fn in_node(text: &str, node: &str, keys: &[&str]) -> Option<Range<usize>> {
    let all = whole(text)?;
    let body = member(text, all.clone(), "prompt").map(|(_, value)| value);
    let mut found = body
        .and_then(|body| member(text, body, node))
        .or_else(|| member(text, all.clone(), node))
        .or_else(|| in_workflow(text, all, node))?;
    for key in keys {
        found = member(text, found.1, key)?;
    }
    // A node as a whole is shown by its name.
    Some(if keys.is_empty() { found.0 } else { found.1 })
}

/// A node of a saved workflow, or the one that a node of a subgraph stands in: the bytes of its id, and of all of it.
fn in_workflow(text: &str, all: Range<usize>, node: &str) -> Option<(Range<usize>, Range<usize>)> {
    let outer = node.split(':').next().unwrap_or(node);
    let nodes = member(text, all, "nodes")?.1;
    members(text, nodes).find_map(|(_, whole)| {
        let id = member(text, whole.clone(), "id")?.1;
        (text[id.clone()].trim_matches('"') == outer).then_some((id, whole))
    })
}

/// The byte at a line and a column, both from 1, the column in bytes.
fn position(text: &str, line: usize, column: usize) -> Range<usize> {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut at = (start + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let length = text[at..].chars().next().filter(|c| !c.is_control()).map_or(0, char::len_utf8);
    at..at + length
}

/// The bytes of the line around a place.
fn line_of(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    start..text[at..].find('\n').map_or(text.len(), |length| at + length)
}

fn has_long_line(text: &str, marks: &[Mark]) -> bool {
    marks.iter().any(|(place, _)| line_of(text, place.start).len() > LONGEST)
}

/// What miette draws of a text with marks, without the headline, which has been said.
fn picture(name: &str, text: String, marks: Vec<Mark>) -> Option<String> {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let labels = marks.into_iter().map(|(place, words)| LabeledSpan::at(place, words));
    let diagnostic = MietteDiagnostic::new("here").with_labels(labels);
    let report = miette::Report::new(diagnostic).with_source_code(NamedSource::new(name, text));
    let mut drawn = String::new();
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_wrap_lines(false);
    handler.render_report(&mut drawn, report.as_ref()).ok()?;
    let lines = drawn.lines().skip_while(|line| !line.contains('─'));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

/// A piece of a line that is too long to be shown.
fn cut(name: &str, text: &str, (place, words): &Mark) -> String {
    let line = line_of(text, place.start);
    let number = text[..line.start].matches('\n').count() + 1;
    let before = text[line.start..place.start].char_indices().rev().nth(50).map_or(0, |(at, _)| at);
    let start = line.start + before;
    let shown: String = text[start..line.end].chars().take(120).collect();
    let indent = text[start..place.start].chars().count();
    let dots = |more: bool| if more { "…" } else { "" };
    let width = text[place.clone()].chars().count().clamp(1, 120 - indent.min(119));
    let (head, tail) = (dots(before > 0), dots(start + shown.len() < line.end));
    let gap = " ".repeat(indent + head.chars().count());
    let column = place.start - line.start + 1;
    format!(
        "  {name}, line {number}, column {column}\n  {head}{shown}{tail}\n  {gap}{}\n  {gap}{words}",
        "─".repeat(width)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKFLOW: &str = r#"{"nodes": [{"id": 3, "type": "A"}, {"id": "b", "type": "B"}]}"#;

    #[test]
    fn nodes_are_found_in_prompts_requests_and_workflows() {
        let prompt = r#"{"3": {"class_type": "A", "inputs": {"x": [1, 2]}}}"#;
        let request = format!("{{\"client_id\": \"3\", \"prompt\": {prompt}}}");
        for text in [prompt, &request] {
            assert_eq!(in_node(text, "3", &["inputs", "x"]).map(|place| &text[place]), Some("[1, 2]"));
            assert_eq!(in_node(text, "3", &[]).map(|place| &text[place]), Some("\"3\""));
        }
        for (id, class) in [("3", "\"A\""), ("3:9", "\"A\""), ("b", "\"B\"")] {
            assert_eq!(in_node(WORKFLOW, id, &["type"]).map(|place| &WORKFLOW[place]), Some(class));
        }
        assert_eq!(in_node(WORKFLOW, "7", &["type"]), None);
    }

    #[test]
    fn a_position_never_lies_within_a_letter_or_behind_the_text() {
        assert_eq!(position("a\nbö", 2, 3), 3..5);
        assert_eq!(position("a\nbö", 2, 9), 5..5);
        assert_eq!(position("", 0, 0), 0..0);
    }

    #[test]
    fn of_a_long_line_a_piece_is_shown() {
        let text = format!("{{\"a\": \"{}\", \"b\": 77, \"c\": \"{}\"}}", "ä".repeat(200), "z".repeat(200));
        let at = text.find("77").unwrap_or_default();
        let shown = cut("g.json", &text, &(at..at + 2, "too much".into()));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], format!("  g.json, line 1, column {}", at + 1));
        let column = |line: &str, part: &str| line.find(part).map(|at| line[..at].chars().count());
        assert_eq!(column(lines[1], "77"), column(lines[2], "──"));
        assert_eq!(column(lines[1], "77"), column(lines[3], "too much"));
        assert!(lines[1].chars().count() < 130);
    }
}
