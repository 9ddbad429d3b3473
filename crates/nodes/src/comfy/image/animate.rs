//! Nodes that write a batch of images as one animated file: SaveAnimatedWEBP, SaveAnimatedPNG.

use std::io::{Error, Write};

use indexmap::IndexMap;
use kiln_exec::{ConstantInputs, Cx, Execute, ExtraPngInfo, Node, NodeError, SubmittedPrompt, Ui, WithUi};

use super::save::{check_prefix, shown, texts};
use crate::files::{Animation, Colour, DirKind, Moment, NextImage, SavePath, Webp, write_apng, write_webp};
use crate::payload::Image;
use crate::runtime::environment::CxExt;

/// Writes a batch of images as one animated WEBP into the output folder, with the graph that made it inside.
#[derive(Node)]
#[node(
    display_name = "SaveAnimatedWEBP",
    category = "image/animation",
    module = "comfy_extras.nodes_images",
    output_node,
    validates(filename_prefix)
)]
pub struct SaveAnimatedWEBP {
    /// The images, in the order in which they are shown.
    images: Image,
    /// How file names begin.
    #[input(default = "ComfyUI")]
    filename_prefix: String,
    /// Images per second.
    #[input(default = 6.0, min = 0.01, max = 1000.0, step = 0.01)]
    fps: f64,
    /// Whether the images come back as they were.
    #[input(default = true)]
    lossless: bool,
    /// How good the images are; without losses, how long to search for a short form.
    #[input(default = 80, min = 0, max = 100)]
    quality: u8,
    /// How long to search for a small file.
    #[input(combo = ["default", "fastest", "slowest"])]
    method: String,
    prompt: SubmittedPrompt,
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for SaveAnimatedWEBP {
    type Output = WithUi<()>;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        check_prefix(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<WithUi<()>, NodeError> {
        let method = match self.method.as_str() {
            "fastest" => 0,
            "slowest" => 6,
            _ => 4,
        };
        let webp = Webp { lossless: self.lossless, quality: self.quality, method };
        let mut images = Sequence::new(cx, &self.images, self.fps)?;
        images.animation.texts = texts(cx, &self.prompt, &self.extra_pnginfo)?;
        images.save(cx, &self.filename_prefix, ".webp", |animation, next, out| write_webp(animation, webp, next, out))
    }
}

/// Writes a batch of images as one animated PNG into the output folder, with the graph that made it inside.
#[derive(Node)]
#[node(
    display_name = "SaveAnimatedPNG",
    category = "image/animation",
    module = "comfy_extras.nodes_images",
    output_node,
    validates(filename_prefix)
)]
pub struct SaveAnimatedPNG {
    /// The images, in the order in which they are shown.
    images: Image,
    /// How file names begin.
    #[input(default = "ComfyUI")]
    filename_prefix: String,
    /// Images per second.
    #[input(default = 6.0, min = 0.01, max = 1000.0, step = 0.01)]
    fps: f64,
    /// How long to search for a small file.
    #[input(default = 4, min = 0, max = 9)]
    compress_level: u8,
    prompt: SubmittedPrompt,
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for SaveAnimatedPNG {
    type Output = WithUi<()>;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        check_prefix(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<WithUi<()>, NodeError> {
        let mut images = Sequence::new(cx, &self.images, self.fps)?;
        images.animation.texts = texts(cx, &self.prompt, &self.extra_pnginfo)?;
        let level = self.compress_level;
        images.save(cx, &self.filename_prefix, ".png", |animation, next, out| write_apng(animation, level, next, out))
    }
}

/// A batch on its way to a file, one image at a time.
struct Sequence {
    images: Image,
    animation: Animation,
}

impl Sequence {
    fn new(cx: &Cx, images: &Image, fps: f64) -> Result<Self, NodeError> {
        cx.checkpoint()?;
        let images = if matches!(images.dims()[3], 3 | 4) { images.clone() } else { images.rgb() };
        let [count, height, width, channels] = images.dims();
        if count == 0 || height == 0 || width == 0 {
            return Err(NodeError::new(format!(
                "`images` holds nothing to save: {count} images of {width}x{height} pixels"
            )));
        }
        let animation = Animation {
            width: side(width)?,
            height: side(height)?,
            colour: if channels == 4 { Colour::Rgba } else { Colour::Rgb },
            count: side(count)?,
            milliseconds: (1000.0 / fps) as u32,
            loops: 0,
            texts: IndexMap::new(),
        };
        Ok(Self { images, animation })
    }

    fn save(
        self,
        cx: &Cx,
        prefix: &str,
        ending: &str,
        write: impl Fn(&Animation, &mut NextImage<'_>, &mut dyn Write) -> std::io::Result<()>,
    ) -> Result<WithUi<()>, NodeError> {
        let Self { images, animation } = self;
        let size = (animation.width as usize, animation.height as usize);
        let mut path = SavePath::new(cx.environment()?.folders(), DirKind::Output, prefix, size, Moment::now())?;
        // What a node may fail with goes around the writer.
        let mut failure = None;
        let saved = path.write_with(0, ending, &mut |out: &mut dyn Write| {
            let mut next = |i: u32| {
                bytes(cx, &images, i as usize).map_err(|error| {
                    failure = Some(error);
                    Error::other("the images end here")
                })
            };
            write(&animation, &mut next, out)
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        let saved = saved?;
        tracing::info!(path = %saved.path.display(), images = animation.count, "saved");
        let mut ui = Ui::new().with("images", shown(&saved));
        if animation.count > 1 {
            ui.push("animated", true);
        }
        Ok(WithUi { outcome: (), ui })
    }
}

fn bytes(cx: &Cx, images: &Image, i: usize) -> Result<Vec<u8>, NodeError> {
    cx.checkpoint()?;
    Image::new(images.pixels().narrow(0, i, 1)).to_bytes()
}

fn side(count: usize) -> Result<u32, NodeError> {
    u32::try_from(count).map_err(|_| NodeError::new(format!("{count} is more than a file can hold")))
}
