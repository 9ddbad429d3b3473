//! Nodes that read images: LoadImage, LoadImageMask, LoadImageOutput.

use burn::tensor::Device;
use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Host, Node, NodeError, json};

use super::limits::MAX_SIDE;
use crate::files::{DirKind, Frames, load_image};
use crate::payload::{Image, Mask};
use crate::runtime::environment::{CxExt, Environment};

/// The size of the mask of an image that has no opacity, ComfyUI's.
const NO_MASK: usize = 64;

/// Reads an image from the input folder, turned as its EXIF says, and its transparency as a mask.
///
/// Every frame of an animation becomes one image of the batch.
#[derive(Node)]
#[node(display_name = "Load Image", category = "image", validates(image), aliases("open", "read", "import"))]
pub struct LoadImage {
    /// A file of the input folder; `name [output]` means the output folder.
    #[input(choices = input_images, image_upload)]
    image: String,
}

impl Execute for LoadImage {
    type Output = (Image, Mask);

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        fingerprint(known, DirKind::Input)
    }

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        validate(known, DirKind::Input)
    }

    fn execute(self, cx: &mut Cx) -> Result<(Image, Mask), NodeError> {
        load(cx, &self.image, DirKind::Input)
    }
}

/// Reads an image that an earlier run saved.
#[derive(Node)]
#[node(display_name = "Load Image (from Outputs)", category = "image", validates(image), experimental)]
pub struct LoadImageOutput {
    /// A file of the output folder.
    #[input(
        type = "COMBO",
        image_upload,
        option("image_folder" = "output"),
        option("remote" = output_list())
    )]
    image: String,
}

impl Execute for LoadImageOutput {
    type Output = (Image, Mask);

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        fingerprint(known, DirKind::Output)
    }

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        validate(known, DirKind::Output)
    }

    fn execute(self, cx: &mut Cx) -> Result<(Image, Mask), NodeError> {
        load(cx, &self.image, DirKind::Output)
    }
}

/// Reads an image that the page took with a camera.
#[derive(Node)]
#[node(display_name = "Webcam Capture", category = "image", module = "comfy_extras.nodes_webcam", validates(image))]
pub struct WebcamCapture {
    /// The file of the input or temporary folder that the page made.
    #[input(type = "WEBCAM")]
    image: String,
    /// The width that the page takes images of, in pixels; 0 is the camera's.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 1)]
    #[allow(dead_code, reason = "the page's")]
    width: usize,
    /// The height that the page takes images of, in pixels; 0 is the camera's.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 1)]
    #[allow(dead_code, reason = "the page's")]
    height: usize,
    /// Whether the page takes a new image for every run.
    #[input(default = true)]
    #[allow(dead_code, reason = "the page's")]
    capture_on_queue: bool,
}

impl Execute for WebcamCapture {
    type Output = Image;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        fingerprint(known, DirKind::Input)
    }

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        validate(known, DirKind::Input)
    }

    fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
        Ok(load(cx, &self.image, DirKind::Input)?.0)
    }
}

/// Reads one channel of an image as a mask. Transparency counts as masked.
#[derive(Node)]
#[node(display_name = "Load Image (as Mask)", category = "mask", validates(image))]
pub struct LoadImageMask {
    /// A file of the input folder.
    #[input(choices = input_images, image_upload)]
    image: String,
    /// The channel to read.
    #[input(combo = ["alpha", "red", "green", "blue"])]
    channel: String,
}

impl Execute for LoadImageMask {
    type Output = Mask;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        fingerprint(known, DirKind::Input)
    }

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        validate(known, DirKind::Input)
    }

    fn execute(self, cx: &mut Cx) -> Result<Mask, NodeError> {
        let environment = cx.environment()?;
        let Frames { width, height, rgb, mask, key, .. } =
            load_image(&environment.folders().image(&self.image, DirKind::Input)?)?;
        // Of an animation the first image; without opacity nothing of it is masked.
        let size = width * height;
        let values = match ["red", "green", "blue"].iter().position(|c| *c == self.channel) {
            Some(channel) => rgb.into_iter().skip(channel).step_by(3).take(size).collect(),
            None => mask.or(key).map_or_else(
                || vec![0.0; size],
                |mut mask| {
                    mask.truncate(size);
                    mask
                },
            ),
        };
        Mask::from_values(values, [1, height, width], environment.device())
    }
}

/// Where the page asks for the list of files.
fn output_list() -> serde_json::Value {
    json!({"route": "/internal/files/output", "refresh_button": true, "control_after_refresh": "first"})
}

fn input_images(host: &Host) -> Vec<String> {
    host.get::<Environment>().map(|environment| environment.folders().images(DirKind::Input)).unwrap_or_default()
}

fn load(cx: &Cx, name: &str, dir: DirKind) -> Result<(Image, Mask), NodeError> {
    let environment = cx.environment()?;
    let frames = load_image(&environment.folders().image(name, dir)?)?;
    tensors(frames, environment.device())
}

/// The colours and the mask; without opacity a small mask that masks nothing.
fn tensors(frames: Frames, device: &Device) -> Result<(Image, Mask), NodeError> {
    let Frames { count, width, height, rgb, mask, .. } = frames;
    let image = Image::from_values(rgb, [count, height, width, 3], device)?;
    let mask = match mask {
        Some(values) => Mask::from_values(values, [count, height, width], device)?,
        None => Mask::from_values(vec![0.0; count * NO_MASK * NO_MASK], [count, NO_MASK, NO_MASK], device)?,
    };
    Ok((image, mask))
}

fn validate(known: &ConstantInputs<'_>, dir: DirKind) -> Result<(), String> {
    let (Some(name), Ok(environment)) = (known.get_as::<String>("image"), known.host::<Environment>()) else {
        return Ok(());
    };
    environment.folders().image(&name, dir).map(drop).map_err(|e| e.to_string())
}

/// The hash of the file: another image under the same name is another image.
fn fingerprint(known: &ConstantInputs<'_>, dir: DirKind) -> Result<Fingerprint, NodeError> {
    let Some(name) = known.get_as::<String>("image") else { return Ok(Fingerprint::Stable) };
    let path = known.host::<Environment>()?.folders().image(&name, dir)?;
    Ok(Fingerprint::Value(json!(blake3::hash(&std::fs::read(path)?).to_hex().to_string())))
}
