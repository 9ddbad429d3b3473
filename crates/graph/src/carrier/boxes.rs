//! Boxes within boxes: MP4, MOV and M4V, whose metadata have keys; AVIF and HEIC, which hold EXIF.

use super::bytes::{big, big16, big32, part, text};
use super::exif;
use super::texts::{COMMENT, Texts};

/// A box: its name and its contents, which may be cut.
struct Box<'b> {
    name: [u8; 4],
    data: &'b [u8],
}

/// The boxes of a level, as far as they can be told apart.
struct Boxes<'b>(&'b [u8]);

impl<'b> Iterator for Boxes<'b> {
    type Item = Box<'b>;

    fn next(&mut self) -> Option<Box<'b>> {
        let bytes = self.0;
        let (size, name) = (big32(bytes, 0)?, *bytes.get(4..)?.first_chunk()?);
        let (header, size) = match size {
            // To the end.
            0 => (8, bytes.len()),
            1 => (16, usize::try_from(big(bytes, 8, 8)?).ok()?),
            size => (8, size as usize),
        };
        let length = size.checked_sub(header)?;
        self.0 = bytes.get(size..).unwrap_or_default();
        Some(Box { name, data: part(bytes, header, length) })
    }
}

/// The contents of the first box of that name.
fn inside(bytes: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    Boxes(bytes).find(|found| found.name == name).map(|found| found.data)
}

/// Behind version and flags, which a `meta` of QuickTime's does not have.
fn meta_contents(meta: &[u8]) -> &[u8] {
    let plain = meta.get(4..8).is_some_and(|name| matches!(name, b"hdlr" | b"keys" | b"ilst" | b"mhdr"));
    if plain { meta } else { meta.get(4..).unwrap_or_default() }
}

fn brand(bytes: &[u8]) -> Option<&[u8]> {
    (bytes.get(4..8)? == b"ftyp").then(|| part(bytes, 8, 4))
}

pub(super) fn is_image(bytes: &[u8]) -> bool {
    const IMAGES: [&[u8]; 8] = [b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix", b"hevc", b"heim"];
    brand(bytes).is_some_and(|brand| IMAGES.contains(&brand))
}

pub(super) fn is_video(bytes: &[u8]) -> bool {
    // Old files of QuickTime's begin with anything.
    let first = bytes.get(4..8);
    first.is_some_and(|name| matches!(name, b"ftyp" | b"moov" | b"wide" | b"mdat")) && !is_image(bytes)
}

pub(super) fn read_video(bytes: &[u8], texts: &mut Texts) {
    let movie = inside(bytes, *b"moov").unwrap_or_default();
    for level in [movie, bytes] {
        if let Some(user) = inside(level, *b"udta") {
            read_user_data(user, texts);
        }
        if let Some(meta) = inside(level, *b"meta") {
            read_meta(meta_contents(meta), texts);
        }
    }
}

/// Old comments of QuickTime's, and a `meta`.
fn read_user_data(user: &[u8], texts: &mut Texts) {
    for found in Boxes(user) {
        match &found.name {
            b"meta" => read_meta(meta_contents(found.data), texts),
            // Length, language, text.
            b"\xa9cmt" | b"\xa9des" => {
                let length = usize::from(big16(found.data, 0).unwrap_or_default());
                texts.add(COMMENT, text(part(found.data, 4, length)));
            }
            _ => {}
        }
    }
}

/// Values by the number of their key, or by names of four letters.
fn read_meta(meta: &[u8], texts: &mut Texts) {
    let keys = inside(meta, *b"keys").map(keys).unwrap_or_default();
    for item in Boxes(inside(meta, *b"ilst").unwrap_or_default()) {
        // Kind and locale of the value stand before it.
        let Some(value) = inside(item.data, *b"data").and_then(|data| data.get(8..)) else { continue };
        let key = (u32::from_be_bytes(item.name) as usize).checked_sub(1).and_then(|at| keys.get(at));
        match (key, &item.name) {
            (Some(key), _) => texts.add(key.as_str(), text(value)),
            (None, b"\xa9cmt" | b"desc" | b"ldes" | b"\xa9des") => texts.add(COMMENT, text(value)),
            (None, b"----") => {
                let name = inside(item.data, *b"name").and_then(|name| name.get(4..)).unwrap_or_default();
                texts.add(text(name), text(value));
            }
            _ => {}
        }
    }
}

/// The keys: number, then size, name space and name of each.
fn keys(keys: &[u8]) -> Vec<String> {
    Boxes(keys.get(8..).unwrap_or_default()).map(|key| text(key.data)).collect()
}

pub(super) fn read_image(bytes: &[u8], texts: &mut Texts) {
    let Some(meta) = inside(bytes, *b"meta").and_then(|meta| meta.get(4..)) else { return };
    let items = inside(meta, *b"iinf").map(exif_items).unwrap_or_default();
    for (offset, length) in inside(meta, *b"iloc").map(|places| extents(places, &items)).unwrap_or_default() {
        let data = part(bytes, offset, length);
        // Where the TIFF header begins stands in front of it; programs differ in what they count.
        let header = memchr::memmem::find(data, b"II*\0").or_else(|| memchr::memmem::find(data, b"MM\0*"));
        exif::read(part(data, header.unwrap_or_default(), data.len()), texts);
    }
}

/// The numbers of the items that are EXIF.
fn exif_items(items: &[u8]) -> Vec<u64> {
    let entries = if items.first() == Some(&0) { 6 } else { 8 };
    let item = |entry: Box<'_>| {
        let width = match entry.data.first()? {
            2 => 2,
            3 => 4,
            _ => return None,
        };
        let is_exif = entry.data.get(4 + width + 2..4 + width + 6)? == b"Exif";
        big(entry.data, 4, width).filter(|_| is_exif)
    };
    Boxes(items.get(entries..).unwrap_or_default()).filter_map(item).collect()
}

/// Where the wanted items lie in the file: the first part of each.
fn extents(places: &[u8], wanted: &[u64]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let _ = (|| {
        let version = *places.first()?;
        let sizes = big16(places, 4)?;
        let [offset, length, base, index] = [12, 8, 4, 0].map(|shift| usize::from(sizes >> shift & 15));
        let index = if version == 0 { 0 } else { index };
        let wide = if version < 2 { 2 } else { 4 };
        let count = big(places, 6, wide)?;
        let mut at = 6 + wide;
        let mut number = |width: usize| {
            let number = big(places, at, width)?;
            at += width;
            Some(number)
        };
        for _ in 0..count {
            let id = number(wide)?;
            if version > 0 {
                number(2)?;
            }
            number(2)?;
            let from = number(base)?;
            for part in 0..number(2)? {
                number(index)?;
                let (at, long) = (from.checked_add(number(offset)?)?, number(length)?);
                if part == 0 && wanted.contains(&id) {
                    found.push((usize::try_from(at).ok()?, usize::try_from(long).ok()?));
                }
            }
        }
        Some(())
    })();
    found
}
