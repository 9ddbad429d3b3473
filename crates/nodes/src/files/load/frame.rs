//! One image of a file, decoded.

use image::{ColorType, DynamicImage};

/// The most memory one decoded frame may take: 16384 x 16384 pixels of 16 bit RGBA.
pub(super) const MAX_FRAME_BYTES: u64 = 16384 * 16384 * BYTES_PER_PIXEL;
/// What a pixel of 16 bit RGBA takes.
pub(super) const BYTES_PER_PIXEL: u64 = 8;
/// The most frames of one animation.
const MAX_FRAMES: usize = 4096;

/// Whether an image is turned as its EXIF says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Upright,
    AsStored,
}

/// What a file gave.
pub(super) struct Read {
    pub(super) frames: Vec<Frame>,
    /// Why that is not all of it.
    pub(super) damage: Option<String>,
}

/// One image.
pub(super) struct Frame {
    width: usize,
    height: usize,
    /// `[height, width, 3]`, 0 to 1.
    pub(super) rgb: Vec<f32>,
    /// `[height, width]`, 1 where it is transparent, if it has opacity.
    pub(super) mask: Option<Vec<f32>>,
    /// The same where it has but one transparent colour.
    pub(super) key: Option<Vec<f32>>,
}

impl Read {
    /// A file that was read to its end.
    pub(super) fn whole(frames: Vec<Frame>) -> Self {
        Self { frames, damage: None }
    }
}

impl Frame {
    /// From four bytes a pixel; the opacity counts if the file has one.
    pub(super) fn of_rgba(width: usize, height: usize, rgba: &[[u8; 4]], has_alpha: bool) -> Self {
        let rgb = rgba.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).map(|v| f32::from(v) / 255.0).collect();
        let mask = has_alpha.then(|| rgba.iter().map(|[.., a]| 1.0 - f32::from(*a) / 255.0).collect());
        Self { width, height, rgb, mask, key: None }
    }

    pub(super) fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// The same without opacity.
    pub(super) fn opaque(self) -> Self {
        Self { mask: None, ..self }
    }

    /// The same with its opacity as that of one transparent colour, which programs don't count as opacity.
    pub(super) fn keyed(self) -> Self {
        Self { key: self.mask, mask: None, ..self }
    }
}

impl From<&DynamicImage> for Frame {
    fn from(image: &DynamicImage) -> Self {
        let colour = image.color();
        let pixels = image.width() as usize * image.height() as usize;
        let (mut rgb, mut mask) = (Vec::with_capacity(pixels * 3), Vec::with_capacity(pixels));
        if is_deep(colour) {
            for p in image.to_rgba16().pixels() {
                rgb.extend(p.0[..3].iter().map(|v| f32::from(*v) / 65535.0));
                mask.push(1.0 - f32::from(p.0[3]) / 65535.0);
            }
        } else {
            for p in image.to_rgba8().pixels() {
                rgb.extend(p.0[..3].iter().map(|v| f32::from(*v) / 255.0));
                mask.push(1.0 - f32::from(p.0[3]) / 255.0);
            }
        }
        let (width, height) = (image.width() as usize, image.height() as usize);
        Self { width, height, rgb, mask: colour.has_alpha().then_some(mask), key: None }
    }
}

fn is_deep(colour: ColorType) -> bool {
    colour.bytes_per_pixel() > colour.channel_count()
}

/// Whether so many frames of a size may be held.
pub(super) fn check_room(frames: usize, width: usize, height: usize) -> Result<(), String> {
    if frames > MAX_FRAMES {
        return Err(format!("it has more than {MAX_FRAMES} frames; take a part of it"));
    }
    let pixels = (width as u64).saturating_mul(height as u64);
    // A frame of eight bytes a pixel, or several that take as much together.
    if pixels.saturating_mul(BYTES_PER_PIXEL).saturating_mul(frames as u64) > MAX_FRAME_BYTES {
        return Err(format!("{frames} frames of {width}x{height} pixels are too large; take a part of them"));
    }
    Ok(())
}
