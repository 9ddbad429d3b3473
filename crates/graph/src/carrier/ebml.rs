//! WEBM and MKV: tags, each a name and a text.
//!
//! They may stand behind everything else, and what is before them may be of unsaid length; so they are looked for by
//! their sign, and taken where all of a tag fits together.

use memchr::memmem;

use super::bytes::{part, text, until_zero};
use super::texts::Texts;

const TAG: &[u8] = b"\x67\xc8";
const NAME: u32 = 0x45a3;
const TEXT: u32 = 0x4487;

pub(super) fn read(bytes: &[u8], texts: &mut Texts) {
    let mut from = 0;
    for at in memmem::find_iter(bytes, TAG) {
        if at < from {
            continue;
        }
        let Some((size, width)) = size(bytes, at + 2) else { continue };
        let start = at + 2 + width;
        if let Some((name, value)) = tag(part(bytes, start, size)) {
            texts.add(name, value);
            from = start + size;
        }
    }
}

/// Name and text of a tag, if it is made of whole elements.
fn tag(data: &[u8]) -> Option<(String, String)> {
    let (mut name, mut value) = (None, None);
    let mut at = 0;
    while at < data.len() {
        let (id, id_width) = id(data, at)?;
        let (size, width) = size(data, at + id_width)?;
        let start = at + id_width + width;
        let contents = data.get(start..start.checked_add(size)?)?;
        match id {
            NAME => name = Some(text(until_zero(contents).0)),
            TEXT => value = Some(text(until_zero(contents).0)),
            _ => {}
        }
        at = start + size;
    }
    Some((name?, value?))
}

/// An element's number of up to four bytes, and how many they are.
fn id(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let width = bytes.get(at)?.leading_zeros() as usize + 1;
    let number = super::bytes::big(bytes, at, Some(width).filter(|width| *width <= 4)?)?;
    Some((number as u32, width))
}

/// An element's size, and how many bytes say it; `None` for one that is not said.
fn size(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let width = bytes.get(at)?.leading_zeros() as usize + 1;
    let number = super::bytes::big(bytes, at, Some(width).filter(|width| *width <= 8)?)?;
    let size = number & !(1 << (7 * width));
    let unsaid = (1 << (7 * width)) - 1;
    if size == unsaid { None } else { Some((usize::try_from(size).ok()?, width)) }
}
