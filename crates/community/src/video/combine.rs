//! Images or latents that become one animated file, from VideoHelperSuite, with the first image beside it.

use std::io::{Error, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_exec::graph::SocketType;
use kiln_exec::{
    Any, ConstantInputs, Cx, Execute, ExtraPngInfo, Extras, FromValue, Node, NodeClass, NodeError, Registry,
    SubmittedPrompt, Ui, UniqueId, Value, WithUi, json,
};
use kiln_nodes::files::{
    Animation, Colour, DirKind, FileError, Moment, PngImage, SavePath, write_new, write_new_with, write_png,
};
use kiln_nodes::image::texts;
use kiln_nodes::payload::{Image, Latent, Vae};
use kiln_nodes::runtime::{CxExt, Environment};
use kiln_nodes::vae::decoded;
use serde_json::Value as Json;

use super::filenames::{Filenames, next_number};
use super::formats::{COMPRESSION, FORMATS, Format};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<VideoCombine>();
}

/// Makes one animated file of images, and a still image of the first of them with the graph inside. Formats that begin with
/// video/ need an encoder that Kiln doesn't run.
#[derive(Node)]
#[node(
    class = "VHS_VideoCombine",
    display_name = "Video Combine 🎥🅥🅗🅢",
    category = "Video Helper Suite 🎥🅥🅗🅢",
    module = "custom_nodes.comfyui-videohelpersuite",
    outputs(Filenames),
    output_node,
    accept_all_inputs,
    validates(types, format, filename_prefix, save_output)
)]
struct VideoCombine {
    /// The images, or latents where an autoencoder is linked.
    #[input(type = "IMAGE")]
    images: Option<Any>,
    /// Images per second.
    #[input(default = 8.0, min = 1, step = 1)]
    frame_rate: f64,
    /// How often the whole is shown; 0 is without end.
    #[input(default = 0, min = 0, max = 100, step = 1)]
    loop_count: u32,
    /// How file names begin. May name a sub-folder, and hold %date:yyyy-MM-dd%.
    #[input(default = "AnimateDiff")]
    filename_prefix: String,
    /// The kind of file.
    #[input(combo = FORMATS)]
    format: String,
    /// Whether the images are shown backwards after the last one.
    #[input(default = false)]
    pingpong: bool,
    /// Whether the file goes to the output folder, not to the one for temporary files.
    #[input(default = true)]
    save_output: bool,
    /// A sound for a video; the formats of images have none.
    #[allow(dead_code, reason = "declared by the class; only videos have a sound")]
    #[input(type = "AUDIO")]
    audio: Option<Any>,
    /// What feeds a video piece by piece; the formats of images are written at once.
    #[input(type = "VHS_BatchManager")]
    meta_batch: Option<Any>,
    /// Turns latents into images.
    #[input(uses)]
    vae: Option<Vae>,
    prompt: SubmittedPrompt,
    extra_pnginfo: ExtraPngInfo,
    #[allow(dead_code, reason = "declared by the class, for batches that go on in another prompt")]
    unique_id: UniqueId,
    /// Settings that the editor adds for a format.
    settings: Extras,
}

impl Execute for VideoCombine {
    type Output = WithUi<Filenames>;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        check_types(known)?;
        if let Some(format) = known.get_as::<String>("format") {
            Format::named(&format)?;
        }
        let Ok(environment) = known.host::<Environment>() else { return Ok(()) };
        let folders = environment.folders();
        let dir = place(known.get_as::<bool>("save_output").unwrap_or(true));
        let prefix = known.get_as::<String>("filename_prefix");
        prefix.map_or(Ok(()), |prefix| SavePath::check(folders, dir, &prefix)).map_err(|e| e.to_string())?;
        if dir == DirKind::Output { folders.check_output_writable().map_err(|e| e.to_string()) } else { Ok(()) }
    }

    fn execute(self, cx: &mut Cx) -> Result<WithUi<Filenames>, NodeError> {
        let format = Format::named(&self.format).map_err(NodeError::new)?;
        if self.meta_batch.is_some() {
            return Err(NodeError::new(format!(
                "`meta_batch` feeds videos piece by piece, but `{}` is written at once; unlink it",
                self.format
            )));
        }
        let images = self.images(cx)?.filter(|images| !images.dims().contains(&0));
        let Some(images) = images else {
            let outcome = Filenames { kept: self.save_output, files: Arc::default() };
            return Ok(WithUi { outcome, ui: Ui::new() });
        };
        self.save(cx, format, &images)
    }
}

