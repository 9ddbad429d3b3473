//! One image of bytes and what Pillow does with it: resizing, cutting, a fingerprint.
//!
//! Sources: Pillow `Resample.c`, `Convert.c`.

use super::error::ImageError;
use super::method::Method;
use super::planes::Planes;

/// Red, green, blue and opacity.
const RGBA: usize = 4;

/// An image of bytes, its channels side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    height: usize,
    width: usize,
    channels: usize,
    bytes: Vec<u8>,
}

impl Pixels {
    /// Rows from the top, `width * channels` bytes each.
    ///
    /// # Errors
    /// [`ImageError::Length`] when there are not so many bytes, [`ImageError::Empty`] when there are none.
    pub fn new([height, width, channels]: [usize; 3], bytes: Vec<u8>) -> Result<Self, ImageError> {
        let shape = [1, channels, height, width];
        let expected = shape.iter().product();
        if bytes.len() != expected {
            return Err(ImageError::Length { shape, expected, found: bytes.len() });
        }
        if expected == 0 {
            return Err(ImageError::Empty { what: "image", height, width });
        }
        Ok(Self { height, width, channels, bytes })
    }

    /// Height, width, channels.
    pub fn dims(&self) -> [usize; 3] {
        [self.height, self.width, self.channels]
    }

    /// Rows from the top.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Resized by the Lanczos filter. Colours count as much as they are opaque.
    ///
    /// # Errors
    /// For an empty or enormous size.
    pub fn resized(&self, height: usize, width: usize) -> Result<Self, ImageError> {
        let weighted = if self.channels == RGBA { self.changed(weighted) } else { self.clone() };
        let shape = [1, self.height, self.width, self.channels];
        let values: Vec<f32> = weighted.bytes.iter().map(|v| f32::from(*v) / 255.0).collect();
        let planes = Planes::from_pixels(shape, &values)?;
        let planes =
            super::resize::common_upscale(&planes, width, height, Method::Lanczos, super::resize::Crop::Disabled)?;
        let byte = |i: usize| {
            let (place, channel) = (i / self.channels, i % self.channels);
            (planes.values()[channel * height * width + place] * 255.0).round() as u8
        };
        let bytes = (0..height * width * self.channels).map(byte).collect();
        let resized = Self { height, width, channels: self.channels, bytes };
        Ok(if self.channels == RGBA { resized.changed(unweighted) } else { resized })
    }

    fn changed(&self, pixel: fn([u8; RGBA]) -> [u8; RGBA]) -> Self {
        let bytes = self.bytes.as_chunks().0.iter().flat_map(|p| pixel(*p)).collect();
        Self { bytes, ..*self }
    }

    /// A rectangle of the image, as far as it reaches.
    ///
    /// # Errors
    /// [`ImageError::Empty`] when nothing of it lies inside.
    pub fn window(&self, [top, left]: [usize; 2], [height, width]: [usize; 2]) -> Result<Self, ImageError> {
        let (bottom, right) = ((top + height).min(self.height), (left + width).min(self.width));
        if top >= bottom || left >= right {
            return Err(ImageError::Empty { what: "cut", height, width });
        }
        let stride = self.width * self.channels;
        let row = |y: usize| &self.bytes[y * stride + left * self.channels..y * stride + right * self.channels];
        Self::new([bottom - top, right - left, self.channels], (top..bottom).flat_map(row).copied().collect())
    }

    /// Brightness of each pixel: the first channel of grey images, else Rec. 601's mix of red, green and blue.
    fn grey(&self) -> Vec<u8> {
        let mix = |p: &[u8]| match p {
            [red, green, blue, ..] => {
                let sum = u32::from(*red) * 19595 + u32::from(*green) * 38470 + u32::from(*blue) * 7471;
                ((sum + 0x8000) >> 16) as u8
            }
            other => other[0],
        };
        self.bytes.chunks_exact(self.channels).map(mix).collect()
    }

    /// What an image looks like from afar: of 8 x 8 pixels those that are brighter than the average, one bit each, the first
    /// one highest.
    ///
    /// # Errors
    /// None that an image can cause.
    pub fn fingerprint(&self) -> Result<u64, ImageError> {
        const SIDE: usize = 8;
        let grey = self.resized(SIDE, SIDE)?.grey();
        let sum: usize = grey.iter().map(|v| usize::from(*v)).sum();
        Ok(grey.iter().fold(0, |bits, v| bits << 1 | u64::from(usize::from(*v) * SIDE * SIDE > sum)))
    }
}

/// Colours times opacity.
fn weighted([r, g, b, a]: [u8; RGBA]) -> [u8; RGBA] {
    let times = |v: u8| {
        let product = u32::from(v) * u32::from(a) + 128;
        (((product >> 8) + product) >> 8) as u8
    };
    [times(r), times(g), times(b), a]
}

/// Colours by opacity.
fn unweighted([r, g, b, a]: [u8; RGBA]) -> [u8; RGBA] {
    if matches!(a, 0 | 255) {
        return [r, g, b, a];
    }
    let by = |v: u8| (255 * u32::from(v) / u32::from(a)).min(255) as u8;
    [by(r), by(g), by(b), a]
}
