//! Sounds: FLAC and Ogg (Vorbis, Opus) with their comments, MP3 with its ID3 tag.

use std::borrow::Cow;

use super::bytes::{big32, little32, part, text, until_zero, utf16};
use super::texts::{COMMENT, Texts};

/// The frame that holds a text with a name of one's own.
const OWN_TEXT: &[u8] = b"TX\x58X";
/// The comments of an Ogg file are no larger than this.
const LARGEST: usize = 64 << 20;

pub(super) fn read_flac(bytes: &[u8], texts: &mut Texts) {
    let mut at = 4;
    while let Some(head) = big32(bytes, at) {
        let (last, kind, length) = (head >> 31 == 1, head >> 24 & 127, (head & 0xff_ffff) as usize);
        if kind == 4 {
            comments(part(bytes, at + 4, length), texts);
        }
        if last {
            return;
        }
        at += 4 + length;
    }
}

/// Comments as Vorbis has them: who wrote it, then `NAME=text`, each with its length before it.
fn comments(data: &[u8], texts: &mut Texts) {
    let Some(writer) = little32(data, 0) else { return };
    let mut at = 4_usize.saturating_add(writer as usize);
    let count = little32(data, at).unwrap_or_default();
    at = at.saturating_add(4);
    for _ in 0..count {
        let Some(length) = little32(data, at) else { return };
        let comment = part(data, at + 4, length as usize);
        if let Some(equals) = memchr::memchr(b'=', comment) {
            texts.add(text(&comment[..equals]), text(&comment[equals + 1..]));
        }
        at = at.saturating_add(4).saturating_add(length as usize);
    }
}

/// The comments are the packet that begins with their sign; a packet may be spread over pages.
pub(super) fn read_ogg(bytes: &[u8], texts: &mut Texts) {
    let mut packet: Vec<u8> = Vec::new();
    let mut at = 0;
    while bytes.get(at..at + 4) == Some(b"OggS") {
        let count = usize::from(bytes.get(at + 26).copied().unwrap_or_default());
        let lengths = part(bytes, at + 27, count);
        let mut from = at + 27 + count;
        for length in lengths {
            packet.extend_from_slice(part(bytes, from, usize::from(*length)));
            from += usize::from(*length);
            // A shorter piece is a packet's last.
            if *length < 255 || packet.len() > LARGEST {
                let found = [&b"OpusTags"[..], b"\x03vorbis"].into_iter().find_map(|sign| packet.strip_prefix(sign));
                if let Some(found) = found {
                    return comments(found, texts);
                }
                packet.clear();
            }
        }
        at = from;
    }
}

pub(super) fn read_id3(bytes: &[u8], texts: &mut Texts) {
    let (Some(version), Some(flags)) = (bytes.get(3).copied(), bytes.get(5).copied()) else { return };
    let Some(size) = seven_bits(bytes, 6).filter(|_| matches!(version, 3 | 4)) else { return };
    let tag = part(bytes, 10, size);
    // Some writers put a zero behind every 255, so that no player takes it for sound.
    let tag = if flags & 0x80 != 0 && version == 3 { Cow::from(joined(tag)) } else { Cow::from(tag) };
    let mut at = 0;
    if flags & 0x40 != 0 {
        let extended = if version == 4 { seven_bits(&tag, 0) } else { big32(&tag, 0).map(|size| size as usize + 4) };
        at = extended.unwrap_or_default();
    }
    while let Some(kind) = tag.get(at..at + 4).filter(|kind| kind[0] != 0) {
        let size = if version == 4 { seven_bits(&tag, at + 4) } else { big32(&tag, at + 4).map(|size| size as usize) };
        let Some(size) = size else { return };
        let data = part(&tag, at + 10, size);
        match kind {
            OWN_TEXT => described(data, texts),
            // A language stands before the description.
            b"COMM" if data.len() > 4 => described(&[&data[..1], &data[4..]].concat(), texts),
            _ => {}
        }
        at = at.saturating_add(10).saturating_add(size);
    }
}

/// Encoding, description, text.
fn described(data: &[u8], texts: &mut Texts) {
    let Some((encoding, rest)) = data.split_first() else { return };
    let (name, value) = match encoding {
        1 | 2 => {
            let whole = utf16(rest, *encoding == 2);
            let (name, value) = whole.split_once('\0').unwrap_or(("", &whole));
            (name.to_owned(), value.trim_start_matches('\u{feff}').to_owned())
        }
        _ => {
            let (name, value) = until_zero(rest);
            (text(name), text(value))
        }
    };
    texts.add(if name.is_empty() { COMMENT.to_owned() } else { name }, value);
}

/// Four bytes of seven bits each as a number.
fn seven_bits(bytes: &[u8], at: usize) -> Option<usize> {
    let number = big32(bytes, at)?;
    let part = |shift: u32| (number >> (8 * shift) & 127) << (7 * shift);
    Some((part(3) | part(2) | part(1) | part(0)) as usize)
}

/// Without the zeros that stand behind every 255.
fn joined(bytes: &[u8]) -> Vec<u8> {
    let zero = |(at, byte): (usize, &u8)| (*byte != 0 || at == 0 || bytes[at - 1] != 255).then_some(*byte);
    bytes.iter().enumerate().filter_map(zero).collect()
}
