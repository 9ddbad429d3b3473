//! Content types by file name endings; what a browser could run is sent as plain bytes.

use std::path::Path;

/// For everything that has no type of its own, or must not be run.
pub(crate) const BYTES: &str = "application/octet-stream";

/// The type of a file that users or graphs made.
pub(crate) fn of_made(path: &Path) -> &'static str {
    if is_active(path) { BYTES } else { of(path) }
}

/// Whether a browser could run what is in the file.
pub(crate) fn is_active(path: &Path) -> bool {
    let active = [
        "text/html",
        "application/xhtml+xml",
        "application/javascript; charset=utf-8",
        "text/css",
        "application/xml",
        "image/svg+xml",
    ];
    active.contains(&of(path))
}

/// The type of a file.
pub(crate) fn of(path: &Path) -> &'static str {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "bmp" => "image/bmp",
        "avif" => "image/avif",
        "ico" => "image/vnd.microsoft.icon",
        "tif" | "tiff" => "image/tiff",
        "svg" => "image/svg+xml",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mkv" => "video/x-matroska",
        "mov" => "video/quicktime",
        "flac" => "audio/flac",
        "mp3" => "audio/mpeg",
        "wav" => "audio/x-wav",
        "ogg" | "opus" => "audio/ogg",
        "m4a" => "audio/mp4",
        "json" => "application/json",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "glb" => "model/gltf-binary",
        "gltf" => "model/gltf+json",
        "html" | "htm" => "text/html",
        "xhtml" => "application/xhtml+xml",
        "js" | "mjs" => "application/javascript; charset=utf-8",
        "css" => "text/css",
        "xml" => "application/xml",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "wasm" => "application/wasm",
        _ => BYTES,
    }
}
