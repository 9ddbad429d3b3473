//! Bytes that should be text, as UTF-8: byte order marks, UTF-16, UTF-32.
//!
//! Knows of JSON only that it begins with a character of ASCII, which tells the encodings apart without a mark.

use std::borrow::Cow;

#[derive(Clone, Copy)]
enum Encoding {
    Utf16(fn([u8; 2]) -> u16),
    Utf32(fn([u8; 4]) -> u32),
}

/// The text as UTF-8 without a byte order mark. Bytes of neither encoding come back as they are; what is no character
/// in UTF-16 or UTF-32 becomes the replacement character.
pub(crate) fn utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return rest.into();
    }
    match encoding(bytes) {
        None => bytes.into(),
        Some((rest, encoding)) => decoded(rest, encoding).into_bytes().into(),
    }
}

/// The encoding, and the bytes behind its mark.
fn encoding(bytes: &[u8]) -> Option<(&[u8], Encoding)> {
    let marked = |mark: &[u8], encoding| bytes.strip_prefix(mark).map(|rest| (rest, encoding));
    let (little16, big16) = (Encoding::Utf16(u16::from_le_bytes), Encoding::Utf16(u16::from_be_bytes));
    let (little32, big32) = (Encoding::Utf32(u32::from_le_bytes), Encoding::Utf32(u32::from_be_bytes));
    // The mark of UTF-32 begins with that of UTF-16.
    marked(b"\xff\xfe\0\0", little32)
        .or(marked(b"\0\0\xfe\xff", big32))
        .or(marked(b"\xff\xfe", little16))
        .or(marked(b"\xfe\xff", big16))
        .or(match bytes {
            [1..=255, 0, 0, 0, ..] => Some((bytes, little32)),
            [0, 0, 0, 1..=255, ..] => Some((bytes, big32)),
            [1..=255, 0, 1..=255, 0, ..] => Some((bytes, little16)),
            [0, 1..=255, 0, 1..=255, ..] => Some((bytes, big16)),
            _ => None,
        })
}

fn decoded(bytes: &[u8], encoding: Encoding) -> String {
    const UNKNOWN: char = char::REPLACEMENT_CHARACTER;
    let (mut text, rest): (String, usize) = match encoding {
        Encoding::Utf16(unit) => {
            let (units, rest) = bytes.as_chunks::<2>();
            let characters = char::decode_utf16(units.iter().map(|bytes| unit(*bytes)));
            (characters.map(|character| character.unwrap_or(UNKNOWN)).collect(), rest.len())
        }
        Encoding::Utf32(unit) => {
            let (units, rest) = bytes.as_chunks::<4>();
            let characters = units.iter().map(|bytes| char::from_u32(unit(*bytes)).unwrap_or(UNKNOWN));
            (characters.collect(), rest.len())
        }
    };
    if rest > 0 {
        text.push(UNKNOWN);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::utf8;

    #[test]
    fn every_encoding_of_a_text_with_or_without_mark_is_the_same_text() {
        let text = "{\"é\": \"日本 😀\"}";
        let utf16: Vec<u16> = text.encode_utf16().collect();
        let little16: Vec<u8> = utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big16: Vec<u8> = utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let little32: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        let big32: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        let marks: [(&[u8], &[u8]); 5] = [
            (b"\xef\xbb\xbf", text.as_bytes()),
            (b"\xff\xfe", &little16),
            (b"\xfe\xff", &big16),
            (b"\xff\xfe\0\0", &little32),
            (b"\0\0\xfe\xff", &big32),
        ];
        for (mark, bytes) in marks {
            assert_eq!(utf8(bytes), text.as_bytes(), "{mark:?}");
            assert_eq!(utf8(&[mark, bytes].concat()), text.as_bytes(), "{mark:?} written");
        }
    }

    #[test]
    fn what_is_cut_in_the_middle_of_a_character_ends_in_a_replacement() {
        assert_eq!(utf8(b"\xff\xfe{\0}"), "{\u{fffd}".as_bytes());
        assert_eq!(utf8(b"\xff\xfe{\0\x3d\xd8"), "{\u{fffd}".as_bytes(), "half of a pair");
    }

    #[test]
    fn other_bytes_stay() {
        for bytes in [&b""[..], b"{}", b"\0", b"\xff", b"\xff\xd8\xff", b"{\0", b"\x89PNG\r\n"] {
            assert_eq!(utf8(bytes), bytes);
        }
    }
}
