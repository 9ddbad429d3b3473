//! EXIF that carries texts: a TIFF directory of one text per tag, `keyword:text` each, as ComfyUI writes it.

use indexmap::IndexMap;

/// The prompt stands in the tag for a camera's model.
const MODEL: u16 = 0x0110;
/// The other texts stand in the tags from a camera's maker down.
const MAKER: u16 = 0x010f;
/// The type of a text.
const ASCII: u16 = 2;
const HEADER: &[u8] = b"II*\0\x08\0\0\0";
const ENTRY: usize = 12;

/// The content of an EXIF block, `None` without texts or when they are longer than such a block can be.
pub(super) fn exif(texts: &IndexMap<String, String>) -> Option<Vec<u8>> {
    let entries = entries(texts);
    if entries.is_empty() {
        return None;
    }
    let mut directory = HEADER.to_vec();
    directory.extend(u16::try_from(entries.len()).ok()?.to_le_bytes());
    // The texts stand behind the directory and the place of a next one.
    let mut data = Vec::new();
    let first = directory.len() + entries.len() * ENTRY + 4;
    for (tag, text) in entries {
        let length = u32::try_from(text.len()).ok()?;
        directory.extend(tag.to_le_bytes());
        directory.extend(ASCII.to_le_bytes());
        directory.extend(length.to_le_bytes());
        if text.len() <= 4 {
            directory.extend(text.iter().copied().chain([0; 4]).take(4));
        } else {
            directory.extend(u32::try_from(first + data.len()).ok()?.to_le_bytes());
            data.extend(text);
            data.resize(data.len().next_multiple_of(2), 0);
        }
    }
    directory.extend(0u32.to_le_bytes());
    Some([b"Exif\0\0", directory.as_slice(), &data].concat())
}

/// Tags and their texts, tags rising.
fn entries(texts: &IndexMap<String, String>) -> Vec<(u16, Vec<u8>)> {
    let text = |keyword: &str, text: &str| format!("{keyword}:{text}\0").into_bytes();
    let others = texts.iter().filter(|(keyword, _)| *keyword != "prompt");
    let mut entries: Vec<(u16, Vec<u8>)> =
        others.zip((0..=MAKER).rev()).map(|((keyword, value), tag)| (tag, text(keyword, value))).collect();
    entries.reverse();
    entries.extend(texts.get("prompt").map(|value| (MODEL, text("prompt", value))));
    entries
}
