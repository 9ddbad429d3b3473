//! Animated PNG.

use std::io::{Error, Write};

use png::chunk::ChunkType;
use png::{BitDepth, ColorType, DeflateCompression, Filter};

use super::sequence::{Animation, NextImage};
use crate::files::png::Colour;

/// The texts stand behind the images, where readers of animations drop the usual kinds of text.
const TEXT: ChunkType = ChunkType(*b"comf");

/// Writes a PNG file, animated if there is more than one image, with deflate level `compression` (0 none … 9 small). Holds one
/// image at a time.
///
/// # Errors
/// What `out` and `next` report; sizes that don't fit together.
pub fn write_apng(
    animation: &Animation,
    compression: u8,
    next: &mut NextImage<'_>,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut encoder = png::Encoder::new(out, animation.width, animation.height);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_color(match animation.colour {
        Colour::Grey => ColorType::Grayscale,
        Colour::Rgb => ColorType::Rgb,
        Colour::Rgba => ColorType::Rgba,
    });
    encoder.set_filter(Filter::Adaptive);
    encoder.set_deflate_compression(match compression {
        0 => DeflateCompression::NoCompression,
        level => DeflateCompression::Level(level.min(9)),
    });
    if animation.count > 1 {
        let (numerator, denominator) = seconds(animation.milliseconds);
        encoder.set_animated(animation.count, animation.loops).map_err(Error::other)?;
        encoder.set_frame_delay(numerator, denominator).map_err(Error::other)?;
    }
    let mut writer = encoder.write_header().map_err(Error::other)?;
    for i in 0..animation.count {
        writer.write_image_data(&next(i)?).map_err(Error::other)?;
    }
    for (keyword, text) in &animation.texts {
        writer.write_chunk(TEXT, format!("{keyword}\0{text}").as_bytes()).map_err(Error::other)?;
    }
    writer.finish().map_err(Error::other)
}

/// A time as a fraction of a second, in the finest steps that two numbers of 16 bits have.
fn seconds(milliseconds: u32) -> (u16, u16) {
    let whole = [1u16, 10, 100].into_iter().find_map(|step| {
        let numerator = u16::try_from(milliseconds / u32::from(step)).ok()?;
        Some((numerator, 1000 / step))
    });
    whole.unwrap_or((u16::MAX, 10))
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_time_is_a_fraction_that_fits() {
        assert_eq!(seconds(166), (166, 1000));
        assert_eq!(seconds(1), (1, 1000));
        assert_eq!(seconds(100_000), (10_000, 100));
        assert_eq!(seconds(u32::MAX), (u16::MAX, 10));
    }
}
