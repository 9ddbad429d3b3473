//! JPEG, whole or cut off.
//!
//! What a cut scan lacks is grey: libjpeg, which ComfyUI's image library reads with, takes zero bits where the data end,
//! finishes the unit of pixels that it is in, and leaves all coefficients behind it at zero. The decoder here would go on
//! with what it makes of those bits.

use image::{DynamicImage, ImageFormat};

use super::frame::{Frame, MAX_FRAME_BYTES, Read, Turn};
use super::jpeg_scan::{Scan, Tables};
use super::still;

/// How a file ends.
enum End {
    Whole,
    /// In the middle of a marker's segment, which begins there.
    Segment(usize),
    /// In the middle of a scan's data; of a scan whose units stand one after the other, how many of them are there.
    Data(Option<Scan>),
}

/// Reads a JPEG.
///
/// # Errors
/// What the decoder says.
pub(super) fn read(bytes: &[u8], turn: Turn) -> Result<Read, String> {
    const CUT: &str = "the file ends before its image does";
    let frames = |image: &DynamicImage| vec![Frame::from(image)];
    let cut = |image: DynamicImage| Read { frames: frames(&image), damage: Some(CUT.to_owned()) };
    match end(bytes) {
        Some(End::Segment(at)) => {
            let kept = [&bytes[..at], &[0xff, 0xd9]].concat();
            still::decoded(&kept, ImageFormat::Jpeg, turn).map(cut).map_err(|error| error.to_string())
        }
        Some(End::Data(Some(scan))) => filled_up(bytes, &scan, turn).map(cut),
        Some(End::Data(None)) => {
            let closed = [bytes, &[0xff, 0xd9]].concat();
            still::decoded(&closed, ImageFormat::Jpeg, turn).map(cut).map_err(|error| error.to_string())
        }
        Some(End::Whole) | None => still::read(bytes, ImageFormat::Jpeg, turn),
    }
}

/// The image of a file that ends in its only scan.
fn filled_up(bytes: &[u8], scan: &Scan, turn: Turn) -> Result<DynamicImage, String> {
    // More than all coefficients of an image can take.
    let bits = (scan.width * scan.height).saturating_mul(12);
    if bits as u64 > MAX_FRAME_BYTES {
        return Err(format!("{}x{} pixels are too large for a file that was cut off", scan.width, scan.height));
    }
    // A mark that was begun is none.
    let data = bytes.strip_suffix(b"\xff").unwrap_or(bytes);
    let longer = [data, &vec![0; bits + 64], &[0xff, 0xd9]].concat();
    let (mut image, orientation) = still::unturned(&longer, ImageFormat::Jpeg).map_err(|error| error.to_string())?;
    match &mut image {
        DynamicImage::ImageLuma8(grey) => scan.each_missing(|x, y| set(grey, x, y, image::Luma([128]))),
        DynamicImage::ImageRgb8(rgb) => scan.each_missing(|x, y| set(rgb, x, y, image::Rgb([128; 3]))),
        _ => {}
    }
    if turn == Turn::Upright {
        image.apply_orientation(orientation);
    }
    Ok(image)
}

fn set<P: image::Pixel>(image: &mut image::ImageBuffer<P, Vec<P::Subpixel>>, x: usize, y: usize, value: P) {
    if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y))
        && let Some(pixel) = image.get_pixel_mut_checked(x, y)
    {
        *pixel = value;
    }
}

/// Walks from marker to marker; `None` where there is none, in a file that is broken otherwise.
fn end(bytes: &[u8]) -> Option<End> {
    let mut tables = Tables::default();
    let mut at = 2;
    loop {
        let Some(&mark) = bytes.get(at) else { return Some(End::Segment(at.min(bytes.len()))) };
        if mark != 0xff {
            return None;
        }
        let Some(&kind) = bytes.get(at + 1) else { return Some(End::Segment(at)) };
        match kind {
            0xff => at += 1,
            0xd9 => return Some(End::Whole),
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => {
                let length = bytes.get(at + 2..at + 4).map(|pair| usize::from(u16::from_be_bytes([pair[0], pair[1]])));
                let Some(segment) = length.and_then(|length| bytes.get(at + 4..at + 2 + length)) else {
                    return Some(End::Segment(at));
                };
                tables.note(kind, segment);
                at += 4 + segment.len();
                if kind == 0xda {
                    match next_mark(bytes, at) {
                        Some(next) => at = next,
                        None => return Some(End::Data(tables.scan(segment, &bytes[at..]))),
                    }
                }
            }
        }
    }
}

/// Where a scan's data end: at a mark that is neither a byte of them nor a restart.
fn next_mark(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        match bytes.get(at + 1)? {
            0 | 0xd0..=0xd7 => at += 2,
            0xff => at += 1,
            _ => return Some(at),
        }
    }
}
