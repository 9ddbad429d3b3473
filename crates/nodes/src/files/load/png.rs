//! PNG, still and animated, with what a palette's or a single transparent colour means, damaged or not.

use std::io::Cursor;

use image::codecs::png::PngDecoder;
use image::{AnimationDecoder, DynamicImage, ImageFormat, ImageResult};
use png::ColorType;

use super::frame::{Frame, Read, Turn, check_room};
use super::{repair, still};

/// What a file calls transparent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transparency {
    None,
    /// Pixels or colours of a palette.
    Alpha,
    /// One colour of an image without palette.
    Key,
}

/// Reads a PNG.
///
/// # Errors
/// What the decoder says of a file of which nothing can be read.
pub(super) fn read(bytes: &[u8], turn: Turn) -> Result<Read, String> {
    check_frames(bytes)?;
    match whole(bytes, turn) {
        Ok(frames) => Ok(Read::whole(frames)),
        Err(error) => match repair::repaired(bytes) {
            Some(repaired) => Ok(Read { frames: whole(&repaired, turn)?, damage: Some(error) }),
            None => Err(error),
        },
    }
}

/// Whether the frames that the file speaks of may be held: too many are no damage.
fn check_frames(bytes: &[u8]) -> Result<(), String> {
    let Ok(reader) = png::Decoder::new(Cursor::new(bytes)).read_info() else { return Ok(()) };
    let info = reader.info();
    let Some(control) = info.animation_control else { return Ok(()) };
    check_room(control.num_frames as usize, info.width as usize, info.height as usize)
}

fn whole(bytes: &[u8], turn: Turn) -> Result<Vec<Frame>, String> {
    let transparency = transparency(bytes)?;
    let told = |error: image::ImageError| error.to_string();
    let meant = |frame: Frame| match transparency {
        Transparency::None => frame.opaque(),
        Transparency::Alpha => frame,
        Transparency::Key => frame.keyed(),
    };
    if let Some(frames) = animation(bytes)? {
        return Ok(frames.into_iter().map(meant).collect());
    }
    Ok(vec![meant(Frame::from(&still::decoded(bytes, ImageFormat::Png, turn).map_err(told)?))])
}

fn transparency(bytes: &[u8]) -> Result<Transparency, String> {
    let reader = png::Decoder::new(Cursor::new(bytes)).read_info().map_err(|error| error.to_string())?;
    let info = reader.info();
    Ok(match (info.color_type, info.trns.is_some()) {
        (ColorType::GrayscaleAlpha | ColorType::Rgba, _) | (ColorType::Indexed, true) => Transparency::Alpha,
        (ColorType::Grayscale | ColorType::Rgb, true) => Transparency::Key,
        _ => Transparency::None,
    })
}

/// The frames of an animated PNG, `None` for a still one.
fn animation(bytes: &[u8]) -> Result<Option<Vec<Frame>>, String> {
    let apng = || -> ImageResult<_> {
        let decoder = PngDecoder::new(Cursor::new(bytes))?;
        if decoder.is_apng()? { decoder.apng().map(Some) } else { Ok(None) }
    };
    let told = |error: image::ImageError| error.to_string();
    let Some(decoder) = apng().map_err(told)? else { return Ok(None) };
    let mut frames: Vec<Frame> = Vec::new();
    for frame in decoder.into_frames() {
        let buffer = frame.map_err(told)?.into_buffer();
        check_room(frames.len() + 1, buffer.width() as usize, buffer.height() as usize)?;
        frames.push(Frame::from(&DynamicImage::from(buffer)));
    }
    Ok((!frames.is_empty()).then_some(frames))
}
