//! Nodes on text.

use kiln_exec::{Cx, Execute, Node, NodeError};
use regex::{Regex, RegexBuilder};

crate::comfy::classes::classes! {
    StringConcatenate, StringSubstring, StringLength, CaseConverter, StringTrim, StringReplace, StringContains,
    StringCompare, RegexMatch, RegexExtract, RegexReplace,
}

/// Joins two texts.
#[derive(Node)]
#[node(display_name = "Concatenate", category = "utils/string", module = "comfy_extras.nodes_string")]
pub struct StringConcatenate {
    /// The first text.
    #[input(multiline)]
    string_a: String,
    /// The second text.
    #[input(multiline)]
    string_b: String,
    /// What stands between them.
    #[input(default = "", option("multiline" = false))]
    delimiter: String,
}

impl Execute for StringConcatenate {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        Ok([self.string_a, self.string_b].join(&self.delimiter))
    }
}

/// A part of a text.
#[derive(Node)]
#[node(display_name = "Substring", category = "utils/string", module = "comfy_extras.nodes_string")]
pub struct StringSubstring {
    /// The text.
    #[input(multiline)]
    string: String,
    /// The first character, from 0; negative counts from the end.
    start: i64,
    /// The character behind the last; negative counts from the end.
    end: i64,
}

impl Execute for StringSubstring {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        let count = self.string.chars().count() as i64;
        let place = |at: i64| if at < 0 { (at + count).max(0) } else { at.min(count) } as usize;
        let (start, end) = (place(self.start), place(self.end));
        Ok(self.string.chars().skip(start).take(end.saturating_sub(start)).collect())
    }
}

/// How many characters a text has.
#[derive(Node)]
#[node(display_name = "Length", category = "utils/string", module = "comfy_extras.nodes_string", outputs("length"))]
pub struct StringLength {
    /// The text.
    #[input(multiline)]
    string: String,
}

impl Execute for StringLength {
    type Output = usize;

    fn execute(self, _: &mut Cx) -> Result<usize, NodeError> {
        Ok(self.string.chars().count())
    }
}

/// Changes between large and small letters.
#[derive(Node)]
#[node(display_name = "Case Converter", category = "utils/string", module = "comfy_extras.nodes_string")]
pub struct CaseConverter {
    /// The text.
    #[input(multiline)]
    string: String,
    /// Which letters become large.
    #[input(options = ["UPPERCASE", "lowercase", "Capitalize", "Title Case"], option("multiselect" = false))]
    mode: String,
}

impl Execute for CaseConverter {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        Ok(match self.mode.as_str() {
            "UPPERCASE" => self.string.to_uppercase(),
            "lowercase" => self.string.to_lowercase(),
            "Capitalize" => capitalised(&self.string, false),
            _ => capitalised(&self.string, true),
        })
    }
}

/// The first letter large (of every word, if wanted), the others small.
fn capitalised(text: &str, every_word: bool) -> String {
    let mut out = String::new();
    let mut begins = true;
    for c in text.chars() {
        if begins {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        begins = every_word && !c.is_alphabetic();
    }
    out
}

/// Takes blanks off the ends of a text.
#[derive(Node)]
#[node(display_name = "Trim", category = "utils/string", module = "comfy_extras.nodes_string")]
pub struct StringTrim {
    /// The text.
    #[input(multiline)]
    string: String,
    /// Which ends.
    #[input(options = ["Both", "Left", "Right"], option("multiselect" = false))]
    mode: String,
}

impl Execute for StringTrim {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        Ok(match self.mode.as_str() {
            "Left" => self.string.trim_start(),
            "Right" => self.string.trim_end(),
            _ => self.string.trim(),
        }
        .to_owned())
    }
}

