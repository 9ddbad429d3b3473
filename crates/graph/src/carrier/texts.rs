//! The texts of a file, and which of them is the graph.
//!
//! Knows the names under which programs store graphs: one text for the prompt and one for the workflow, or one comment
//! that holds both. Knows no format.

use serde_json::Value;

use crate::prompt::{as_python, syntax};

/// Texts within texts are taken out so many times.
const MOST_WRAPPED: usize = 4;

/// The texts of a file by their names, in the file's order.
#[derive(Default)]
pub(super) struct Texts(Vec<(String, String)>);

/// What a file carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    /// What the file is, with its article.
    pub(crate) kind: &'static str,
    /// JSON in API format.
    pub(crate) prompt: Option<String>,
    /// JSON of the page.
    pub(crate) workflow: Option<String>,
    /// There are parameters of a program that has no graphs.
    pub(crate) parameters: bool,
}

impl Texts {
    /// Adds a text under a name.
    pub(super) fn add(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.0.push((name.into(), text.into()));
    }

    /// Adds a text that says its name itself: `workflow:{...}`. Any other is a comment.
    pub(super) fn add_named(&mut self, text: &str) {
        let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        match text.split_once(':') {
            Some((name, text)) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                self.add(name, text);
            }
            _ => self.add(COMMENT, text),
        }
    }

    /// Adds the comment of an image's user, which may say the name of a graph.
    pub(super) fn add_comment(&mut self, text: &str) {
        match trimmed(text).split_once(':') {
            Some((name, text)) if GRAPHS.iter().any(|graph| name.eq_ignore_ascii_case(graph)) => self.add(name, text),
            _ => self.add("usercomment", text),
        }
    }

    /// Which texts are the graph: those of that name, else what a comment holds.
    pub(super) fn settle(self, kind: &'static str) -> Carried {
        let named = |wanted: &str| {
            let is_it = |(name, _): &&(String, String)| name.eq_ignore_ascii_case(wanted);
            let texts = self.0.iter().filter(is_it).map(|(_, text)| unwrapped(text));
            texts.into_iter().find(|text| text.starts_with('{'))
        };
        let (mut prompt, mut workflow) = (named("prompt"), named("workflow"));
        for (name, text) in &self.0 {
            if (prompt.is_none() || workflow.is_none()) && COMMENTS.iter().any(|c| name.eq_ignore_ascii_case(c)) {
                let (in_prompt, in_workflow) = in_comment(text);
                prompt = prompt.or(in_prompt);
                workflow = workflow.or(in_workflow);
            }
        }
        let parameters = self.0.iter().any(|(name, _)| name.eq_ignore_ascii_case("parameters"));
        Carried { kind, prompt, workflow, parameters }
    }
}

/// The names of texts that are graphs.
const GRAPHS: [&str; 2] = ["prompt", "workflow"];
/// The name of a text that has none.
pub(super) const COMMENT: &str = "comment";
/// Names of texts that hold a graph among other things.
const COMMENTS: &[&str] = &[COMMENT, "description", "usercomment", "metadata", "comfyui"];

/// Prompt and workflow in a comment: `{"prompt": .., "workflow": ..}`, or one of them itself.
fn in_comment(text: &str) -> (Option<String>, Option<String>) {
    let text = unwrapped(text);
    let read = |bytes: &[u8]| serde_json::from_slice(bytes).map_err(|error| syntax(bytes, &error));
    let Ok(Value::Object(object)) = as_python(text.as_bytes(), read) else { return (None, None) };
    let part = |wanted: &str| {
        let (_, value) = object.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        let text = value.as_str().map_or_else(|| value.to_string(), unwrapped);
        text.starts_with('{').then_some(text)
    };
    match (part("prompt"), part("workflow")) {
        (None, None) if object.get("nodes").is_some_and(Value::is_array) => (None, Some(text)),
        (None, None) if object.values().any(|node| node.get("class_type").is_some()) => (Some(text), None),
        parts => parts,
    }
}

/// The JSON in a text, which some programs write as a JSON text, as often as they handed it on.
fn unwrapped(text: &str) -> String {
    let mut text = trimmed(text).to_owned();
    for _ in 0..MOST_WRAPPED {
        match text.starts_with('"').then(|| serde_json::from_str::<String>(&text)) {
            Some(Ok(inner)) => trimmed(&inner).clone_into(&mut text),
            _ => break,
        }
    }
    text
}

/// Without blanks and the zeros that end texts in many formats.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c == '\0' || c == '\u{feff}' || c.is_whitespace())
}
