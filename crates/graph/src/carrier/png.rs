//! PNG: chunks of text before and behind the picture.

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use super::bytes::{big32, part, text, until_zero};
use super::exif;
use super::texts::Texts;

/// A text that unpacks to more than this is none.
const LARGEST: usize = 64 << 20;

pub(super) fn read(bytes: &[u8], texts: &mut Texts) {
    let mut at = 8;
    while let (Some(length), Some(kind)) = (big32(bytes, at), bytes.get(at + 4..at + 8)) {
        let data = part(bytes, at + 8, length as usize);
        match kind {
            // Animated pictures have `comf` behind the first frame, because readers drop other chunks there.
            b"tEXt" | b"comf" => {
                let (name, value) = until_zero(data);
                texts.add(text(name), text(value));
            }
            b"zTXt" => packed(data, texts),
            b"iTXt" => international(data, texts),
            b"eXIf" => exif::read(data, texts),
            b"IEND" => return,
            _ => {}
        }
        at = at.saturating_add(12).saturating_add(length as usize);
    }
}

fn packed(data: &[u8], texts: &mut Texts) {
    let (name, rest) = until_zero(data);
    if let [0, packed @ ..] = rest
        && let Ok(value) = decompress_to_vec_zlib_with_limit(packed, LARGEST)
    {
        texts.add(text(name), text(&value));
    }
}

/// Name, whether it is packed and how, language, translated name, text.
fn international(data: &[u8], texts: &mut Texts) {
    let (name, rest) = until_zero(data);
    let [is_packed, method, rest @ ..] = rest else { return };
    let (_language, rest) = until_zero(rest);
    let (_translated, value) = until_zero(rest);
    match (is_packed, method) {
        (0, _) => texts.add(text(name), text(value)),
        (1, 0) => {
            if let Ok(value) = decompress_to_vec_zlib_with_limit(value, LARGEST) {
                texts.add(text(name), text(&value));
            }
        }
        _ => {}
    }
}