/// The types of what is linked. As in the pack, whole numbers serve as a rate, and latents as images.
fn check_types(known: &ConstantInputs<'_>) -> Result<(), String> {
    let def = VideoCombine::def();
    for (name, received) in known.received_types() {
        let wanted = match &***name {
            "images" => SocketType::from("IMAGE,LATENT"),
            "frame_rate" => SocketType::from("FLOAT,INT"),
            other => match def.find_input(other) {
                Some(input) => input.ty.clone(),
                None => continue,
            },
        };
        if !received.links_into(&wanted) {
            return Err(format!("`{name}` wants {wanted}, got {received}"));
        }
    }
    Ok(())
}

fn place(save_output: bool) -> DirKind {
    if save_output { DirKind::Output } else { DirKind::Temp }
}

/// The files of a save.
struct Saved {
    /// The folder below its place, as clients name it.
    subfolder: String,
    still: PathBuf,
    animated: PathBuf,
}

impl VideoCombine {
    /// The images to save, with one, three or four channels; `None` where nothing is linked.
    fn images(&self, cx: &Cx) -> Result<Option<Image>, NodeError> {
        let Some(Any(value)) = self.images.clone() else { return Ok(None) };
        let images = match Image::from_value(value) {
            Ok(images) => images,
            Err(Value::Null) => return Ok(None),
            Err(other) => self.decoded(cx, other)?,
        };
        let is_plain = Colour::of_channels(images.dims()[3]).is_some();
        Ok(Some(if is_plain { images } else { images.rgb() }))
    }

    fn decoded(&self, cx: &Cx, value: Value) -> Result<Image, NodeError> {
        let found = value.type_name().to_owned();
        let latents = Latent::from_value(value)
            .map_err(|_| NodeError::new(format!("`images` wants IMAGE or LATENT, got {found}")))?;
        let vae = self.vae.as_ref();
        let vae =
            vae.ok_or_else(|| NodeError::new("`images` are latents: link the autoencoder of their model to `vae`"))?;
        decoded(cx, &latents, vae)
    }

    fn save(&self, cx: &Cx, format: Format, images: &Image) -> Result<WithUi<Filenames>, NodeError> {
        let saved = self.write(cx, format, images)?;
        tracing::info!(path = %saved.animated.display(), images = images.dims()[0], "saved");
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ui = Ui::new().with(
            "gifs",
            json!({"filename": name(&saved.animated), "subfolder": saved.subfolder, "type": place(self.save_output).name(),
                "format": self.format, "frame_rate": self.frame_rate, "workflow": name(&saved.still),
                "fullpath": saved.animated.to_string_lossy()}),
        );
        let files = if self.has_still() { vec![saved.still, saved.animated] } else { vec![saved.animated] };
        Ok(WithUi { outcome: Filenames { kept: self.save_output, files: Arc::new(files) }, ui })
    }