/// Replaces every occurrence of a text by another.
#[derive(Node)]
#[node(display_name = "Replace", category = "utils/string", module = "comfy_extras.nodes_string")]
pub struct StringReplace {
    /// The text.
    #[input(multiline)]
    string: String,
    /// What to look for.
    #[input(multiline)]
    find: String,
    /// What to put there.
    #[input(multiline)]
    replace: String,
}

impl Execute for StringReplace {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        Ok(self.string.replace(&self.find, &self.replace))
    }
}

/// Whether a text holds another.
#[derive(Node)]
#[node(display_name = "Contains", category = "utils/string", module = "comfy_extras.nodes_string", outputs("contains"))]
pub struct StringContains {
    /// The text.
    #[input(multiline)]
    string: String,
    /// What to look for.
    #[input(multiline)]
    substring: String,
    /// Whether large and small letters differ.
    #[input(default = true)]
    case_sensitive: bool,
}

impl Execute for StringContains {
    type Output = bool;

    fn execute(self, _: &mut Cx) -> Result<bool, NodeError> {
        let fold = |text: String| if self.case_sensitive { text } else { text.to_lowercase() };
        Ok(fold(self.string).contains(&fold(self.substring)))
    }
}

/// Compares two texts.
#[derive(Node)]
#[node(display_name = "Compare", category = "utils/string", module = "comfy_extras.nodes_string")]
pub struct StringCompare {
    /// The text.
    #[input(multiline)]
    string_a: String,
    /// What it is compared with.
    #[input(multiline)]
    string_b: String,
    /// What to look at.
    #[input(options = ["Starts With", "Ends With", "Equal"], option("multiselect" = false))]
    mode: String,
    /// Whether large and small letters differ.
    #[input(default = true)]
    case_sensitive: bool,
}

impl Execute for StringCompare {
    type Output = bool;

    fn execute(self, _: &mut Cx) -> Result<bool, NodeError> {
        let fold = |text: String| if self.case_sensitive { text } else { text.to_lowercase() };
        let (a, b) = (fold(self.string_a), fold(self.string_b));
        Ok(match self.mode.as_str() {
            "Starts With" => a.starts_with(&b),
            "Ends With" => a.ends_with(&b),
            _ => a == b,
        })
    }
}

fn pattern(text: &str, case_insensitive: bool, multiline: bool, dotall: bool) -> Result<Regex, NodeError> {
    let built = RegexBuilder::new(text)
        .case_insensitive(case_insensitive)
        .multi_line(multiline)
        .dot_matches_new_line(dotall)
        .build();
    built.map_err(|error| NodeError::new(format!("`regex_pattern` is no regular expression: {error}")))
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
        // As in ComfyUI a pattern that is none matches nothing.
        let Ok(found) = pattern(&self.regex_pattern, self.case_insensitive, self.multiline, self.dotall) else {
            return Ok(false);
        };
        Ok(found.is_match(&self.string))
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
        let Ok(found) = pattern(&self.regex_pattern, self.case_insensitive, self.multiline, self.dotall) else {
            return Ok(String::new());
        };
        let group = if self.mode.ends_with("Groups") || self.mode.ends_with("Group") { self.group_index } else { 0 };
        let mut finds = found.captures_iter(&self.string).filter_map(|c| c.get(group)).map(|m| m.as_str());
        Ok(if self.mode.starts_with("First") {
            finds.next().unwrap_or_default().to_owned()
        } else {
            finds.collect::<Vec<_>>().join("\n")
        })
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

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        let found = pattern(
            &self.regex_pattern,
            self.case_insensitive.unwrap_or(true),
            self.multiline.unwrap_or(false),
            self.dotall.unwrap_or(false),
        )?;
        // Python writes groups as \1, this crate as ${1}; a dollar sign of its own stands for itself.
        let groups = pattern(r"\\(\d+)", false, false, false)?;
        let replace = self.replace.replace('$', "$$");
        let replace = groups.replace_all(&replace, "$${$1}");
        Ok(found.replacen(&self.string, self.count.unwrap_or(0), &*replace).into_owned())
    }
}
