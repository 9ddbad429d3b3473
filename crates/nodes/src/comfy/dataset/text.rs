//! Texts of data sets, changed one by one as Python changes them.

use kiln_exec::{Cx, Execute, List, Node, NodeError};

use crate::comfy::text::is_blank;

/// Makes all letters small.
#[derive(Node)]
#[node(
    display_name = "Text to Lowercase",
    category = "dataset/text",
    module = "comfy_extras.nodes_dataset",
    outputs("texts"),
    experimental
)]
pub struct TextToLowercase {
    /// The text.
    #[input(option("multiline" = false))]
    texts: String,
}

impl Execute for TextToLowercase {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        Ok(self.texts.to_lowercase())
    }
}

/// Makes all letters large.
#[derive(Node)]
#[node(
    display_name = "Text to Uppercase",
    category = "dataset/text",
    module = "comfy_extras.nodes_dataset",
    outputs("texts"),
    experimental
)]
pub struct TextToUppercase {
    /// The text.
    #[input(option("multiline" = false))]
    texts: String,
}

impl Execute for TextToUppercase {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        Ok(self.texts.to_uppercase())
    }
}

/// Cuts off what is longer than a length.
#[derive(Node)]
#[node(
    display_name = "Truncate Text",
    category = "dataset/text",
    module = "comfy_extras.nodes_dataset",
    outputs("texts"),
    experimental
)]
pub struct TruncateText {
    /// The text.
    #[input(option("multiline" = false))]
    texts: String,
    /// How many characters stay at most.
    #[input(default = 77, min = 1, max = 10000)]
    max_length: usize,
}

impl Execute for TruncateText {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        Ok(self.texts.chars().take(self.max_length).collect())
    }
}

/// Puts a text in front of another.
#[derive(Node)]
#[node(
    display_name = "Add Text Prefix",
    category = "dataset/text",
    module = "comfy_extras.nodes_dataset",
    outputs("texts"),
    experimental
)]
pub struct AddTextPrefix {
    /// The text.
    #[input(option("multiline" = false))]
    texts: String,
    /// What stands in front of it.
    #[input(default = "", option("multiline" = false))]
    prefix: String,
}

impl Execute for AddTextPrefix {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        Ok(self.prefix + &self.texts)
    }
}

/// Puts a text behind another.
#[derive(Node)]
#[node(
    display_name = "Add Text Suffix",
    category = "dataset/text",
    module = "comfy_extras.nodes_dataset",
    outputs("texts"),
    experimental
)]
pub struct AddTextSuffix {
    /// The text.
    #[input(option("multiline" = false))]
    texts: String,
    /// What stands behind it.
    #[input(default = "", option("multiline" = false))]
    suffix: String,
}

impl Execute for AddTextSuffix {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        Ok(self.texts + &self.suffix)
    }
}

/// Replaces every occurrence of a text by another.
#[derive(Node)]
#[node(
    display_name = "Replace Text",
    category = "dataset/text",
    module = "comfy_extras.nodes_dataset",
    outputs("texts"),
    experimental
)]
pub struct ReplaceText {
    /// The text.
    #[input(option("multiline" = false))]
    texts: String,
    /// What to look for.
    #[input(default = "", option("multiline" = false))]
    find: String,
    /// What to put there.
    #[input(default = "", option("multiline" = false))]
    replace: String,
}

impl Execute for ReplaceText {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        Ok(self.texts.replace(&self.find, &self.replace))
    }
}

/// Takes blanks off both ends of a text.
#[derive(Node)]
#[node(
    display_name = "Strip Whitespace",
    category = "dataset/text",
    module = "comfy_extras.nodes_dataset",
    outputs("texts"),
    experimental
)]
pub struct StripWhitespace {
    /// The text.
    #[input(option("multiline" = false))]
    texts: String,
}

impl Execute for StripWhitespace {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        Ok(self.texts.trim_matches(is_blank).to_owned())
    }
}

/// Passes on all texts of a list.
#[derive(Node)]
#[node(
    display_name = "Merge Text Lists",
    category = "dataset/text",
    module = "comfy_extras.nodes_dataset",
    outputs("texts"),
    experimental
)]
pub struct MergeTextLists {
    /// The list of texts.
    #[input(option("multiline" = false))]
    texts: List<String>,
}

impl Execute for MergeTextLists {
    type Output = List<String>;

    fn execute(self, _: &mut Cx) -> Result<List<String>, NodeError> {
        Ok(self.texts)
    }
}
