//! Files that carry a graph besides what they are: images, videos, sounds, latents. Bytes in, JSON text out.
//!
//! Each format is read as far as its texts go: no picture is decoded, nothing is copied that is no text, and what is
//! damaged ends the search, not the program. Knows no graph: what the texts say is [`crate::Document`]'s matter.
//!
//! | file | where the texts are |
//! |---|---|
//! | `png` | `tEXt`, `zTXt`, `iTXt`, `comf` (animated ones) and `eXIf` chunks |
//! | `jpeg`, `webp` | EXIF; comments |
//! | `exif` | tags of text, `key:json`, and the user's comment |
//! | `boxes` | MP4, MOV, M4V: metadata by key, comments; AVIF, HEIC: EXIF |
//! | `ebml` | WEBM, MKV: tags |
//! | `sound` | FLAC, Ogg, Opus: comments; MP3: ID3 |
//! | `headers` | safetensors: `__metadata__`; GLB: the extras of its asset; SVG: its metadata |

mod boxes;
mod bytes;
mod ebml;
mod exif;
mod headers;
mod jpeg;
mod png;
mod sound;
mod texts;
mod webp;

pub(crate) use self::texts::Carried;

use self::texts::Texts;

/// How a format is told, what it is called and how its texts are found.
struct Format {
    name: &'static str,
    is_it: fn(&[u8]) -> bool,
    read: fn(&[u8], &mut Texts),
}

const FORMATS: &[Format] = &[
    Format { name: "a PNG image", is_it: |bytes| bytes.starts_with(b"\x89PNG\r\n\x1a\n"), read: png::read },
    Format { name: "a JPEG image", is_it: |bytes| bytes.starts_with(b"\xff\xd8\xff"), read: jpeg::read },
    Format { name: "a WEBP image", is_it: webp::is_it, read: webp::read },
    Format { name: "an AVIF or HEIC image", is_it: boxes::is_image, read: boxes::read_image },
    Format { name: "a video", is_it: boxes::is_video, read: boxes::read_video },
    Format { name: "a video", is_it: |bytes| bytes.starts_with(b"\x1a\x45\xdf\xa3"), read: ebml::read },
    Format { name: "a FLAC sound", is_it: |bytes| bytes.starts_with(b"fLaC"), read: sound::read_flac },
    Format { name: "an Ogg sound", is_it: |bytes| bytes.starts_with(b"OggS"), read: sound::read_ogg },
    Format { name: "an MP3 sound", is_it: |bytes| bytes.starts_with(b"ID3"), read: sound::read_id3 },
    Format { name: "a safetensors file", is_it: headers::is_safetensors, read: headers::read_safetensors },
    Format { name: "a GLB model", is_it: |bytes| bytes.starts_with(b"glTF"), read: headers::read_glb },
    Format { name: "an SVG image", is_it: headers::is_svg, read: headers::read_svg },
];

/// What a file carries, if it is of a kind that carries graphs; `None` for everything else, JSON above all.
pub(crate) fn read(bytes: &[u8]) -> Option<Carried> {
    let format = FORMATS.iter().find(|format| (format.is_it)(bytes))?;
    let mut texts = Texts::default();
    (format.read)(bytes, &mut texts);
    Some(texts.settle(format.name))
}

/// How much of a file is enough to read what it carries, from its first 16 bytes: models may be larger than memory.
/// `None` where all of it may matter.
pub fn enough(head: &[u8]) -> Option<u64> {
    headers::safetensors_header(head)
}
