//! AVIF: still images, packed as a frame of AV1.
//!
//! `avif-parse` reads the boxes, `re_rav1d` the frame. Colours are what libavif makes of them for ComfyUI's image library:
//! eight bits a channel, halved chroma spread by the triangle filter, opacity from the image beside it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{DynamicImage, RgbImage, RgbaImage, metadata::Orientation};
use re_rav1d::dav1d::{Decoder, Picture, Settings};

use super::avif_planes::Planes;
use super::frame::{Frame, MAX_FRAME_BYTES, Read, Turn, check_room};
use super::{avif_turn, frame};

/// Reads a still AVIF.
///
/// # Errors
/// What is wrong with it, or what of the format is not read: animations and images put together of several.
pub(super) fn read(bytes: &[u8], turn: Turn) -> Result<Read, String> {
    // Both readers give up on some damaged files in the middle of their work.
    let decoded = catch_unwind(AssertUnwindSafe(|| decoded(bytes, turn)));
    decoded.unwrap_or_else(|_| Err("its decoder could not make sense of it".to_owned()))
}

fn decoded(bytes: &[u8], turn: Turn) -> Result<Read, String> {
    let data = avif_parse::read_avif(&mut &bytes[..]).map_err(|error| error.to_string())?;
    let colours = planes(&data.primary_item)?;
    let opacity = data.alpha_item.as_ref().map(|item| planes(item)).transpose()?;
    let (width, height) = (colours.width, colours.height);
    if opacity.as_ref().is_some_and(|opacity| (opacity.width, opacity.height) != (width, height)) {
        return Err("its opacity has other sides than its colours".to_owned());
    }
    let mut rgb = colours.rgb()?;
    let opacity = opacity.map(|opacity| opacity.levels());
    if let Some(opacity) = opacity.as_ref().filter(|_| data.premultiplied_alpha) {
        unmultiply(&mut rgb, opacity);
    }
    let mut image = image(width, height, rgb, opacity)?;
    if turn == Turn::Upright
        && let Some(orientation) = avif_turn::orientation(bytes).and_then(Orientation::from_exif)
    {
        image.apply_orientation(orientation);
    }
    Ok(Read::whole(vec![Frame::from(&image)]))
}

/// The planes of a frame of AV1.
fn planes(item: &[u8]) -> Result<Planes, String> {
    Planes::of(&picture(item)?)
}

fn picture(item: &[u8]) -> Result<Picture, String> {
    if item.is_empty() {
        return Err("a frame of it is empty".to_owned());
    }
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_all_layers(false);
    settings.set_frame_size_limit(u32::try_from(MAX_FRAME_BYTES / frame::BYTES_PER_PIXEL).unwrap_or(u32::MAX));
    let mut decoder = Decoder::with_settings(&settings).map_err(|error| error.to_string())?;
    decoder.send_data(item.to_vec(), None, None, None).map_err(|error| error.to_string())?;
    let picture = decoder.get_picture().map_err(|error| error.to_string())?;
    check_room(1, picture.width() as usize, picture.height() as usize)?;
    Ok(picture)
}

/// Colours that were multiplied by the opacity as they were before.
fn unmultiply(rgb: &mut [u8], opacity: &[u8]) {
    for (colours, opacity) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(opacity) {
        for colour in colours {
            let (value, opacity) = (u32::from(*colour), u32::from(*opacity));
            *colour = (value * 255 + opacity / 2).checked_div(opacity).unwrap_or(0).min(255) as u8;
        }
    }
}

fn image(width: usize, height: usize, rgb: Vec<u8>, opacity: Option<Vec<u8>>) -> Result<DynamicImage, String> {
    let sides = (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0));
    let image = match opacity {
        None => RgbImage::from_raw(sides.0, sides.1, rgb).map(DynamicImage::from),
        Some(opacity) => {
            let pixels = rgb.as_chunks::<3>().0.iter().zip(opacity);
            let rgba = pixels.flat_map(|([r, g, b], a)| [*r, *g, *b, a]).collect();
            RgbaImage::from_raw(sides.0, sides.1, rgba).map(DynamicImage::from)
        }
    };
    image.ok_or_else(|| format!("{width}x{height} pixels don't fit what was decoded"))
}
