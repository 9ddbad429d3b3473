//! The page of a class: what a node takes and gives, as a person reads it. Knows definitions, and nothing that runs.

use std::fmt;

use kiln_graph::{Group, InputDef, NodeDef, NodeDefs, SocketType};
use serde_json::{Map, Value, json};

/// Columns of a page.
const WIDTH: usize = 100;
/// Choices that are listed.
const MOST_CHOICES: usize = 12;
/// Classes that are named as sources of a type.
const MOST_SOURCES: usize = 4;

/// What a node of a class takes and gives, with an example.
pub struct ClassPage<'d> {
    class: &'d NodeDef,
    all: &'d NodeDefs,
}

impl<'d> ClassPage<'d> {
    /// The page of `class`; `all` are those whose outputs go into it.
    pub fn new(class: &'d NodeDef, all: &'d NodeDefs) -> Self {
        Self { class, all }
    }

    fn inputs(&self) -> impl Iterator<Item = &'d InputDef> {
        self.class.inputs.iter().filter(|input| input.group != Group::Hidden)
    }

    /// Classes that have an output of this very type, with the socket, those without inputs of it first: they make it, and do
    /// not pass it on.
    fn sources(&self, ty: &SocketType) -> Vec<(&'d str, usize)> {
        let Some(name) = ty.name().filter(|name| *name != "*") else { return Vec::new() };
        let is_one = |ty: &SocketType| ty.name().is_some_and(|own| name.split(',').any(|wanted| wanted == own));
        let usable = self.all.iter().filter(|def| !def.deprecated && def.class_type != self.class.class_type);
        let mut found: Vec<(bool, &str, usize)> = usable
            .filter_map(|def| {
                let socket = def.outputs.iter().position(|output| is_one(&output.ty))?;
                let passes_on = def.inputs.iter().any(|input| is_one(&input.ty));
                Some((passes_on, &*def.class_type, socket))
            })
            .collect();
        found.sort_by_key(|(passes_on, ..)| *passes_on);
        found.into_iter().map(|(_, class, socket)| (class, socket)).collect()
    }

    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.class;
        let shown = class.display_name.as_deref().filter(|shown| *shown != &*class.class_type);
        let shown = shown.map(|shown| format!(" ({shown})")).unwrap_or_default();
        writeln!(f, "{}{shown}, in {}", class.class_type, class.category)?;
        paragraph(f, &class.description, "  ")?;
        let remarks = [
            (class.deprecated, "Deprecated: people should use another."),
            (class.experimental, "Experimental: it may change."),
            (class.output_node, "An output: a graph runs what nodes of this class need."),
            (class.input_is_list, "Takes whole lists in one call."),
        ];
        remarks.iter().filter(|(on, _)| *on).try_for_each(|(_, remark)| paragraph(f, remark, "  "))?;
        if !class.search_aliases.is_empty() {
            paragraph(f, &format!("Also looked for as: {}", class.search_aliases.join(", ")), "  ")?;
        }
        Ok(())
    }

    fn input(&self, f: &mut fmt::Formatter<'_>, input: &InputDef, width: usize) -> fmt::Result {
        let mut facts = Vec::new();
        if let Some((choice, option)) = &input.only_for {
            facts.push(format!("where `{choice}` is `{option}`"));
        }
        if input.group == Group::Optional {
            facts.push("optional".into());
        }
        facts.extend(self.value(input));
        if input.lazy {
            facts.push("computed only when it is asked for".into());
        }
        let line = format!("{:<width$}  {:<12}  {}", input.name, kind(&input.ty), facts.join("; "));
        paragraph(f, line.trim_end(), "  ")?;
        paragraph(f, input.options.get("tooltip").and_then(Value::as_str).unwrap_or_default(), "      ")
    }

    /// What may stand in an input: where a link comes from, or the default and the limits of a value.
    fn value(&self, input: &InputDef) -> Vec<String> {
        if let Some(choices) = input.choices() {
            return vec![listed(choices)];
        }
        let Some(default) = input.default_value() else {
            let sources = self.sources(&input.ty);
            let names: Vec<&str> = sources.iter().take(MOST_SOURCES).map(|(class, _)| *class).collect();
            let more = if sources.len() > MOST_SOURCES { ", …" } else { "" };
            let from = if names.is_empty() { "a link".into() } else { format!("from {}{more}", names.join(", ")) };
            return vec![from];
        };
        let option = |name: &str| input.options.get(name).filter(|value| !value.is_null());
        let limits = match (option("min"), option("max")) {
            (Some(min), Some(max)) => Some(format!("{min} to {max}")),
            (Some(min), None) => Some(format!("{min} or more")),
            (None, Some(max)) => Some(format!("{max} or less")),
            (None, None) => None,
        };
        let step = option("step").map(|step| format!("in steps of {step}"));
        [Some(format!("default {default}")), limits, step].into_iter().flatten().collect()
    }

    /// A node with its defaults, and what stands at the other ends of its links.
    fn example(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut inputs, mut sources) = (Map::new(), Vec::new());
        for input in self.inputs().filter(|input| input.group == Group::Required && input.only_for.is_none()) {
            let value = input.default_value().or_else(|| {
                let (class, socket) = *self.sources(&input.ty).first()?;
                let known = sources.iter().position(|known| *known == class).unwrap_or_else(|| {
                    sources.push(class);
                    sources.len() - 1
                });
                Some(json!([(known + 1).to_string(), socket]))
            });
            inputs.insert(input.name.to_string(), value.unwrap_or_else(|| json!(["1", 0])));
        }
        let id = (sources.len() + 1).to_string();
        let node = json!({ id: { "class_type": self.class.class_type, "inputs": inputs } });
        writeln!(f, "\nExample")?;
        let text = serde_json::to_string_pretty(&node).map_err(|_| fmt::Error)?;
        text.lines().try_for_each(|line| writeln!(f, "  {line}"))?;
        let named: Vec<String> =
            sources.iter().enumerate().map(|(i, class)| format!("\"{}\" {class}", i + 1)).collect();
        if named.is_empty() {
            Ok(())
        } else {
            paragraph(f, &format!("where the links lead to: {}", named.join(", ")), "  ")
        }
    }
}

