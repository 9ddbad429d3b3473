//! EXIF: tags of text in a TIFF header, where programs write `workflow:{...}` under whichever tag is free, and the
//! user's comment.

use super::bytes::{big16, big32, little16, little32, part, text, utf16};
use super::texts::Texts;

/// The tag that leads to more tags.
const MORE: u16 = 0x8769;
const USER_COMMENT: u16 = 0x9286;
/// So many lists of tags are followed; damaged files lead in circles.
const MOST_LISTS: usize = 8;
/// Text, and bytes of an unsaid kind.
const TEXT: u16 = 2;
const UNDEFINED: u16 = 7;
const UTF8: u16 = 129;

/// A TIFF header and what follows it.
struct Tiff<'b> {
    bytes: &'b [u8],
    big: bool,
}

/// Reads the texts of EXIF data, which may begin with `Exif\0\0`.
pub(super) fn read(data: &[u8], texts: &mut Texts) {
    let bytes = data.strip_prefix(b"Exif\0\0").unwrap_or(data);
    let big = match bytes.first_chunk() {
        Some(b"II*\0") => false,
        Some(b"MM\0*") => true,
        _ => return,
    };
    let tiff = Tiff { bytes, big };
    let mut lists: Vec<usize> = tiff.number32(4).into_iter().map(|at| at as usize).collect();
    let mut done = 0;
    while let Some(at) = lists.get(done).copied().filter(|_| done < MOST_LISTS) {
        done += 1;
        for i in 0..usize::from(tiff.number16(at).unwrap_or_default()) {
            let Some((tag, kind, data)) = tiff.entry(at + 2 + 12 * i) else { break };
            match (tag, kind) {
                (MORE, _) => lists.extend(tiff.number32(at + 2 + 12 * i + 8).map(|at| at as usize)),
                (USER_COMMENT, _) => texts.add_comment(&tiff.comment(data)),
                (_, TEXT | UNDEFINED | UTF8) if data.len() > 4 => texts.add_named(&text(data)),
                _ => {}
            }
        }
    }
}

impl<'b> Tiff<'b> {
    fn number16(&self, at: usize) -> Option<u16> {
        if self.big { big16(self.bytes, at) } else { little16(self.bytes, at) }
    }

    fn number32(&self, at: usize) -> Option<u32> {
        if self.big { big32(self.bytes, at) } else { little32(self.bytes, at) }
    }

    /// Tag, type and data of the entry at a place. Data of other types than text are not looked at.
    fn entry(&self, at: usize) -> Option<(u16, u16, &'b [u8])> {
        let (tag, kind, count) = (self.number16(at)?, self.number16(at + 2)?, self.number32(at + 4)? as usize);
        // Up to four bytes stand in the entry itself.
        let data_at = if count <= 4 { at + 8 } else { self.number32(at + 8)? as usize };
        Some((tag, kind, part(self.bytes, data_at, count)))
    }

    /// A comment says its encoding in its first eight bytes.
    fn comment(&self, data: &[u8]) -> String {
        match data.split_first_chunk::<8>() {
            // Some programs say so of UTF-8.
            Some((b"UNICODE\0", rest @ [1..=127, 1..=127, ..])) => text(rest),
            Some((b"UNICODE\0", rest)) => {
                // Programs write the byte order that they have, whatever the header says: JSON begins with ASCII.
                let big = match rest {
                    [0, _, ..] => true,
                    [_, 0, ..] => false,
                    _ => self.big,
                };
                utf16(rest, big)
            }
            Some((b"ASCII\0\0\0" | [0, 0, 0, 0, 0, 0, 0, 0], rest)) => text(rest),
            _ => text(data),
        }
    }
}
