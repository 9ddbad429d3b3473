//! Images from files as f32 colours and an optional mask, in every format that people have.
//!
//! Turned as their EXIF says, where that is asked for. Every frame of an animation and every page of a TIFF becomes one image of a batch. Damaged files
//! are read as far as they go, with a warning. Knows nothing of tensors.

mod avif;
mod avif_planes;
mod avif_turn;
mod frame;
mod gif;
mod icon;
mod jpeg;
mod jpeg2000;
mod jpeg_scan;
mod png;
mod repair;
mod still;
mod tiff;
mod webp;

use std::path::Path;

use image::ImageFormat;

use self::frame::{Frame, Read, Turn};
use super::error::FileError;

/// Images of equal size.
#[derive(Debug, Clone, PartialEq)]
pub struct Frames {
    /// Number of images, at least one.
    pub count: usize,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `[count, height, width, 3]`, 0 to 1.
    pub rgb: Vec<f32>,
    /// `[count, height, width]`, 1 where the image is transparent; `None` if the file has neither opacity nor a palette with
    /// a transparent colour.
    pub mask: Option<Vec<f32>>,
    /// `[height, width]`, 1 where the first image has the one colour that its file, without a palette, calls transparent.
    pub key: Option<Vec<f32>>,
}

/// Reads an image file, upright. What is damaged is read as far as it goes, and reported as a warning.
///
/// # Errors
/// [`FileError::Io`] if it can't be read, [`FileError::Image`] if it is no image.
pub fn load_image(path: &Path) -> Result<Frames, FileError> {
    load(path, Turn::Upright)
}

/// As [`load_image`], with rows and columns as they stand in the file, whatever its EXIF says.
///
/// # Errors
/// Those of [`load_image`].
pub fn load_image_as_stored(path: &Path) -> Result<Frames, FileError> {
    load(path, Turn::AsStored)
}

fn load(path: &Path, turn: Turn) -> Result<Frames, FileError> {
    let bytes = std::fs::read(path).map_err(|e| FileError::io("read", path, e))?;
    let refused = |detail| FileError::Image { path: path.to_path_buf(), detail };
    let Read { frames, damage } = read(&bytes, turn).map_err(refused)?;
    if let Some(damage) = damage {
        tracing::warn!(path = %path.display(), damage, "the image is damaged; what could be read of it is used");
    }
    gather(frames).map_err(refused)
}

/// Reads an image from memory; the error is what the decoder says.
///
/// # Errors
/// A sentence, if the bytes are no image of a known kind.
pub fn load_image_bytes(bytes: &[u8]) -> Result<Frames, String> {
    gather(read(bytes, Turn::Upright)?.frames)
}

fn read(bytes: &[u8], turn: Turn) -> Result<Read, String> {
    if jpeg2000::is(bytes) {
        return jpeg2000::read(bytes);
    }
    if let Some(kind) = video_codec(bytes) {
        let read = match kind {
            "AVIF" => avif::read(bytes, turn),
            _ => Err("its frames are not decoded".to_owned()),
        };
        return read.map_err(|detail| {
            format!(
                "it is an {kind} image, whose pixels are packed as a video is, and this one can't be read here ({detail}); \
                 convert it to PNG in any image editor or with `ffmpeg -i image.{ending} image.png`",
                ending = kind.to_lowercase()
            )
        });
    }
    match image::guess_format(bytes) {
        Ok(ImageFormat::Gif) => gif::read(bytes),
        Ok(ImageFormat::Png) => png::read(bytes, turn),
        Ok(ImageFormat::Tiff) => tiff::read(bytes, turn),
        Ok(ImageFormat::Jpeg) => jpeg::read(bytes, turn),
        Ok(ImageFormat::Ico) => icon::read(bytes, turn),
        Ok(ImageFormat::WebP) => webp::read(bytes, turn),
        Ok(format) => still::read(bytes, format, turn),
        // TIFF's form for files above 4 GB.
        Err(_) if bytes.starts_with(b"II+\0") || bytes.starts_with(b"MM\0+") => tiff::read(bytes, turn),
        // The only one of these formats that doesn't begin with a mark of its own.
        Err(_) if still::may_be_tga(bytes) => still::read(bytes, ImageFormat::Tga, turn),
        Err(error) => Err(error.to_string()),
    }
}

/// What a file is whose pixels are packed by a video's codec, by the brand in its first box.
fn video_codec(bytes: &[u8]) -> Option<&'static str> {
    let brand = bytes.get(4..12)?.strip_prefix(b"ftyp")?;
    match brand {
        b"avif" | b"avis" => Some("AVIF"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" => Some("HEIC"),
        _ => None,
    }
}

/// Joins the images that have the first one's size, as ComfyUI does.
fn gather(frames: Vec<Frame>) -> Result<Frames, String> {
    let (width, height) = frames.first().map(Frame::size).ok_or("the file holds no image")?;
    if width == 0 || height == 0 {
        return Err(format!("the image is {width}x{height} pixels"));
    }
    let same: Vec<Frame> = frames.into_iter().filter(|frame| frame.size() == (width, height)).collect();
    let count = same.len();
    let has_mask = same.iter().any(|frame| frame.mask.is_some());
    let (mut rgb, mut masks, mut key) = (Vec::with_capacity(count * width * height * 3), Vec::new(), None);
    for (i, frame) in same.into_iter().enumerate() {
        rgb.extend(frame.rgb);
        if has_mask {
            masks.extend(frame.mask.unwrap_or_else(|| vec![0.0; width * height]));
        }
        if i == 0 {
            key = frame.key;
        }
    }
    Ok(Frames { count, width, height, rgb, mask: has_mask.then_some(masks), key })
}
