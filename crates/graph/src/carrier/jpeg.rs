//! JPEG: EXIF and comments in the segments before the picture.

use super::bytes::{big16, part, text};
use super::exif;
use super::texts::{COMMENT, Texts};

pub(super) fn read(bytes: &[u8], texts: &mut Texts) {
    let mut at = 2;
    while let Some(marker) = bytes.get(at..at + 2) {
        match *marker {
            // Fill bytes.
            [0xff, 0xff] => at += 1,
            // Markers without contents.
            [0xff, 0x01 | 0xd0..=0xd8] => at += 2,
            // The picture begins, or ends.
            [0xff, 0xda | 0xd9] => return,
            [0xff, kind] => {
                let Some(length) = big16(bytes, at + 2).filter(|length| *length >= 2) else { return };
                let data = part(bytes, at + 4, usize::from(length) - 2);
                match kind {
                    0xe1 if data.starts_with(b"Exif\0\0") => exif::read(data, texts),
                    0xfe => texts.add(COMMENT, text(data)),
                    _ => {}
                }
                at += 2 + usize::from(length);
            }
            _ => return,
        }
    }
}
