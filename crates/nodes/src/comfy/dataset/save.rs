//! Data sets to folders: numbered images and, beside each, a text of the same name.

use std::path::{Path, PathBuf};

use kiln_exec::{ConstantInputs, Cx, Execute, ExtraPngInfo, List, Node, NodeError, SubmittedPrompt};

use crate::files::{Colour, DirKind, PngImage, replace_file, write_png};
use crate::payload::Image;
use crate::runtime::environment::{CxExt, Environment};

/// Deflate level of the images, Pillow's usual one.
const LEVEL: u8 = 6;

/// Writes the images of a list as PNG files into a folder of the output folder. Files of the same names are replaced.
#[derive(Node)]
#[node(
    display_name = "Save Image Dataset to Folder",
    category = "dataset",
    module = "comfy_extras.nodes_dataset",
    output_node,
    experimental,
    validates(folder_name)
)]
pub struct SaveImageDataSetToFolder {
    /// The list of images.
    images: List<Image>,
    /// The folder in the output folder.
    #[input(default = "dataset", option("multiline" = false))]
    folder_name: String,
    /// How the names of the files begin.
    #[input(default = "image", option("multiline" = false))]
    filename_prefix: String,
    #[allow(dead_code, reason = "declared as ComfyUI declares it")]
    prompt: SubmittedPrompt,
    #[allow(dead_code, reason = "declared as ComfyUI declares it")]
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for SaveImageDataSetToFolder {
    type Output = ();

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        check(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<(), NodeError> {
        save(cx, &self.folder_name, &self.filename_prefix, &self.images, &[])
    }
}

/// Writes the images of a list as PNG files, and their texts beside them, into a folder of the output folder. Files of the
/// same names are replaced.
#[derive(Node)]
#[node(
    display_name = "Save Image and Text Dataset to Folder",
    category = "dataset",
    module = "comfy_extras.nodes_dataset",
    output_node,
    experimental,
    validates(folder_name)
)]
pub struct SaveImageTextDataSetToFolder {
    /// The list of images.
    images: List<Image>,
    /// A text for each of them.
    #[input(option("multiline" = false))]
    texts: List<String>,
    /// The folder in the output folder.
    #[input(default = "dataset", option("multiline" = false))]
    folder_name: String,
    /// How the names of the files begin.
    #[input(default = "image", option("multiline" = false))]
    filename_prefix: String,
    #[allow(dead_code, reason = "declared as ComfyUI declares it")]
    prompt: SubmittedPrompt,
    #[allow(dead_code, reason = "declared as ComfyUI declares it")]
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for SaveImageTextDataSetToFolder {
    type Output = ();

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        check(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<(), NodeError> {
        save(cx, &self.folder_name, &self.filename_prefix, &self.images, &self.texts)
    }
}

/// Whether the folder lies inside the output folder, and whether that can be written.
fn check(known: &ConstantInputs<'_>) -> Result<(), String> {
    let Ok(environment) = known.host::<Environment>() else { return Ok(()) };
    if let Some(name) = known.get_as::<String>("folder_name") {
        environment.folders().inside(&name, DirKind::Output).map_err(|e| e.to_string())?;
    }
    environment.folders().check_output_writable().map_err(|e| e.to_string())
}

fn save(cx: &Cx, folder: &str, prefix: &str, images: &[Image], texts: &[String]) -> Result<(), NodeError> {
    if prefix.contains(['/', '\\', '\0']) {
        return Err(NodeError::new(format!(
            "`filename_prefix` is `{prefix}`, which names a folder; give the folder as `folder_name`"
        )));
    }
    if let Some(odd) = images.iter().position(|image| image.dims()[0] != 1) {
        return Err(NodeError::new(format!(
            "image {odd} of `images` is a batch of {}; a data set is a list of single images",
            images[odd].dims()[0]
        )));
    }
    let folder = cx.environment()?.folders().made(folder, DirKind::Output)?;
    for (i, image) in images.iter().enumerate() {
        cx.checkpoint()?;
        let file = place(&folder, prefix, i, "png");
        replace_file(&file, &encoded(image)?)?;
        if let Some(text) = texts.get(i) {
            replace_file(&place(&folder, prefix, i, "txt"), text.as_bytes())?;
        }
    }
    tracing::info!(folder = %folder.display(), images = images.len(), "saved");
    Ok(())
}

fn place(folder: &Path, prefix: &str, i: usize, ending: &str) -> PathBuf {
    folder.join(format!("{prefix}_{i:05}.{ending}"))
}

fn encoded(image: &Image) -> Result<Vec<u8>, NodeError> {
    let image = if matches!(image.dims()[3], 1 | 3 | 4) { image.clone() } else { image.rgb() };
    let [_, height, width, channels] = image.dims();
    let picture = PngImage {
        width: width as u32,
        height: height as u32,
        colour: Colour::of_channels(channels).unwrap_or(Colour::Rgb),
        pixels: image.to_bytes()?,
        texts: indexmap::IndexMap::new(),
    };
    Ok(write_png(&picture, LEVEL)?)
}
