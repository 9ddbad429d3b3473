//! Images from files: png, jpeg, webp, bmp and gif as f32 colours and an optional mask.
//!
//! Turned as their EXIF says. Every frame of an animation becomes one image of a batch. Knows nothing of tensors.

use std::io::Cursor;
use std::path::Path;

use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{AnimationDecoder, ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, ImageResult, Limits};

use super::error::FileError;

/// The most memory one decoded frame may take: 16384 x 16384 pixels of 16 bit RGBA.
const MAX_FRAME_BYTES: u64 = 16384 * 16384 * 8;
/// The most frames of one animation.
const MAX_FRAMES: usize = 4096;

/// Images of equal size.
#[derive(Debug, Clone, PartialEq)]
pub struct Frames {
    /// Number of images, at least one.
    pub count: usize,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `[count, height, width, 3]`, 0 to 1.
    pub rgb: Vec<f32>,
    /// `[count, height, width]`, 1 where the image is transparent; `None` if the file has no opacity.
    pub mask: Option<Vec<f32>>,
}

/// Reads an image file.
///
/// # Errors
/// [`FileError::Io`] if it can't be read, [`FileError::Image`] if it is no image.
pub fn load_image(path: &Path) -> Result<Frames, FileError> {
    let bytes = std::fs::read(path).map_err(|e| FileError::io("read", path, e))?;
    load_image_bytes(&bytes).map_err(|detail| FileError::Image { path: path.to_path_buf(), detail })
}

/// Reads an image from memory; the error is what the decoder says.
///
/// # Errors
/// A sentence, if the bytes are no image of a known kind.
pub fn load_image_bytes(bytes: &[u8]) -> Result<Frames, String> {
    let format = image::guess_format(bytes).map_err(|e| e.to_string())?;
    let frames = match animation(bytes, format).map_err(|e| e.to_string())? {
        Some(frames) => frames,
        None => vec![still(bytes, format).map_err(|e| e.to_string())?],
    };
    gather(&frames)
}

/// One image, turned upright.
fn still(bytes: &[u8], format: ImageFormat) -> ImageResult<DynamicImage> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_FRAME_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// The frames of an animated file, `None` if it holds a single image.
fn animation(bytes: &[u8], format: ImageFormat) -> ImageResult<Option<Vec<DynamicImage>>> {
    let cursor = Cursor::new(bytes);
    let frames = match format {
        ImageFormat::Gif => GifDecoder::new(cursor)?.into_frames(),
        ImageFormat::WebP => {
            let decoder = WebPDecoder::new(cursor)?;
            if !decoder.has_animation() {
                return Ok(None);
            }
            decoder.into_frames()
        }
        ImageFormat::Png => {
            let decoder = PngDecoder::new(cursor)?;
            if !decoder.is_apng()? {
                return Ok(None);
            }
            decoder.apng()?.into_frames()
        }
        _ => return Ok(None),
    };
    let images: Vec<DynamicImage> =
        frames.take(MAX_FRAMES).map(|f| f.map(|f| f.into_buffer().into())).collect::<ImageResult<_>>()?;
    Ok((!images.is_empty()).then_some(images))
}

/// Joins the images that have the first one's size, as ComfyUI does.
fn gather(images: &[DynamicImage]) -> Result<Frames, String> {
    let first = images.first().ok_or("the file holds no image")?;
    let (width, height) = (first.width(), first.height());
    if width == 0 || height == 0 {
        return Err(format!("the image is {width}x{height} pixels"));
    }
    let same: Vec<&DynamicImage> = images.iter().filter(|p| p.width() == width && p.height() == height).collect();
    let has_alpha = same.iter().any(|p| p.color().has_alpha() && !is_opaque_animation(p, images.len()));
    let (mut rgb, mut mask) = (Vec::new(), Vec::new());
    for image in &same {
        append(image, &mut rgb, &mut mask);
    }
    Ok(Frames {
        count: same.len(),
        width: width as usize,
        height: height as usize,
        rgb,
        mask: has_alpha.then_some(mask),
    })
}

/// Decoders give every animation frame an opacity, whether the file has one or not.
fn is_opaque_animation(image: &DynamicImage, frames: usize) -> bool {
    frames > 1 && image.as_rgba8().is_some_and(|p| p.pixels().all(|p| p.0[3] == u8::MAX))
}

fn append(image: &DynamicImage, rgb: &mut Vec<f32>, mask: &mut Vec<f32>) {
    if is_deep(image.color()) {
        let deep = image.to_rgba16();
        for p in deep.pixels() {
            rgb.extend(p.0[..3].iter().map(|v| f32::from(*v) / 65535.0));
            mask.push(1.0 - f32::from(p.0[3]) / 65535.0);
        }
    } else {
        for p in image.to_rgba8().pixels() {
            rgb.extend(p.0[..3].iter().map(|v| f32::from(*v) / 255.0));
            mask.push(1.0 - f32::from(p.0[3]) / 255.0);
        }
    }
}

fn is_deep(colour: ColorType) -> bool {
    colour.bytes_per_pixel() > colour.channel_count()
}
