//! Formats that the `image` crate reads: JPEG, still WebP, BMP, TGA, PNM, the bitmaps of ICO.

use std::io::Cursor;

use image::error::{LimitError, LimitErrorKind};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, ImageResult, Limits};

use super::frame::{Frame, MAX_FRAME_BYTES, Read, Turn};

/// Reads a file of a format.
///
/// # Errors
/// What the decoder says.
pub(super) fn read(bytes: &[u8], format: ImageFormat, turn: Turn) -> Result<Read, String> {
    let one = |image: &DynamicImage| vec![Frame::from(image)];
    match decoded(bytes, format, turn) {
        Ok(image) => Ok(Read::whole(one(&image))),
        Err(error) => match filled_up(bytes, format, turn) {
            Some(image) => Ok(Read { frames: one(&image), damage: Some(error.to_string()) }),
            None => Err(error.to_string()),
        },
    }
}

/// One image, turned as asked for.
pub(super) fn decoded(bytes: &[u8], format: ImageFormat, turn: Turn) -> ImageResult<DynamicImage> {
    let (mut image, orientation) = unturned(bytes, format)?;
    if turn == Turn::Upright {
        image.apply_orientation(orientation);
    }
    Ok(image)
}

/// One image as it stands in the file, and how its EXIF says that it is turned.
pub(super) fn unturned(bytes: &[u8], format: ImageFormat) -> ImageResult<(DynamicImage, Orientation)> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_FRAME_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    // Not every decoder looks at the limit before it asks for memory.
    if decoder.total_bytes() > MAX_FRAME_BYTES {
        return Err(ImageError::Limits(LimitError::from_kind(LimitErrorKind::InsufficientMemory)));
    }
    let orientation = decoder.orientation()?;
    Ok((DynamicImage::from_decoder(decoder)?, orientation))
}

/// The image of a file that was cut off, with nothing where its pixels end. Only of formats whose pixels stand one after the
/// other, or, as JPEG's, can end anywhere.
fn filled_up(bytes: &[u8], format: ImageFormat, turn: Turn) -> Option<DynamicImage> {
    // Sides of which there is hardly a pixel are no image's.
    const MOST_MISSING: u64 = 64;
    let largest = (bytes.len() as u64).saturating_mul(MOST_MISSING);
    let mut longer = bytes.to_vec();
    match format {
        ImageFormat::Jpeg => longer.extend([0xff, 0xd9]),
        ImageFormat::Bmp | ImageFormat::Tga | ImageFormat::Pnm => {
            if !has_pixels(bytes, format)? {
                return None;
            }
            let size = ImageReader::with_format(Cursor::new(bytes), format).into_dimensions().ok()?;
            // Two bytes for each of four channels are the most a pixel takes.
            let most =
                u64::from(size.0).checked_mul(u64::from(size.1))?.checked_mul(8).filter(|most| *most < largest)?;
            if let Some(Lines { start, length }) = Lines::of(bytes, format) {
                // Of a line that was begun nothing is taken.
                let whole = bytes.len().saturating_sub(start) / length * length;
                longer.truncate(start + whole);
            }
            longer.resize(bytes.len().checked_add(usize::try_from(most).ok()?)?, 0);
        }
        _ => return None,
    }
    decoded(&longer, format, turn).ok()
}

/// Whether anything stands behind the header; `None` if not even that is whole.
fn has_pixels(bytes: &[u8], format: ImageFormat) -> Option<bool> {
    let header = match format {
        ImageFormat::Bmp => u32::from_le_bytes(*bytes.get(10..)?.first_chunk()?) as usize,
        // A name, of which the first byte gives the length, stands between the header and what follows.
        ImageFormat::Tga => 18 + usize::from(*bytes.first()?),
        ImageFormat::Pnm => pnm_header(bytes)?,
        _ => 0,
    };
    Some(bytes.len() > header)
}

/// How long the header of a PNM file is: its mark, then numbers or, in the newest kind, lines up to `ENDHDR`.
fn pnm_header(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"P7") {
        const END: &[u8] = b"ENDHDR\n";
        return bytes.windows(END.len()).position(|part| part == END).map(|at| at + END.len());
    }
    pnm_numbers(bytes).map(|(_, at)| at)
}