impl fmt::Display for ClassPage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        let width = self.inputs().map(|input| input.name.chars().count()).max().unwrap_or(0).min(28);
        if width > 0 {
            writeln!(f, "\nInputs")?;
        }
        self.inputs().try_for_each(|input| self.input(f, input, width))?;
        if !self.class.outputs.is_empty() {
            writeln!(f, "\nOutputs")?;
        }
        for (socket, output) in self.class.outputs.iter().enumerate() {
            let list = if output.is_list { ", a list" } else { "" };
            writeln!(f, "  {socket}  {}  {}{list}", output.name, kind(&output.ty))?;
            paragraph(f, output.tooltip.as_deref().unwrap_or_default(), "      ")?;
        }
        self.example(f)
    }
}

/// The name of a type; of a list of choices what the page calls it.
fn kind(ty: &SocketType) -> &str {
    ty.name().unwrap_or("COMBO")
}

fn listed(choices: &[Value]) -> String {
    let words = |choice: &Value| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned);
    let first: Vec<String> = choices.iter().take(MOST_CHOICES).map(words).collect();
    match choices.len() {
        0 => "nothing to choose from: no such file lies in the folders".into(),
        count if count > MOST_CHOICES => format!("one of {count}: {}, …", first.join(", ")),
        _ => format!("one of: {}", first.join(", ")),
    }
}

/// A text in lines that a terminal holds; nothing for no text.
fn paragraph(f: &mut fmt::Formatter<'_>, text: &str, indent: &str) -> fmt::Result {
    let text = text.trim();
    if text.is_empty() {
        return Ok(());
    }
    let further = format!("{indent}    ");
    let options = textwrap::Options::new(WIDTH).initial_indent(indent).subsequent_indent(&further);
    writeln!(f, "{}", textwrap::fill(text, options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_graph::OutputDef;

    #[test]
    fn a_page_has_defaults_limits_choices_sources_and_an_example() {
        let maker = NodeDef::new("Maker").output(OutputDef::new("IMAGE"));
        let seed = InputDef::new("seed", "INT").option("default", 3).option("min", 0).option("max", 9);
        let class = NodeDef::new("Blur").description("Blurs.").input(InputDef::new("image", "IMAGE"));
        let class = class.input(seed.tooltip("Where it begins.")).input(InputDef::combo("how", ["box", "gauss"]));
        let class = class.input(InputDef::new("mask", "MASK").optional()).output(OutputDef::new("IMAGE"));
        let all = NodeDefs::new().with(class.clone()).with(maker);
        let page = ClassPage::new(&class, &all).to_string();
        for part in [
            "Blur, in \n  Blurs.\n",
            "  image  IMAGE         from Maker\n",
            "  seed   INT           default 3; 0 to 9\n      Where it begins.\n",
            "  how    COMBO         one of: box, gauss\n",
            "  mask   MASK          optional; a link\n",
            "  0  IMAGE  IMAGE\n",
            "  \"2\": {\n",
            "\"1\",\n",
            "where the links lead to: \"1\" Maker\n",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
