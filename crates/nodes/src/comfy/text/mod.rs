//! Nodes on text, as Python's texts behave.

mod python;
mod regex;

use kiln_exec::{Cx, Execute, Node, NodeError};

pub use self::regex::{RegexExtract, RegexMatch, RegexReplace};

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

/// The first letter large (of every word, if wanted), the others small. A word begins behind what has no case.
fn capitalised(text: &str, every_word: bool) -> String {
    let mut out = String::new();
    let mut begins = true;
    for c in text.chars() {
        if begins {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        begins = every_word && !(c.is_lowercase() || c.is_uppercase());
    }
    out
}

/// What Python takes for white space: Unicode's, and the four separators below it.
pub(in crate::comfy) fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
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
            "Left" => self.string.trim_start_matches(is_blank),
            "Right" => self.string.trim_end_matches(is_blank),
            _ => self.string.trim_matches(is_blank),
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