/// The numbers in the header of a PNM file, and where it ends.
fn pnm_numbers(bytes: &[u8]) -> Option<(Vec<usize>, usize)> {
    let count = if matches!(bytes.get(1)?, b'1' | b'4') { 2 } else { 3 };
    let (mut at, mut numbers, mut number) = (2, Vec::new(), None::<usize>);
    while numbers.len() < count {
        match bytes.get(at)? {
            b'#' => at += bytes[at..].iter().position(|byte| *byte == b'\n')?,
            byte if byte.is_ascii_whitespace() => numbers.extend(number.take()),
            byte => {
                let digit = usize::from(byte.wrapping_sub(b'0'));
                number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(digit));
            }
        }
        at += 1;
    }
    Some((numbers, at))
}

/// Lines of pixels that are not packed.
struct Lines {
    /// Where the first one begins.
    start: usize,
    /// Bytes of each, at least one.
    length: usize,
}

impl Lines {
    fn of(bytes: &[u8], format: ImageFormat) -> Option<Self> {
        let lines = match format {
            ImageFormat::Bmp => Self::of_bmp(bytes),
            ImageFormat::Tga => Self::of_tga(bytes),
            ImageFormat::Pnm => Self::of_pnm(bytes),
            _ => None,
        };
        lines.filter(|lines| lines.length > 0 && lines.start < bytes.len())
    }

    fn of_bmp(bytes: &[u8]) -> Option<Self> {
        let long = |at: usize| bytes.get(at..)?.first_chunk().map(|four| u32::from_le_bytes(*four) as usize);
        let bits = u16::from_le_bytes(*bytes.get(28..)?.first_chunk()?);
        // Plain, or plain with masks.
        let plain = matches!(long(30)?, 0 | 3) && long(14)? >= 40;
        let length = long(18)?.checked_mul(usize::from(bits))?.div_ceil(32).checked_mul(4)?;
        plain.then_some(Self { start: long(10)?, length })
    }

    fn of_tga(bytes: &[u8]) -> Option<Self> {
        let short = |at: usize| bytes.get(at..)?.first_chunk().map(|pair| usize::from(u16::from_le_bytes(*pair)));
        let [name, has_palette, kind] = *bytes.first_chunk::<3>()?;
        let palette = if has_palette == 1 { short(5)? * usize::from(*bytes.get(7)?).div_ceil(8) } else { 0 };
        let length = short(12)? * usize::from(*bytes.get(16)?).div_ceil(8);
        matches!(kind, 1..=3).then_some(Self { start: 18 + usize::from(name) + palette, length })
    }

    fn of_pnm(bytes: &[u8]) -> Option<Self> {
        let (numbers, start) = pnm_numbers(bytes)?;
        let width = *numbers.first()?;
        let wide = if numbers.get(2).is_some_and(|most| *most > 255) { 2 } else { 1 };
        let length = match bytes.get(1)? {
            b'4' => width.div_ceil(8),
            b'5' => width.checked_mul(wide)?,
            b'6' => width.checked_mul(3 * wide)?,
            _ => return None,
        };
        Some(Self { start, length })
    }
}

/// Whether the header is one of TGA's: a known kind of image, with sides and a depth that make sense.
pub(super) fn may_be_tga(bytes: &[u8]) -> bool {
    const HEADER: usize = 18;
    let Some(header) = bytes.get(..HEADER) else { return false };
    let sides = [12, 14].map(|at| u16::from_le_bytes([header[at], header[at + 1]]));
    let has_palette = header[1] == 1;
    let (kind, depth) = (header[2], header[16]);
    header[1] <= 1
        && match kind {
            1 | 9 => has_palette && depth == 8,
            2 | 10 => matches!(depth, 15 | 16 | 24 | 32),
            3 | 11 => matches!(depth, 8 | 16),
            _ => false,
        }
        && !sides.contains(&0)
}
