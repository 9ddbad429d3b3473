//! Formats that the `image` crate reads: JPEG, WebP, BMP, TGA, PNM, ICO.

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::error::{LimitError, LimitErrorKind};
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, ImageResult, Limits};

use super::frame::{Frame, MAX_FRAME_BYTES, Read, Turn, check_room};

/// Reads a file of a format.
///
/// # Errors
/// What the decoder says.
pub(super) fn read(bytes: &[u8], format: ImageFormat, turn: Turn) -> Result<Read, String> {
    if format == ImageFormat::WebP
        && let Some(frames) = webp(bytes)?
    {
        return Ok(Read::whole(frames));
    }
    let one = |image: &DynamicImage| vec![Frame::from(image)];
    match decoded(&largest_icon(bytes, format), format, turn) {
        Ok(image) => Ok(Read::whole(one(&image))),
        Err(error) => match filled_up(bytes, format, turn) {
            Some(image) => Ok(Read { frames: one(&image), damage: Some(error.to_string()) }),
            None => Err(error.to_string()),
        },
    }
}

/// One image, turned as asked for.
pub(super) fn decoded(bytes: &[u8], format: ImageFormat, turn: Turn) -> ImageResult<DynamicImage> {
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
    let mut image = DynamicImage::from_decoder(decoder)?;
    if turn == Turn::Upright {
        image.apply_orientation(orientation);
    }
    Ok(image)
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
    let mut numbers = if matches!(bytes.get(1)?, b'1' | b'4') { 2 } else { 3 };
    let (mut at, mut in_number) = (2, false);
    while numbers > 0 {
        match bytes.get(at)? {
            b'#' => at += bytes[at..].iter().position(|byte| *byte == b'\n')?,
            byte if byte.is_ascii_whitespace() => numbers -= usize::from(std::mem::take(&mut in_number)),
            _ => in_number = true,
        }
        at += 1;
    }
    Some(at)
}

/// An icon file that begins with its largest image; the decoder would prefer one of more colours.
fn largest_icon(bytes: &[u8], format: ImageFormat) -> Vec<u8> {
    const HEADER: usize = 6;
    const ENTRY: usize = 16;
    let mut bytes = bytes.to_vec();
    if format != ImageFormat::Ico || bytes.len() < HEADER {
        return bytes;
    }
    let count = usize::from(u16::from_le_bytes([bytes[4], bytes[5]]));
    let side = |byte: u8| if byte == 0 { 256u32 } else { u32::from(byte) };
    let entries: Vec<&[u8]> = bytes[HEADER..].chunks_exact(ENTRY).take(count).collect();
    let area = |entry: &&&[u8]| side(entry[0]) * side(entry[1]);
    // The first of equally large ones.
    let best = entries.iter().rev().max_by_key(area).map(|entry| entry.to_vec());
    if let Some(best) = best {
        bytes[4..HEADER].copy_from_slice(&1u16.to_le_bytes());
        bytes[HEADER..HEADER + ENTRY].copy_from_slice(&best);
    }
    bytes
}

/// The frames of an animated WebP, `None` for a still one.
fn webp(bytes: &[u8]) -> Result<Option<Vec<Frame>>, String> {
    let told = |error: image::ImageError| error.to_string();
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(told)?;
    if !decoder.has_animation() {
        return Ok(None);
    }
    let (has_alpha, (width, height)) = (decoder.color_type().has_alpha(), decoder.dimensions());
    let unblended = if has_alpha { Vec::new() } else { without_blending(bytes) };
    let decoder =
        if has_alpha { decoder } else { WebPDecoder::new(Cursor::new(unblended.as_slice())).map_err(told)? };
    let mut frames = Vec::new();
    for frame in decoder.into_frames() {
        check_room(frames.len() + 1, width as usize, height as usize)?;
        let frame = Frame::from(&DynamicImage::from(frame.map_err(told)?.into_buffer()));
        frames.push(if has_alpha { frame } else { frame.opaque() });
    }
    Ok(Some(frames))
}

/// The frames of a file without opacity said to replace what lies below them, which is the same for them: the decoder would
/// blend lossless ones by an opacity that they don't have.
fn without_blending(bytes: &[u8]) -> Vec<u8> {
    const FLAGS: usize = 8 + 15;
    const REPLACES: u8 = 2;
    let (mut bytes, mut at) = (bytes.to_vec(), 12);
    while let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let [a, b, c, d, length @ ..] = *head;
        if [a, b, c, d] == *b"ANMF"
            && let Some(flags) = bytes.get_mut(at + FLAGS)
        {
            *flags |= REPLACES;
        }
        at = at.saturating_add(8).saturating_add((u32::from_le_bytes(length) as usize).next_multiple_of(2));
    }
    bytes
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
