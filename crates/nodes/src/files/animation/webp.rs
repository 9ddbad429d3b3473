//! Animated WEBP.
//!
//! Source: Google's "WebP Container Specification". Images are packed by libwebp, each as a whole.

use std::io::{Error, Write};

use webp::{Encoder, PixelLayout, WebPConfig};

use super::exif::exif;
use super::sequence::{Animation, NextImage};
use crate::files::png::Colour;

/// The largest side that the format has, in pixels.
const MOST: u32 = 16383;
/// Parts of an image's own file that go into an animation.
const PARTS: [&[u8; 4]; 3] = [b"ALPH", b"VP8 ", b"VP8L"];
/// Marks of a file, and of an image that replaces what lies below it.
const ANIMATED: u8 = 2;
const EXIF: u8 = 8;
const ALPHA: u8 = 16;
const REPLACES: u8 = 2;

/// How images are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Webp {
    /// Whether every byte of a pixel comes back.
    pub lossless: bool,
    /// 0 (small) to 100 (like the original); without losses, how long to search for a short form.
    pub quality: u8,
    /// 0 (fast) to 6 (small).
    pub method: u8,
}

/// Writes a WEBP file, animated if there is more than one image. Holds one image at a time, and all of the packed ones.
///
/// # Errors
/// Sides of more than 16383 pixels; more than 4 GiB; what `out` and `next` report.
pub fn write_webp(
    animation: &Animation,
    webp: Webp,
    next: &mut NextImage<'_>,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let Animation { width, height, .. } = *animation;
    if width > MOST || height > MOST {
        return Err(Error::other(format!("{width}x{height} pixels are too many for WEBP; a side has at most {MOST}")));
    }
    let exif = exif(&animation.texts);
    let (is_animated, has_alpha) = (animation.count > 1, animation.colour == Colour::Rgba);
    let mut flags = 0;
    for (flag, on) in [(ANIMATED, is_animated), (EXIF, exif.is_some()), (ALPHA, has_alpha)] {
        flags |= if on { flag } else { 0 };
    }
    let mut body = b"WEBP".to_vec();
    push_chunk(&mut body, *b"VP8X", &[&[flags, 0, 0, 0], &three(width - 1)[..], &three(height - 1)].concat())?;
    if is_animated {
        // A clear background, and how often the whole is shown.
        push_chunk(&mut body, *b"ANIM", &[&[0; 4], &animation.loops_u16().to_le_bytes()[..]].concat())?;
    }
    for i in 0..animation.count {
        let image = packed(animation, webp, &next(i)?)?;
        if is_animated {
            let place = [&[0; 6], &three(width - 1)[..], &three(height - 1), &three(animation.milliseconds)].concat();
            push_chunk(&mut body, *b"ANMF", &[&place, &[REPLACES][..], &image].concat())?;
        } else {
            body.extend(image);
        }
    }
    if let Some(exif) = exif {
        push_chunk(&mut body, *b"EXIF", &exif)?;
    }
    out.write_all(b"RIFF")?;
    out.write_all(&length(body.len())?.to_le_bytes())?;
    out.write_all(&body)
}

/// The parts of an image's own file.
fn packed(animation: &Animation, webp: Webp, pixels: &[u8]) -> std::io::Result<Vec<u8>> {
    let layout = if animation.colour == Colour::Rgba { PixelLayout::Rgba } else { PixelLayout::Rgb };
    let grey: Vec<u8>;
    let pixels = if animation.colour == Colour::Grey {
        grey = pixels.iter().flat_map(|v| [*v; 3]).collect();
        &grey
    } else {
        pixels
    };
    let channels = if layout == PixelLayout::Rgba { 4 } else { 3 };
    if pixels.len() as u64 != u64::from(animation.width) * u64::from(animation.height) * channels {
        return Err(Error::other(format!("an image of {} bytes is not the animation's", pixels.len())));
    }
    let mut config = WebPConfig::new().map_err(|()| Error::other("libwebp has no usual settings"))?;
    config.lossless = i32::from(webp.lossless);
    config.quality = f32::from(webp.quality.min(100));
    config.method = i32::from(webp.method.min(6));
    // Colours stay what they are where nothing shows of them, too.
    config.exact = i32::from(webp.lossless);
    let encoder = Encoder::new(pixels, layout, animation.width, animation.height);
    let file = encoder.encode_advanced(&config).map_err(|error| Error::other(format!("libwebp: {error:?}")))?;
    Ok(parts(&file))
}

fn parts(file: &[u8]) -> Vec<u8> {
    let (mut rest, mut found) = (file.get(12..).unwrap_or_default(), Vec::new());
    while let Some(head) = rest.first_chunk::<8>() {
        let [a, b, c, d, length @ ..] = *head;
        let end = (u32::from_le_bytes(length) as usize).next_multiple_of(2).saturating_add(8).min(rest.len());
        let (chunk, tail) = rest.split_at(end);
        if PARTS.contains(&&[a, b, c, d]) {
            found.extend_from_slice(chunk);
        }
        rest = tail;
    }
    found
}

fn push_chunk(body: &mut Vec<u8>, name: [u8; 4], content: &[u8]) -> std::io::Result<()> {
    body.extend(name);
    body.extend(length(content.len())?.to_le_bytes());
    body.extend(content);
    body.resize(body.len().next_multiple_of(2), 0);
    length(body.len()).map(drop)
}

fn length(bytes: usize) -> std::io::Result<u32> {
    u32::try_from(bytes)
        .map_err(|_| Error::other("the images are too much for a WEBP file of 4 GiB; save fewer of them"))
}

/// The low three bytes.
fn three(number: u32) -> [u8; 3] {
    let [a, b, c, _] = number.to_le_bytes();
    [a, b, c]
}
