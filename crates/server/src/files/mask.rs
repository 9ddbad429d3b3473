//! Masks: the transparency of one image put into another one.

use std::path::Path;

use image::imageops::{FilterType, resize};
use kiln_nodes::files::{Colour, PngImage, read_png, write_png};

use super::thumbnail::{decode, decode_bytes};

/// Deflate level of what is written.
const LEVEL: u8 = 4;

/// `original` with the transparency of `mask`, as PNG; the texts of a PNG stay.
///
/// # Errors
/// A sentence, when one of both is no image.
pub(crate) fn with_mask(original: &Path, mask: &[u8]) -> Result<Vec<u8>, String> {
    let mut image = decode(original).map_err(|error| error.to_string())?.into_rgba8();
    let mut mask = decode_bytes(mask).map_err(|error| error.to_string())?;
    if mask.dimensions() != image.dimensions() {
        mask = resize(&mask, image.width(), image.height(), FilterType::Triangle);
    }
    for (pixel, from) in image.pixels_mut().zip(mask.pixels()) {
        pixel.0[3] = from.0[3];
    }
    let texts = read_png(original).map(|png| png.texts).unwrap_or_default();
    let (width, height) = image.dimensions();
    let png = PngImage { width, height, colour: Colour::Rgba, pixels: image.into_raw(), texts };
    write_png(&png, LEVEL).map_err(|error| error.to_string())
}
