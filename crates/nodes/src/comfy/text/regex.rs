//! Nodes that search texts by patterns.

use kiln_exec::{Cx, Execute, Node, NodeError};

use super::python::{Flags, PatternError, Regex};

/// An input that can't be used, and why.
fn refused(input: &str, error: &PatternError) -> NodeError {
    NodeError::new(format!("`{input}`: {error}"))
}

/// As in ComfyUI a pattern that is none to Python finds nothing, which is reported. Whatever else goes wrong is an error.
fn or_nothing<T: Default>(found: Result<T, PatternError>) -> Result<T, NodeError> {
    match found {
        Err(error @ PatternError::Python { .. }) => {
            tracing::warn!(%error, "`regex_pattern` is no regular expression and finds nothing");
            Ok(T::default())
        }
        found => found.map_err(|error| refused("regex_pattern", &error)),
    }
}

/// Whether a pattern occurs in a text.
#[derive(Node)]
#[node(
    display_name = "Regex Match",
    category = "utils/string",
    module = "comfy_extras.nodes_string",
    outputs("matches")
)]
pub struct RegexMatch {
    /// The text.
    #[input(multiline)]
    string: String,
    /// The pattern.
    #[input(multiline)]
    regex_pattern: String,
    /// Whether large and small letters are the same.
    #[input(default = true)]
    case_insensitive: bool,
    /// Whether ^ and $ stand for the ends of lines.
    #[input(default = false)]
    multiline: bool,
    /// Whether . stands for line breaks, too.
    #[input(default = false)]
    dotall: bool,
}

impl Execute for RegexMatch {
    type Output = bool;

    fn execute(self, _: &mut Cx) -> Result<bool, NodeError> {
        let flags = Flags::new(self.case_insensitive, self.multiline, self.dotall);
        let found = Regex::new(&self.regex_pattern, flags, &self.string).and_then(|regex| Ok(regex.first()?.is_some()));
        or_nothing(found)
    }
}

/// Takes out what a pattern finds in a text.
#[derive(Node)]
#[node(display_name = "Regex Extract", category = "utils/string", module = "comfy_extras.nodes_string")]
pub struct RegexExtract {
    /// The text.
    #[input(multiline)]
    string: String,
    /// The pattern.
    #[input(multiline)]
    regex_pattern: String,
    /// The first or all finds, whole or one group of each.
    #[input(options = ["First Match", "All Matches", "First Group", "All Groups"], option("multiselect" = false))]
    mode: String,
    /// Whether large and small letters are the same.
    #[input(default = true)]
    case_insensitive: bool,
    /// Whether ^ and $ stand for the ends of lines.
    #[input(default = false)]
    multiline: bool,
    /// Whether . stands for line breaks, too.
    #[input(default = false)]
    dotall: bool,
    /// Which group; 0 is the whole find.
    #[input(default = 1, min = 0, max = 100)]
    group_index: usize,
}

impl Execute for RegexExtract {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        let flags = Flags::new(self.case_insensitive, self.multiline, self.dotall);
        or_nothing(Regex::new(&self.regex_pattern, flags, &self.string).and_then(|regex| self.extracted(&regex)))
    }
}

impl RegexExtract {
    fn extracted(&self, regex: &Regex<'_>) -> Result<String, PatternError> {
        let whole_or_first = usize::from(regex.groups() > 0);
        let (first, group) = match self.mode.as_str() {
            "First Match" => (true, 0),
            // Python's `findall` gives the first group where there are groups.
            "All Matches" => (false, whole_or_first),
            "First Group" => (true, self.group_index),
            _ if regex.groups() == 0 => return Ok(String::new()),
            _ => (false, self.group_index),
        };
        if group > regex.groups() {
            return Ok(String::new());
        }
        let mut parts = Vec::new();
        for found in regex.all().take(if first { 1 } else { usize::MAX }) {
            parts.push(regex.group(&found?, group)?.unwrap_or_default());
        }
        Ok(parts.join("\n"))
    }
}

/// Replaces what a pattern finds in a text.
#[derive(Node)]
#[node(display_name = "Regex Replace", category = "utils/string", module = "comfy_extras.nodes_string")]
pub struct RegexReplace {
    /// The text.
    #[input(multiline)]
    string: String,
    /// The pattern.
    #[input(multiline)]
    regex_pattern: String,
    /// What to put there; \1 stands for the first group.
    #[input(multiline)]
    replace: String,
    /// Whether large and small letters are the same.
    #[input(default = true)]
    case_insensitive: Option<bool>,
    /// Whether ^ and $ stand for the ends of lines.
    #[input(default = false)]
    multiline: Option<bool>,
    /// Whether . stands for line breaks, too.
    #[input(default = false)]
    dotall: Option<bool>,
    /// How many finds to replace; 0 for all.
    #[input(default = 0, min = 0, max = 100)]
    count: Option<usize>,
}

impl Execute for RegexReplace {
    type Output = String;

    fn execute(self, cx: &mut Cx) -> Result<String, NodeError> {
        let flags = Flags::new(
            self.case_insensitive.unwrap_or(true),
            self.multiline.unwrap_or(false),
            self.dotall.unwrap_or(false),
        );
        let regex =
            Regex::new(&self.regex_pattern, flags, &self.string).map_err(|error| refused("regex_pattern", &error))?;
        let template = regex.template(&self.replace).map_err(|error| refused("replace", &error))?;
        let replaced =
            regex.replaced(&template, self.count.unwrap_or(0), || cx.checkpoint().map_err(Stopped::Cancelled));
        replaced.map_err(|stopped| match stopped {
            Stopped::Cancelled(error) => error,
            Stopped::Pattern(error) => refused("regex_pattern", &error),
        })
    }
}

/// Why a replacing ended early.
enum Stopped {
    Cancelled(NodeError),
    Pattern(PatternError),
}

impl From<PatternError> for Stopped {
    fn from(error: PatternError) -> Self {
        Self::Pattern(error)
    }
}
