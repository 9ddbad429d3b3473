//! PNG files with text chunks: how an image carries the graph that made it.
//!
//! Knows bytes of pixels. Knows nothing of tensors or of what the texts say.

use std::io::Cursor;
use std::path::Path;

use indexmap::IndexMap;
use png::{BitDepth, ColorType, DeflateCompression, Filter};

use super::error::FileError;

/// The most text one image may carry: a file that claims more is not read.
const MAX_TEXT_BYTES: usize = 256 << 20;

/// How the bytes of an image are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// One byte per pixel.
    Grey,
    /// Three bytes per pixel.
    Rgb,
    /// Four bytes per pixel, the last one opacity.
    Rgba,
}

impl Colour {
    /// Bytes per pixel.
    pub fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    /// The colour type with that many bytes per pixel.
    pub fn of_channels(channels: usize) -> Option<Self> {
        [Self::Grey, Self::Rgb, Self::Rgba].into_iter().find(|c| c.channels() == channels)
    }
}

/// An image of 8 bits per channel with its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PngImage {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// What the bytes mean.
    pub colour: Colour,
    /// Rows from the top, `width * channels` bytes each.
    pub pixels: Vec<u8>,
    /// Text chunks by keyword, in file order: `prompt`, `workflow`.
    pub texts: IndexMap<String, String>,
}

/// Encodes `image`, its texts before the pixels, with deflate level `compression` (1 fast … 9 small).
///
/// # Errors
/// [`FileError::Encode`] if sizes don't fit together or a text isn't Latin-1.
pub fn write_png(image: &PngImage, compression: u8) -> Result<Vec<u8>, FileError> {
    let error = |detail: String| FileError::Encode { width: image.width, height: image.height, detail };
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, image.width, image.height);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_color(match image.colour {
        Colour::Grey => ColorType::Grayscale,
        Colour::Rgb => ColorType::Rgb,
        Colour::Rgba => ColorType::Rgba,
    });
    encoder.set_filter(Filter::Adaptive);
    encoder.set_deflate_compression(DeflateCompression::Level(compression.clamp(1, 9)));
    for (keyword, text) in &image.texts {
        encoder.add_text_chunk(keyword.clone(), text.clone()).map_err(|e| error(e.to_string()))?;
    }
    let mut writer = encoder.write_header().map_err(|e| error(e.to_string()))?;
    writer.write_image_data(&image.pixels).map_err(|e| error(e.to_string()))?;
    writer.finish().map_err(|e| error(e.to_string()))?;
    Ok(out)
}

/// Reads a PNG file with all its texts (tEXt, zTXt and iTXt). Palettes, 16 bits and grey with opacity are widened or
/// narrowed to the three kinds of [`Colour`].
///
/// # Errors
/// [`FileError::Io`], or [`FileError::Image`] if it is no PNG.
pub fn read_png(path: &Path) -> Result<PngImage, FileError> {
    let bytes = std::fs::read(path).map_err(|e| FileError::io("read", path, e))?;
    decode(&bytes).map_err(|detail| FileError::Image { path: path.to_path_buf(), detail })
}

fn decode(bytes: &[u8]) -> Result<PngImage, String> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let size = reader.output_buffer_size().ok_or("the image is too large")?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(|e| e.to_string())?;
    pixels.truncate(frame.buffer_size());
    reader.finish().map_err(|e| e.to_string())?;
    let (colour, pixels) = match frame.color_type {
        ColorType::Grayscale => (Colour::Grey, pixels),
        ColorType::Rgb => (Colour::Rgb, pixels),
        ColorType::Rgba => (Colour::Rgba, pixels),
        ColorType::GrayscaleAlpha => {
            (Colour::Rgba, pixels.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0], p[1]]).collect())
        }
        ColorType::Indexed => return Err("a palette that was not expanded".to_owned()),
    };
    Ok(PngImage { width: frame.width, height: frame.height, colour, pixels, texts: texts(reader.info())? })
}

fn texts(info: &png::Info<'_>) -> Result<IndexMap<String, String>, String> {
    let mut texts: IndexMap<String, String> =
        info.uncompressed_latin1_text.iter().map(|t| (t.keyword.clone(), t.text.clone())).collect();
    for chunk in &info.compressed_latin1_text {
        let mut chunk = chunk.clone();
        chunk.decompress_text_with_limit(MAX_TEXT_BYTES).map_err(|e| e.to_string())?;
        texts.insert(chunk.keyword.clone(), chunk.get_text().map_err(|e| e.to_string())?);
    }
    for chunk in &info.utf8_text {
        let mut chunk = chunk.clone();
        chunk.decompress_text_with_limit(MAX_TEXT_BYTES).map_err(|e| e.to_string())?;
        texts.insert(chunk.keyword.clone(), chunk.get_text().map_err(|e| e.to_string())?);
    }
    Ok(texts)
}
