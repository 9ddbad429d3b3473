//! Numbers and parts out of bytes that may end anywhere.

/// The bytes from `at` on, as many as there are, at most `length`.
pub(super) fn part(bytes: &[u8], at: usize, length: usize) -> &[u8] {
    let rest = bytes.get(at..).unwrap_or_default();
    &rest[..length.min(rest.len())]
}

/// Four bytes as a number, the highest first.
pub(super) fn big32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Four bytes as a number, the lowest first.
pub(super) fn little32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Two bytes as a number, the highest first.
pub(super) fn big16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Two bytes as a number, the lowest first.
pub(super) fn little16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A number of 0 to 8 bytes, the highest first.
pub(super) fn big(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let part = bytes.get(at..at.checked_add(length)?).filter(|part| part.len() <= 8)?;
    Some(part.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// What stands before the first zero, and what behind it.
pub(super) fn until_zero(bytes: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(0, bytes) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

/// Text that should be UTF-8, and is Latin-1 where it is not.
pub(super) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Text in UTF-16, with a byte order mark, else with the highest byte first if `big`.
pub(super) fn utf16(bytes: &[u8], big: bool) -> String {
    let (bytes, big) = match bytes {
        [0xff, 0xfe, rest @ ..] => (rest, false),
        [0xfe, 0xff, rest @ ..] => (rest, true),
        _ => (bytes, big),
    };
    let unit = if big { u16::from_be_bytes } else { u16::from_le_bytes };
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
