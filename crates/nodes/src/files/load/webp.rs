//! Animated WebP: every frame as the image that is seen then.
//!
//! The rules are those of libwebp's reader of animations (`anim_decode.c`), which ComfyUI's image library reads with: a
//! frame that stands for itself replaces the canvas; colours are mixed by opacity in whole numbers; what a frame is told to
//! clear is transparent whatever the background.

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{ImageDecoder, ImageFormat};

use super::frame::{Frame, Read, Turn, check_room};
use super::still;

/// The bits of a frame's flags.
const CLEARS: u8 = 1;
const REPLACES: u8 = 2;
/// The bit of a file's flags that says that there is opacity.
const OPACITY: u8 = 0x10;

/// Reads a WebP.
///
/// # Errors
/// What the decoder says of its first frame.
pub(super) fn read(bytes: &[u8], turn: Turn) -> Result<Read, String> {
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    if !decoder.has_animation() {
        return still::read(bytes, ImageFormat::WebP, turn);
    }
    let (width, height) = decoder.dimensions();
    animation(bytes, width as usize, height as usize)
}

fn animation(bytes: &[u8], width: usize, height: usize) -> Result<Read, String> {
    let has_alpha = bytes.get(20).is_some_and(|flags| flags & OPACITY != 0);
    check_room(1, width, height)?;
    let mut canvas = Canvas { width, height, pixels: vec![[0; 4]; width * height], before: None };
    let (mut frames, mut damage): (Vec<Frame>, _) = (Vec::new(), None);
    for (name, data) in chunks(bytes.get(12..).unwrap_or_default()) {
        if &name != b"ANMF" {
            continue;
        }
        check_room(frames.len() + 1, width, height)?;
        match Part::of(data) {
            Ok(part) => canvas.draw(&part),
            Err(error) if frames.is_empty() => return Err(error),
            Err(error) => {
                damage = Some(error);
                break;
            }
        }
        frames.push(Frame::of_rgba(width, height, &canvas.pixels, has_alpha));
    }
    Ok(Read { frames, damage })
}

/// The chunks of a stretch of the file; the last one may end early.
fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let ([a, b, c, d, length @ ..], rest) = bytes.split_first_chunk::<8>()?;
        let length = u32::from_le_bytes(*length) as usize;
        bytes = rest.get(length.next_multiple_of(2)..).unwrap_or_default();
        Some(([*a, *b, *c, *d], &rest[..length.min(rest.len())]))
    })
}

/// A frame as the file has it.
struct Part {
    place: Place,
    flags: u8,
    has_alpha: bool,
    pixels: Vec<[u8; 4]>,
}

/// A rectangle of the canvas: left, top, width, height.
#[derive(Clone, Copy, PartialEq)]
struct Place([usize; 4]);

impl Place {
    fn holds(self, x: usize, y: usize) -> bool {
        let Self([left, top, width, height]) = self;
        (left..left + width).contains(&x) && (top..top + height).contains(&y)
    }
}

impl Part {
    fn of(data: &[u8]) -> Result<Self, String> {
        let (head, image) = data.split_first_chunk::<16>().ok_or("a frame without a header")?;
        let number =
            |at: usize| usize::from(head[at]) | usize::from(head[at + 1]) << 8 | usize::from(head[at + 2]) << 16;
        let place = Place([number(0) * 2, number(3) * 2, number(6) + 1, number(9) + 1]);
        check_room(1, place.0[2], place.0[3])?;
        let still = alone(image, place);
        let decoded = still::decoded(&still, ImageFormat::WebP, Turn::AsStored).map_err(|error| error.to_string())?;
        if (decoded.width() as usize, decoded.height() as usize) != (place.0[2], place.0[3]) {
            return Err("a frame has other sides than it says".to_owned());
        }
        let has_alpha = decoded.color().has_alpha();
        let pixels = decoded.into_rgba8().pixels().map(|pixel| pixel.0).collect();
        Ok(Self { place, flags: head[15], has_alpha, pixels })
    }
}

/// A frame as a file of its own.
fn alone(image: &[u8], Place([.., width, height]): Place) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    let alpha = chunks(image).any(|(name, _)| &name == b"ALPH");
    if alpha {
        body.extend(b"VP8X\x0a\0\0\0");
        body.extend([OPACITY, 0, 0, 0]);
        for side in [width, height] {
            body.extend(&(side as u32 - 1).to_le_bytes()[..3]);
        }
    }
    for (name, data) in chunks(image).filter(|(name, _)| matches!(name, b"ALPH" | b"VP8 " | b"VP8L")) {
        body.extend(name);
        body.extend((data.len() as u32).to_le_bytes());
        body.extend(data);
        body.extend(std::iter::repeat_n(0, data.len() % 2));
    }
    let mut file = b"RIFF".to_vec();
    file.extend((body.len() as u32).to_le_bytes());
    file.extend(body);
    file
}

/// What is seen.
struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 4]>,
    /// Of the frame before: where it stands, whether it is cleared before the next, whether it stood for itself.
    before: Option<(Place, bool, bool)>,
}

impl Canvas {
    fn draw(&mut self, part: &Part) {
        let everything = Place([0, 0, self.width, self.height]);
        let mixes = part.flags & REPLACES == 0 && part.has_alpha;
        let cleared = self.before.filter(|(_, clears, _)| *clears);
        let alone = match self.before {
            None => true,
            Some((place, clears, stood_alone)) => {
                part.place == everything && !mixes || clears && (place == everything || stood_alone)
            }
        };
        if alone {
            self.pixels.fill([0; 4]);
        } else if let Some((place, ..)) = cleared {
            self.each(place, |pixel, _, _| *pixel = [0; 4]);
        }
        let [left, top, width, _] = part.place.0;
        self.each(part.place, |pixel, x, y| {
            let Some(source) = part.pixels.get((y - top) * width + x - left) else { return };
            let over_nothing = alone || cleared.is_some_and(|(place, ..)| place.holds(x, y));
            *pixel = if mixes && !over_nothing { mixed(*source, *pixel) } else { *source };
        });
        self.before = Some((part.place, part.flags & CLEARS != 0, alone));
    }

    /// Calls for each pixel of a rectangle.
    fn each(&mut self, Place([left, top, width, height]): Place, mut call: impl FnMut(&mut [u8; 4], usize, usize)) {
        for y in top..(top + height).min(self.height) {
            for x in left..(left + width).min(self.width) {
                call(&mut self.pixels[y * self.width + x], x, y);
            }
        }
    }
}

/// A colour over another, in libwebp's whole numbers.
fn mixed(over: [u8; 4], under: [u8; 4]) -> [u8; 4] {
    let opacity = u32::from(over[3]);
    if opacity == 255 {
        return over;
    }
    if opacity == 0 {
        return under;
    }
    let rest = (u32::from(under[3]) * (256 - opacity)) >> 8;
    let all = opacity + rest;
    let scale = (1 << 24) / all;
    let channel = |c: usize| {
        let sum = u32::from(over[c]) * opacity + u32::from(under[c]) * rest;
        ((u64::from(sum) * u64::from(scale)) >> 24) as u8
    };
    [channel(0), channel(1), channel(2), all as u8]
}
