//! Prompts of any size as text. About 110 bytes of JSON per node, as the page writes them.

use std::io::{self, Write};

/// How the nodes hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each reads the one before.
    Chain,
    /// All read the first and show it: outputs are many.
    Fan,
    /// Two read one, a third reads both.
    Diamonds,
    /// A chain in which each has a text of its own, and some that all have.
    Texts,
    /// A chain written from its end.
    Backwards,
}

impl Shape {
    /// The shape of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Chain, Self::Fan, Self::Diamonds, Self::Texts, Self::Backwards].into_iter().find(|s| s.name() == name)
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Fan => "fan",
            Self::Diamonds => "diamonds",
            Self::Texts => "texts",
            Self::Backwards => "backwards",
        }
    }
}

/// How the text is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    /// Ids look like UUIDs.
    pub(crate) long_ids: bool,
    /// Indented, a line per key.
    pub(crate) pretty: bool,
    /// Each node has a title of its own.
    pub(crate) titles: bool,
}

/// Writes a prompt of so many nodes, at least three.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write(out: &mut impl Write, shape: Shape, nodes: usize, style: Style) -> io::Result<()> {
    let mut page = Page { out, style, written: 0 };
    let last = nodes.max(3) - 1;
    let order: Box<dyn Iterator<Item = usize>> =
        if shape == Shape::Backwards { Box::new((0..last).rev()) } else { Box::new(0..last) };
    write!(page.out, "{{")?;
    for i in order {
        let before = page.link(i.saturating_sub(1));
        match (shape, i) {
            (_, 0) => page.node(i, "PrimitiveInt", "Int", r#""value": 7"#.to_owned())?,
            (Shape::Fan, _) => {
                let inputs = format!(r#""source": {}"#, page.link(0));
                page.node(i, "PreviewAny", "Preview as Text", inputs)?;
            }
            (Shape::Diamonds, _) if i % 3 == 0 => {
                let other = page.link(i - 2);
                let inputs = format!(r#""switch": true, "on_true": {before}, "on_false": {other}"#);
                page.node(i, "ComfySwitchNode", "Switch", inputs)?;
            }
            (Shape::Diamonds, _) => {
                let inputs = format!(r#""value": {}"#, page.link((i - 1) / 3 * 3));
                page.node(i, "PrimitiveInt", "Int", inputs)?;
            }
            (Shape::Texts, 1) => page.node(i, "PrimitiveString", "String", r#""value": "x""#.to_owned())?,
            (Shape::Texts, _) => {
                let inputs = format!(r#""string": {before}, "find": "no {i}", "replace": "x""#);
                page.node(i, "StringReplace", "Replace", inputs)?;
            }
            (Shape::Chain | Shape::Backwards, _) => {
                page.node(i, "PrimitiveInt", "Int", format!(r#""value": {before}"#))?;
            }
        }
    }
    let inputs = format!(r#""source": {}"#, page.link(last - 1));
    page.node(last, "PreviewAny", "Preview as Text", inputs)?;
    write!(page.out, "}}")?;
    page.out.flush()
}

struct Page<'w, W: Write> {
    out: &'w mut W,
    style: Style,
    written: usize,
}

impl<W: Write> Page<'_, W> {
    fn id(&self, i: usize) -> String {
        if self.style.long_ids {
            format!("{:08x}-0000-4000-8000-{i:012x}", i.wrapping_mul(2_654_435_761) as u32)
        } else {
            i.to_string()
        }
    }

    fn link(&self, i: usize) -> String {
        format!(r#"["{}", 0]"#, self.id(i))
    }

    fn node(&mut self, i: usize, class: &str, title: &str, inputs: String) -> io::Result<()> {
        let title = if self.style.titles { format!("{title} {i}") } else { title.to_owned() };
        let comma = if self.written > 0 { "," } else { "" };
        self.written += 1;
        let id = self.id(i);
        if self.style.pretty {
            let inputs = inputs.replace(", \"", ",\n      \"");
            return write!(
                self.out,
                "{comma}\n  \"{id}\": {{\n    \"inputs\": {{\n      {inputs}\n    }},\n    \"class_type\": \"{class}\",\n    \
                 \"_meta\": {{\n      \"title\": \"{title}\"\n    }}\n  }}"
            );
        }
        let comma = if comma.is_empty() { "" } else { ", " };
        write!(
            self.out,
            r#"{comma}"{id}": {{"inputs": {{{inputs}}}, "class_type": "{class}", "_meta": {{"title": "{title}"}}}}"#
        )
    }
}
