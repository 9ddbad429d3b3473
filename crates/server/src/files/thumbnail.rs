//! Images in another coding: previews, the colours alone, the transparency alone.
//!
//! Knows bytes and pixels; the size stays as it is.

use std::io::Cursor;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::error::EncodingError;
use image::{
    DynamicImage, ExtendedColorType, ImageEncoder, ImageError, ImageFormat, ImageReader, ImageResult, Limits, RgbaImage,
};
use webp::PixelLayout;

/// The most memory that a decoded image may take.
const MAX_BYTES: u64 = 16384 * 16384 * 4;

/// What is shown of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// WEBP with all channels or with the colours alone, lossy.
    Webp { colours_only: bool, quality: u8 },
    /// JPEG of the colours.
    Jpeg { quality: u8 },
    /// PNG of the colours, transparency dropped.
    Colours,
    /// PNG in RGBA: black with the image's transparency.
    Transparency,
}

impl Coding {
    /// What `preview` and `channel` ask for; `None` for the file as it is.
    pub(crate) fn asked(preview: Option<&str>, channel: &str) -> Option<Self> {
        let Some(preview) = preview else {
            return match channel {
                "rgb" => Some(Self::Colours),
                "a" => Some(Self::Transparency),
                _ => None,
            };
        };
        let mut parts = preview.split(';');
        let jpeg = parts.next() == Some("jpeg") && !channel.contains('a');
        let quality = preview.rsplit(';').next().and_then(|last| last.parse::<u32>().ok()).unwrap_or(90);
        let quality = quality.clamp(1, 100) as u8;
        Some(if jpeg { Self::Jpeg { quality } } else { Self::Webp { colours_only: channel == "rgb", quality } })
    }

    /// The content type of what it makes.
    pub(crate) fn media(self) -> &'static str {
        match self {
            Self::Webp { .. } => "image/webp",
            Self::Jpeg { .. } => "image/jpeg",
            Self::Colours | Self::Transparency => "image/png",
        }
    }

    /// An image file in this coding.
    ///
    /// # Errors
    /// When it can't be read, is no image, or is too large.
    pub(crate) fn of(self, path: &Path) -> ImageResult<Vec<u8>> {
        self.encode(decode(path)?)
    }

    /// An image in memory in this coding.
    ///
    /// # Errors
    /// When it is no image, or is too large.
    pub(crate) fn of_bytes(self, bytes: &[u8]) -> ImageResult<Vec<u8>> {
        self.encode(limited(ImageReader::new(Cursor::new(bytes)))?)
    }

    fn encode(self, image: DynamicImage) -> ImageResult<Vec<u8>> {
        let mut out = Vec::new();
        match self {
            Self::Webp { colours_only, quality } => {
                let with_alpha = !colours_only && image.color().has_alpha();
                let image: DynamicImage = if with_alpha { image.into_rgba8().into() } else { image.into_rgb8().into() };
                out = webp(&image, quality)?;
            }
            Self::Jpeg { quality } => {
                write(JpegEncoder::new_with_quality(&mut out, quality), &image.into_rgb8().into())?;
            }
            Self::Colours => write(PngEncoder::new(&mut out), &image.into_rgb8().into())?,
            Self::Transparency => {
                let mut image = image.into_rgba8();
                image.pixels_mut().for_each(|pixel| pixel.0[..3].fill(0));
                write(PngEncoder::new(&mut out), &image.into())?;
            }
        }
        Ok(out)
    }
}

/// By libwebp's usual settings. Sides of more than 16383 pixels are no WEBP.
fn webp(image: &DynamicImage, quality: u8) -> ImageResult<Vec<u8>> {
    let (width, height) = (image.width(), image.height());
    let layout = if image.color().has_alpha() { PixelLayout::Rgba } else { PixelLayout::Rgb };
    let failed = |why: String| ImageError::Encoding(EncodingError::new(ImageFormat::WebP.into(), why));
    if width == 0 || height == 0 {
        return Err(failed("an image without pixels".into()));
    }
    let encoder = webp::Encoder::new(image.as_bytes(), layout, width, height);
    let encoded = encoder.encode_simple(false, f32::from(quality)).map_err(|error| failed(format!("{error:?}")))?;
    Ok(encoded.to_vec())
}

fn write(encoder: impl ImageEncoder, image: &DynamicImage) -> ImageResult<()> {
    let kind: ExtendedColorType = image.color().into();
    encoder.write_image(image.as_bytes(), image.width(), image.height(), kind)
}

/// An image file, within limits.
///
/// # Errors
/// When it can't be read, is no image, or is too large.
pub(crate) fn decode(path: &Path) -> ImageResult<DynamicImage> {
    limited(ImageReader::open(path)?)
}

/// An image in memory, in four channels.
///
/// # Errors
/// When it is no image or is too large.
pub(crate) fn decode_bytes(bytes: &[u8]) -> Result<RgbaImage, ImageError> {
    Ok(limited(ImageReader::new(Cursor::new(bytes)))?.into_rgba8())
}

fn limited<R: std::io::BufRead + std::io::Seek>(mut reader: ImageReader<R>) -> ImageResult<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    reader.with_guessed_format()?.decode()
}

#[cfg(test)]
mod tests {
    use super::Coding::{self, Colours, Jpeg, Transparency, Webp};

    #[test]
    fn queries_are_read_as_comfyui_reads_them() {
        let asked = |preview, channel| Coding::asked(preview, channel);
        assert_eq!(asked(None, ""), None);
        assert_eq!(asked(None, "rgba"), None);
        assert_eq!(asked(None, "rgb"), Some(Colours));
        assert_eq!(asked(None, "a"), Some(Transparency));
        assert_eq!(asked(Some("webp;75"), "rgba"), Some(Webp { colours_only: false, quality: 75 }));
        assert_eq!(asked(Some("bmp"), "rgb"), Some(Webp { colours_only: true, quality: 90 }));
        assert_eq!(asked(Some("jpeg;50"), ""), Some(Jpeg { quality: 50 }));
        assert_eq!(asked(Some("jpeg"), "rgb"), Some(Jpeg { quality: 90 }));
        assert_eq!(asked(Some("jpeg;50"), "rgba"), Some(Webp { colours_only: false, quality: 50 }));
    }
}
