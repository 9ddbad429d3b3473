//! WEBP: an EXIF chunk beside the picture's.

use super::bytes::{little32, part};
use super::exif;
use super::texts::Texts;

pub(super) fn is_it(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")
}

pub(super) fn read(bytes: &[u8], texts: &mut Texts) {
    let mut at = 12;
    while let (Some(kind), Some(length)) = (bytes.get(at..at + 4), little32(bytes, at + 4)) {
        let length = length as usize;
        if kind == b"EXIF" {
            exif::read(part(bytes, at + 8, length), texts);
        }
        // Chunks begin at even places, but some programs forget it.
        let next = at.saturating_add(8).saturating_add(length);
        let odd = length % 2 == 1 && bytes.get(next) == Some(&0);
        at = next.saturating_add(usize::from(odd));
    }
}