    /// Writes both files under the next number that neither of them has.
    fn write(&self, cx: &Cx, format: Format, images: &Image) -> Result<Saved, NodeError> {
        let dir = place(self.save_output);
        let [_, height, width, _] = images.dims();
        let path =
            SavePath::new(cx.environment()?.folders(), dir, &self.filename_prefix, (width, height), Moment::now())?;
        let number = next_number(&path.folder, &path.name);
        let first =
            number.map_err(|source| FileError::Io { doing: "list the folder", path: path.folder.clone(), source })?;
        let animation = self.animation(cx, images)?;
        for number in first.. {
            let file = |ending: &str| path.folder.join(format!("{}_{number:05}.{ending}", path.name));
            let (still, animated) = (file("png"), file(format.ending()));
            // Somebody else may have taken the number in the meantime.
            if !still.exists() && self.write_animated(cx, format, &animation, images, &animated)? {
                if self.write_still(cx, images, &animation, &still).inspect_err(|_| remove(&animated))? {
                    return Ok(Saved { subfolder: path.subfolder, still, animated });
                }
                remove(&animated);
            }
        }
        Err(NodeError::new(format!("every number of `{}` is taken in `{}`", path.name, path.folder.display())))
    }

    fn animation(&self, cx: &Cx, images: &Image) -> Result<Animation, NodeError> {
        let [count, height, width, channels] = images.dims();
        let back = if self.pingpong { count.saturating_sub(2) } else { 0 };
        Ok(Animation {
            width: number(width)?,
            height: number(height)?,
            colour: Colour::of_channels(channels).unwrap_or(Colour::Rgb),
            count: number(count + back)?,
            milliseconds: (1000.0 / self.frame_rate).round_ties_even() as u32,
            loops: self.loop_count,
            texts: texts(cx, &self.prompt, &self.extra_pnginfo)?,
        })
    }

    /// `false` if the file exists.
    fn write_animated(
        &self,
        cx: &Cx,
        format: Format,
        animation: &Animation,
        images: &Image,
        path: &Path,
    ) -> Result<bool, NodeError> {
        let lossless = !matches!(self.settings.get("lossless"), Some(Value::Bool(false)));
        let count = images.dims()[0];
        let mut bar = cx.progress(f64::from(animation.count));
        // What a node may fail with goes around the writer.
        let mut failure = None;
        let written = write_new_with(path, &mut |out: &mut dyn Write| {
            let mut next = |i: u32| {
                let i = i as usize;
                let frame = if i < count { i } else { 2 * (count - 1) - i };
                let bytes = bar.step().and_then(|()| bytes(cx, images, frame));
                bytes.map_err(|error| {
                    failure = Some(error);
                    Error::other("the images end here")
                })
            };
            format.write(lossless, animation, &mut next, out)
        });
        failure.map_or_else(|| Ok(written?), Err)
    }

    /// The first image with the graph inside, where the graph's settings don't forbid it. `false` if the file exists.
    fn write_still(&self, cx: &Cx, images: &Image, animation: &Animation, path: &Path) -> Result<bool, NodeError> {
        if !self.has_still() {
            return Ok(true);
        }
        let mut texts = animation.texts.clone();
        if !texts.is_empty() {
            let Moment { year, month, day, hour, minute, second } = Moment::now();
            let now = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
            texts.insert("CreationTime".to_owned(), now);
        }
        let Animation { width, height, colour, .. } = *animation;
        let image = PngImage { width, height, colour, pixels: bytes(cx, images, 0)?, texts };
        Ok(write_new(path, &write_png(&image, COMPRESSION)?)?)
    }

    /// Whether a still image is wanted: an option of the pack, which the editor keeps in the workflow.
    fn has_still(&self) -> bool {
        let workflow = self.extra_pnginfo.0.as_deref().and_then(|extra| extra.get("workflow"));
        let option = workflow.and_then(|workflow| workflow.get("extra")?.get("VHS_MetadataImage"));
        option != Some(&Json::Bool(false))
    }
}

/// The pixels of an image.
fn bytes(cx: &Cx, images: &Image, i: usize) -> Result<Vec<u8>, NodeError> {
    cx.checkpoint()?;
    Image::new(images.pixels().narrow(0, i, 1)).to_bytes()
}

/// Takes back what was written when its companion can't be.
fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "could not be removed");
    }
}

fn number(count: usize) -> Result<u32, NodeError> {
    u32::try_from(count).map_err(|_| NodeError::new(format!("{count} is more than a file can hold")))
}
