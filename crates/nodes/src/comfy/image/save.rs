//! Nodes that write images: SaveImage, PreviewImage, MaskPreview.
//!
//! Files come from [`files`](crate::files); these nodes only decide where and what.

use indexmap::IndexMap;
use kiln_exec::{ConstantInputs, Cx, Execute, ExtraPngInfo, Node, NodeError, SubmittedPrompt, Ui, WithUi, json};

use crate::files::{Colour, DirKind, Moment, PngImage, SavePath, SavedFile, json_text, write_png};
use crate::payload::{Image, Mask};
use crate::runtime::environment::{CxExt, Environment};

/// Deflate level of saved images, ComfyUI's.
const SAVED: u8 = 4;
/// Deflate level of previews, which nobody keeps, and of what goes over the wire.
pub(super) const PREVIEW: u8 = 1;

/// Writes images as PNG files into the output folder, with the graph that made them inside.
#[derive(Node)]
#[node(
    display_name = "Save Image",
    category = "image",
    output_node,
    validates(filename_prefix),
    aliases("save", "export", "png")
)]
pub struct SaveImage {
    /// The images to write.
    images: Image,
    /// How file names begin. May name a sub-folder, and hold %date:yyyy-MM-dd%, %width%, %height% or %batch_num%.
    #[input(default = "ComfyUI")]
    filename_prefix: String,
    prompt: SubmittedPrompt,
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for SaveImage {
    type Output = WithUi<()>;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        check_prefix(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<WithUi<()>, NodeError> {
        let texts = texts(cx, &self.prompt, &self.extra_pnginfo)?;
        save(cx, &self.images, &Target { dir: DirKind::Output, prefix: &self.filename_prefix, level: SAVED, texts })
    }
}

/// Shows images without keeping them: they go to the folder for temporary files.
#[derive(Node)]
#[node(display_name = "Preview Image", category = "image", output_node, aliases("show", "view"))]
pub struct PreviewImage {
    /// The images to show.
    images: Image,
    prompt: SubmittedPrompt,
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for PreviewImage {
    type Output = WithUi<()>;

    fn execute(self, cx: &mut Cx) -> Result<WithUi<()>, NodeError> {
        let texts = texts(cx, &self.prompt, &self.extra_pnginfo)?;
        let prefix = preview_prefix(cx);
        save(cx, &self.images, &Target { dir: DirKind::Temp, prefix: &prefix, level: PREVIEW, texts })
    }
}

/// Shows masks as grey images without keeping them.
#[derive(Node)]
#[node(category = "mask", module = "comfy_extras.nodes_mask", output_node)]
pub struct MaskPreview {
    /// The masks to show.
    mask: Mask,
    prompt: SubmittedPrompt,
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for MaskPreview {
    type Output = WithUi<()>;

    fn execute(self, cx: &mut Cx) -> Result<WithUi<()>, NodeError> {
        let texts = texts(cx, &self.prompt, &self.extra_pnginfo)?;
        let picture = Image::from_planes(self.mask.planes().repeat_dim(1, 3));
        let prefix = preview_prefix(cx);
        save(cx, &picture, &Target { dir: DirKind::Temp, prefix: &prefix, level: PREVIEW, texts })
    }
}

/// Whether the input `filename_prefix` stays in the output folder, and whether that can be written.
pub(super) fn check_prefix(known: &ConstantInputs<'_>) -> Result<(), String> {
    let Ok(environment) = known.host::<Environment>() else { return Ok(()) };
    if let Some(prefix) = known.get_as::<String>("filename_prefix") {
        SavePath::check(environment.folders(), DirKind::Output, &prefix).map_err(|e| e.to_string())?;
    }
    environment.folders().check_output_writable().map_err(|e| e.to_string())
}

/// Where and how images are written.
struct Target<'a> {
    dir: DirKind,
    prefix: &'a str,
    level: u8,
    texts: IndexMap<String, String>,
}

fn save(cx: &Cx, images: &Image, target: &Target<'_>) -> Result<WithUi<()>, NodeError> {
    let files = written(cx, images, target)?;
    let ui = files.into_iter().fold(Ui::new(), |ui, file| ui.with("images", file));
    Ok(WithUi { outcome: (), ui })
}

/// Writes images into the folder for temporary files, with the graph inside, and returns how clients find them. `prefix` is
/// what their names begin with, before what tells nodes apart.
///
/// # Errors
/// When the folder cannot be written, or the run was cancelled.
pub fn save_preview(
    cx: &Cx,
    images: &Image,
    prefix: &str,
    prompt: &SubmittedPrompt,
    extra_pnginfo: &ExtraPngInfo,
) -> Result<Vec<serde_json::Value>, NodeError> {
    let texts = texts(cx, prompt, extra_pnginfo)?;
    let prefix = format!("{prefix}_temp_{}", letters(cx));
    written(cx, images, &Target { dir: DirKind::Temp, prefix: &prefix, level: PREVIEW, texts })
}

/// Writes the files of a save, and returns how clients find them.
fn written(cx: &Cx, images: &Image, target: &Target<'_>) -> Result<Vec<serde_json::Value>, NodeError> {
    let environment = cx.environment()?;
    let [_, height, width, _] = images.dims();
    let mut path = SavePath::new(environment.folders(), target.dir, target.prefix, (width, height), Moment::now())?;
    let mut files = Vec::new();
    for (i, picture) in pictures(images)?.enumerate() {
        cx.checkpoint()?;
        let picture = PngImage { texts: target.texts.clone(), ..picture };
        let saved = path.write(i, ".png", &write_png(&picture, target.level)?)?;
        tracing::info!(path = %saved.path.display(), "saved");
        files.push(shown(&saved));
    }
    Ok(files)
}

/// The images of a batch, one by one, without texts. What is neither grey nor colour, with alpha or without, becomes RGB.
pub(super) fn pictures(images: &Image) -> Result<impl Iterator<Item = PngImage>, NodeError> {
    let [batch, height, width, channels] = images.dims();
    let (image, colour) = match Colour::of_channels(channels) {
        Some(colour) => (images.clone(), colour),
        None => (images.rgb(), Colour::Rgb),
    };
    let bytes = image.to_bytes()?;
    let each = (bytes.len() / batch.max(1)).max(1);
    Ok((0..bytes.len() / each).map(move |i| PngImage {
        width: width as u32,
        height: height as u32,
        colour,
        pixels: bytes[i * each..][..each].to_vec(),
        texts: IndexMap::new(),
    }))
}

/// How clients find a file.
pub(crate) fn shown(file: &SavedFile) -> serde_json::Value {
    json!({"filename": file.filename, "subfolder": file.subfolder, "type": file.dir.name()})
}

/// The texts by which a file carries its graph: `prompt`, then each part of the extra information, `workflow` first in
/// practice. None where the environment is to write none.
///
/// # Errors
/// Without an environment.
pub fn texts(cx: &Cx, prompt: &SubmittedPrompt, extra: &ExtraPngInfo) -> Result<IndexMap<String, String>, NodeError> {
    if !cx.environment()?.metadata() {
        return Ok(IndexMap::new());
    }
    let mut texts = IndexMap::from([("prompt".to_owned(), json_text(&prompt.0.to_value()))]);
    let parts = extra.0.as_deref().and_then(serde_json::Value::as_object);
    texts.extend(parts.into_iter().flatten().map(|(key, value)| (key.clone(), json_text(value))));
    Ok(texts)
}

/// `ComfyUI_temp_` and five letters that belong to the node.
fn preview_prefix(cx: &Cx) -> String {
    format!("ComfyUI_temp_{}", letters(cx))
}

fn letters(cx: &Cx) -> String {
    let hash = blake3::hash(cx.node_id().to_string().as_bytes());
    hash.as_bytes()[..5].iter().map(|b| char::from(b'a' + b % 26)).collect()
}
