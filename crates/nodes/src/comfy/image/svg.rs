//! Nodes on drawings: SaveSVGNode.

use indexmap::IndexMap;
use kiln_exec::{ConstantInputs, Cx, Execute, ExtraPngInfo, Node, NodeError, SubmittedPrompt, Ui, WithUi};

use super::save::{check_prefix, shown, texts};
use crate::files::{DirKind, Moment, SavePath};
use crate::payload::Svg;
use crate::runtime::environment::CxExt;

/// Writes drawings as SVG files into the output folder, with the graph that made them inside.
#[derive(Node)]
#[node(
    display_name = "SaveSVGNode",
    category = "image/save",
    module = "comfy_extras.nodes_images",
    output_node,
    validates(filename_prefix)
)]
pub struct SaveSVGNode {
    /// The drawings.
    svg: Svg,
    /// How file names begin.
    #[input(default = "svg/ComfyUI")]
    filename_prefix: String,
    prompt: SubmittedPrompt,
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for SaveSVGNode {
    type Output = WithUi<()>;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        check_prefix(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<WithUi<()>, NodeError> {
        let texts = texts(cx, &self.prompt, &self.extra_pnginfo)?;
        if let Some(odd) = self.svg.documents().iter().position(|text| place(text).is_none()) {
            return Err(NodeError::new(format!("drawing {odd} of `svg` is no SVG document: it has no `<svg …>`")));
        }
        let environment = cx.environment()?;
        let mut path =
            SavePath::new(environment.folders(), DirKind::Output, &self.filename_prefix, (0, 0), Moment::now())?;
        let mut ui = Ui::new();
        for (i, text) in self.svg.documents().iter().enumerate() {
            cx.checkpoint()?;
            let saved = path.write(i, ".svg", with_metadata(text, &texts).as_bytes())?;
            tracing::info!(path = %saved.path.display(), "saved");
            ui.push("images", shown(&saved));
        }
        Ok(WithUi { outcome: (), ui })
    }
}

/// Where the content of the outermost element begins.
fn place(text: &str) -> Option<usize> {
    let start = text.find("<svg")?;
    Some(start + text[start..].find('>')? + 1)
}

/// The document with the texts as one JSON object in front of its content.
fn with_metadata(text: &str, texts: &IndexMap<String, String>) -> String {
    let (Some(at), false) = (place(text), texts.is_empty()) else { return text.to_owned() };
    // An empty drawing has no content to put anything before.
    if text[..at].ends_with("/>") {
        return text.to_owned();
    }
    let parts: Vec<String> = texts.iter().map(|(keyword, json)| format!("\"{keyword}\": {json}")).collect();
    // Nothing in the JSON may end the section.
    let json = format!("{{{}}}", parts.join(", ")).replace("]]>", "]]\\u003e");
    let (before, after) = text.split_at(at);
    format!("{before}\n<metadata><![CDATA[\n{json}\n]]></metadata>{after}")
}
