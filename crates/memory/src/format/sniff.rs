//! What a file that is no weight file looks like. Knows first bytes only.

const MAGIC: [(&[u8], &str); 22] = [
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"RIFF", "a WebP or WAV file"),
    (b"GIF8", "a GIF image"),
    (b"\x89HDF", "an HDF5 file (a Keras model?)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"%PDF", "a PDF document"),
    (b"version https://git-lfs", "a Git LFS pointer (the file itself was not fetched: git lfs pull)"),
    (b"<!DOCTYPE", "a web page (a download that needed a login?)"),
    (b"<html", "a web page (a download that needed a login?)"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"lmgg", "a GGML file of before GGUF (convert it to .gguf)"),
    (b"fmgg", "a GGML file of before GGUF (convert it to .gguf)"),
    (b"tjgg", "a GGML file of before GGUF (convert it to .gguf)"),
    (b"FUGG", "a GGUF file for big-endian machines"),
    (b"SQLite format 3", "a database"),
];

/// What these first bytes of a file are, when they are known to be no weight file.
pub(crate) fn foreign(head: &[u8]) -> Option<&'static str> {
    if head.is_empty() {
        return Some("an empty file");
    }
    let known = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what);
    known.or_else(|| looks_like_tar(head)).or_else(|| looks_like_onnx(head)).or_else(|| looks_like_text(head))
}

fn looks_like_tar(head: &[u8]) -> Option<&'static str> {
    let tar = head.get(257..262) == Some(b"ustar");
    tar.then_some("a tar archive (a PyTorch file of before 2017? load it with torch and save it again)")
}

/// An ONNX model is a protobuf message: a small version as its first field, then one of its other fields.
fn looks_like_onnx(head: &[u8]) -> Option<&'static str> {
    const FIELDS: [u8; 7] = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42];
    let message = matches!(head, [0x08, 1..=0x20, field, ..] if FIELDS.contains(field));
    message.then_some("an ONNX model (its network is needed as .safetensors)")
}

/// A safetensors file starts with a length, whose upper bytes are zero; text has no zeros.
fn looks_like_text(head: &[u8]) -> Option<&'static str> {
    let sample = &head[..head.len().min(256)];
    if sample.iter().any(|b| *b < 9) {
        return None;
    }
    let valid = match std::str::from_utf8(sample) {
        Ok(_) => true,
        Err(e) => e.error_len().is_none(),
    };
    match sample.first() {
        _ if !valid => None,
        Some(b'{' | b'[') => Some("a JSON file"),
        _ => Some("a text file"),
    }
}
