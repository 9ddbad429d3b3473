//! Texts: shown (Custom-Scripts), written and joined (WAS Node Suite).

use kiln_exec::{Any, Cx, Execute, ExtraPngInfo, Extras, List, Node, NodeError, Registry, Ui, UniqueId, Value, WithUi};

use crate::tokens::filled;

pub(super) fn register(registry: &mut Registry) {
    registry.add::<ShowText>();
    registry.add::<TextMultiline>();
    registry.add::<TextConcatenate>();
}

/// Shows texts and passes them on.
#[derive(Node)]
#[node(
    class = "ShowText|pysssss",
    display_name = "Show Text 🐍",
    category = "utils",
    module = "custom_nodes.comfyui-custom-scripts",
    output_node
)]
struct ShowText {
    /// The texts.
    #[input(force_input)]
    text: List<String>,
    #[allow(dead_code, reason = "declared by the class, for the editor's own copy of the text")]
    unique_id: UniqueId,
    #[allow(dead_code, reason = "as above")]
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for ShowText {
    type Output = WithUi<List<String>>;

    fn execute(self, _: &mut Cx) -> Result<WithUi<List<String>>, NodeError> {
        let ui = self.text.iter().fold(Ui::new(), |ui, text| ui.with("text", text.as_str()));
        Ok(WithUi { outcome: self.text, ui })
    }
}

/// Text of any length. Lines that begin with # are left out; \[time\], \[time(%Y-%m-%d)\], \[hostname\] and \[user\] are
/// filled in.
#[derive(Node)]
#[node(
    class = "Text Multiline",
    display_name = "Text Multiline",
    category = "WAS Suite/Text",
    module = "custom_nodes.was-node-suite-comfyui"
)]
struct TextMultiline {
    /// The text.
    #[input(default = "", multiline, dynamic_prompts)]
    text: String,
}

impl Execute for TextMultiline {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        let lines = self.text.split_inclusive('\n').filter(|line| !line.trim().starts_with('#'));
        let lines: Vec<String> = lines.map(|line| line.replace('\n', "")).collect();
        Ok(filled(&lines.join("\n")))
    }
}

/// Joins the texts that are not empty.
#[derive(Node)]
#[node(
    class = "Text Concatenate",
    display_name = "Text Concatenate",
    category = "WAS Suite/Text",
    module = "custom_nodes.was-node-suite-comfyui"
)]
struct TextConcatenate {
    /// What stands between two texts; \n is a new line.
    #[input(default = ", ")]
    delimiter: String,
    /// Whether blanks and new lines around each text are taken off.
    #[input(combo = ["true", "false"])]
    clean_whitespace: String,
    /// The first text.
    #[input(type = "STRING", force_input)]
    text_a: Option<Any>,
    /// The second text.
    #[input(type = "STRING", force_input)]
    text_b: Option<Any>,
    /// The third text.
    #[input(type = "STRING", force_input)]
    text_c: Option<Any>,
    /// The fourth text.
    #[input(type = "STRING", force_input)]
    text_d: Option<Any>,
    more: Extras,
}

impl Execute for TextConcatenate {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        let named =
            [("text_a", self.text_a), ("text_b", self.text_b), ("text_c", self.text_c), ("text_d", self.text_d)];
        let named = named.into_iter().filter_map(|(name, value)| Some((name, value?.0)));
        let more = self.more.0.iter().filter_map(|(name, values)| Some((&**name, values.at(0)?.clone())));
        let mut inputs: Vec<(&str, Value)> = named.chain(more).collect();
        inputs.sort_by_key(|(name, _)| *name);
        let clean = |text: &str| if self.clean_whitespace == "true" { text.trim().to_owned() } else { text.to_owned() };
        // What is no text is passed over, as in the pack.
        let text = |(_, value): &(&str, Value)| if let Value::String(text) = value { Some(clean(text)) } else { None };
        let texts: Vec<String> = inputs.iter().filter_map(text).filter(|text| !text.is_empty()).collect();
        let delimiter = if self.delimiter == "\\n" { "\n" } else { &self.delimiter };
        Ok(texts.join(delimiter))
    }
}
