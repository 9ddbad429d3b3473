//! ICO: the largest image of an icon's file.

use image::ImageFormat;

use super::frame::{Read, Turn};
use super::{png, still};

const HEADER: usize = 6;
const ENTRY: usize = 16;

/// Reads the largest image, the first of equally large ones.
///
/// # Errors
/// What the decoder says of it.
pub(super) fn read(bytes: &[u8], turn: Turn) -> Result<Read, String> {
    let Some(entry) = largest(bytes) else { return still::read(bytes, ImageFormat::Ico, turn) };
    let number = |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]) as usize;
    let (length, start) = (number(8), number(12));
    let end = start.saturating_add(length).min(bytes.len());
    match bytes.get(start..end) {
        Some(image) if image.starts_with(b"\x89PNG") => {
            let Read { frames, damage } = png::read(image, turn)?;
            // What a palette or one colour says of opacity gets lost on the way into an icon, for PIL.
            let has_opacity = matches!(image.get(25), Some(4 | 6));
            let frames = frames.into_iter().map(|frame| if has_opacity { frame } else { frame.opaque() }).collect();
            Ok(Read { frames, damage })
        }
        _ => still::read(&alone(bytes, &entry), ImageFormat::Ico, turn),
    }
}

fn largest(bytes: &[u8]) -> Option<[u8; ENTRY]> {
    let count = usize::from(u16::from_le_bytes(*bytes.get(4..)?.first_chunk()?));
    let side = |byte: u8| if byte == 0 { 256u32 } else { u32::from(byte) };
    let entries = bytes.get(HEADER..)?.as_chunks::<ENTRY>().0;
    let area = |entry: &&[u8; ENTRY]| side(entry[0]) * side(entry[1]);
    entries.iter().take(count).rev().max_by_key(area).copied()
}

/// The file with this entry only: the decoder would prefer one of more colours.
fn alone(bytes: &[u8], entry: &[u8; ENTRY]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[4..HEADER].copy_from_slice(&1u16.to_le_bytes());
    bytes[HEADER..HEADER + ENTRY].copy_from_slice(entry);
    bytes
}
