//! JSON and XML in front of other data: safetensors, GLB, SVG.

use serde_json::Value;

use super::bytes::{little32, part, text};
use super::texts::{COMMENT, Texts};

/// No header is longer.
const LONGEST: u64 = 100 << 20;

/// How long a safetensors file is up to the end of its header, if it is one: a length, then an object.
pub(super) fn safetensors_header(head: &[u8]) -> Option<u64> {
    let length = u64::from_le_bytes(*head.first_chunk()?);
    let object = head.get(8) == Some(&b'{') && matches!(head.get(9), Some(b'"' | b'}' | b' ' | b'\n' | b'\r' | b'\t'));
    (object && (2..=LONGEST).contains(&length)).then_some(length + 8)
}

pub(super) fn is_safetensors(bytes: &[u8]) -> bool {
    safetensors_header(bytes).is_some()
}

/// The header's `__metadata__`.
pub(super) fn read_safetensors(bytes: &[u8], texts: &mut Texts) {
    let end = safetensors_header(bytes).and_then(|end| usize::try_from(end).ok()).unwrap_or_default();
    let header = part(bytes, 8, end.saturating_sub(8));
    let header: Value = serde_json::from_slice(header).unwrap_or_default();
    add_all(header.get("__metadata__"), texts);
}

/// The extras of the asset, in the chunk of JSON.
pub(super) fn read_glb(bytes: &[u8], texts: &mut Texts) {
    let length = little32(bytes, 12).unwrap_or_default();
    if bytes.get(16..20) == Some(b"JSON") {
        let json: Value = serde_json::from_slice(part(bytes, 20, length as usize)).unwrap_or_default();
        add_all(json.pointer("/asset/extras"), texts);
        add_all(json.pointer("/extras"), texts);
    }
}

/// Every text of an object; other values are JSON.
fn add_all(object: Option<&Value>, texts: &mut Texts) {
    for (name, value) in object.and_then(Value::as_object).into_iter().flatten() {
        texts.add(name.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
}

pub(super) fn is_svg(bytes: &[u8]) -> bool {
    let start = part(bytes, 0, 1024);
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    text.starts_with(b"<") && memchr::memmem::find(text, b"<svg").is_some()
}

/// What stands in `<metadata><![CDATA[...]]></metadata>`.
pub(super) fn read_svg(bytes: &[u8], texts: &mut Texts) {
    let text = text(bytes);
    let Some(metadata) = text.split("<metadata").nth(1).and_then(|rest| rest.split("</metadata>").next()) else {
        return;
    };
    for data in metadata.split("<![CDATA[").skip(1).filter_map(|rest| rest.split("]]>").next()) {
        texts.add(COMMENT, data);
    }
}
