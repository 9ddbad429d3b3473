//! JPEG 2000, in its container or bare.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hayro_jpeg2000::{ColorSpace, DecodeSettings, DecoderContext, Image};

use super::frame::{Frame, Read, check_room};

/// Whether the bytes begin as JPEG 2000 does.
pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x00\x00\x00\x0cjP  ") || bytes.starts_with(b"\xff\x4f\xff\x51")
}

/// Reads an image.
///
/// # Errors
/// What the decoder says.
pub(super) fn read(bytes: &[u8]) -> Result<Read, String> {
    // The decoder indexes what some damaged files lack.
    let decoded = catch_unwind(AssertUnwindSafe(|| decoded(bytes)));
    decoded.unwrap_or_else(|_| Err("the decoder of JPEG 2000 could not make sense of it".to_owned()))
}

fn decoded(bytes: &[u8]) -> Result<Read, String> {
    let image = Image::new(bytes, &DecodeSettings::default()).map_err(|error| error.to_string())?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    check_room(1, width, height)?;
    let colours = match image.color_space() {
        ColorSpace::CMYK => 4,
        space => usize::from(space.num_channels()),
    };
    let (is_ink, has_alpha) = (matches!(image.color_space(), ColorSpace::CMYK), image.has_alpha());
    let mut context = DecoderContext::default();
    let values = image.decode(&mut context).map_err(|error| error.to_string())?.data_u8();
    let channels = colours + usize::from(has_alpha);
    if channels == 0 || values.len() != width * height * channels {
        return Err(format!("{channels} channels of {width}x{height} pixels don't fit {} values", values.len()));
    }
    let pixel = |values: &[u8]| {
        let alpha = if has_alpha { values[channels - 1] } else { u8::MAX };
        let light = |ink: u8| (u32::from(255 - ink) * u32::from(255 - values[3]) / 255) as u8;
        match colours {
            4 if is_ink => [light(values[0]), light(values[1]), light(values[2]), alpha],
            3 | 4 => [values[0], values[1], values[2], alpha],
            _ => [values[0], values[0], values[0], alpha],
        }
    };
    let pixels: Vec<[u8; 4]> = values.chunks_exact(channels).map(pixel).collect();
    Ok(Read::whole(vec![Frame::of_rgba(width, height, &pixels, has_alpha)]))
}
