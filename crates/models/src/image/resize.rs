//! Resizing by position and weight, one axis after the other: nearest, bilinear, area, bicubic.
//!
//! Positions are f32, as PyTorch computes them.

use super::error::ImageError;
use super::method::Method;
use super::planes::Planes;
use super::taps::{Taps, bicubic, bilinear, nearest, smooth_bicubic};
use super::{bislerp, lanczos};

/// Values a resized image may have; more is a mistake.
const LARGEST: usize = 1 << 33;

/// What to do where the proportions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crop {
    /// Stretch.
    Disabled,
    /// Cut off both sides of the longer axis.
    Center,
}

/// ComfyUI's `common_upscale`: cropped if asked for, then resized to `width` x `height`.
///
/// # Errors
/// For an empty or enormous size.
pub fn common_upscale(
    planes: &Planes,
    width: usize,
    height: usize,
    method: Method,
    crop: Crop,
) -> Result<Planes, ImageError> {
    if width == 0 || height == 0 {
        return Err(ImageError::Empty { what: "resized image", height, width });
    }
    let [b, c, ..] = planes.shape();
    let total = width.checked_mul(height).and_then(|n| n.checked_mul(b * c));
    if total.is_none_or(|n| n > LARGEST) {
        return Err(ImageError::TooLarge { height, width });
    }
    let cut = match crop {
        Crop::Disabled => None,
        Crop::Center => Some(centred(planes, width, height)),
    };
    Ok(cut.as_ref().unwrap_or(planes).resize(width, height, method))
}

/// The middle of an image with the proportions of another size.
fn centred(planes: &Planes, width: usize, height: usize) -> Planes {
    let [_, _, h, w] = planes.shape();
    let (old, new) = (w as f64 / h as f64, width as f64 / height as f64);
    let (mut x, mut y) = (0, 0);
    if old > new {
        x = ((w as f64 - w as f64 * (new / old)) / 2.0).round_ties_even() as usize;
    } else if old < new {
        y = ((h as f64 - h as f64 * (old / new)) / 2.0).round_ties_even() as usize;
    }
    let (x, y) = (x.min((w - 1) / 2), y.min((h - 1) / 2));
    planes.window(y, x, h - 2 * y, w - 2 * x)
}

impl Planes {
    /// Resized to a size without empty sides.
    pub(crate) fn resize(&self, width: usize, height: usize, method: Method) -> Self {
        let [_, _, h, w] = self.shape();
        match method {
            Method::Lanczos => lanczos::resize(self, width, height),
            Method::Bislerp => bislerp::resize(self, width, height),
            Method::NearestExact => self.by_taps(width, height, |n, m| nearest(n, m, 0.5)),
            Method::Nearest => self.by_taps(width, height, |n, m| nearest(n, m, 0.0)),
            Method::Bilinear if (h, w) == (height, width) => self.clone(),
            Method::Bilinear => self.by_taps(width, height, bilinear),
            Method::Area => self.area(width, height),
            Method::Bicubic => self.by_taps(width, height, bicubic),
        }
    }

    /// Resized as torch's bicubic interpolation with antialiasing does it (A = -0.5), to a size without empty sides.
    pub(crate) fn resize_antialiased(&self, width: usize, height: usize) -> Self {
        self.by_taps(width, height, smooth_bicubic)
    }

    fn by_taps(&self, width: usize, height: usize, taps: fn(usize, usize) -> Vec<Taps>) -> Self {
        let [_, _, h, w] = self.shape();
        let (across, down) = (taps(w, width), taps(h, height));
        self.map(height, width, |plane| {
            let row = |y: usize| across.iter().map(move |tap| tap.sum(|x| plane[y * w + x]));
            let rows: Vec<f32> = (0..h).flat_map(row).collect();
            let column = |tap: &Taps| (0..width).map(|x| tap.sum(|y| rows[y * width + x])).collect::<Vec<f32>>();
            down.iter().flat_map(column).collect()
        })
    }

    fn area(&self, width: usize, height: usize) -> Self {
        let [_, _, h, w] = self.shape();
        let span = |i: usize, n: usize, m: usize| (i * n / m, ((i + 1) * n).div_ceil(m));
        self.map(height, width, |plane| {
            let cell = |i: usize| {
                let ((top, bottom), (left, right)) = (span(i / width, h, height), span(i % width, w, width));
                let rows = (top..bottom).flat_map(|y| &plane[y * w + left..y * w + right]);
                rows.sum::<f32>() / ((bottom - top) * (right - left)) as f32
            };
            (0..height * width).map(cell).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cropping_to_a_square_takes_the_middle() {
        let planes = Planes::new([1, 1, 1, 3], vec![1.0, 2.0, 3.0]).unwrap();
        let found = common_upscale(&planes, 1, 1, Method::NearestExact, Crop::Center).unwrap();
        assert_eq!(found.values(), [2.0]);
    }

    #[test]
    fn an_area_is_a_mean() {
        let planes = Planes::new([1, 1, 2, 2], vec![1.0, 2.0, 3.0, 6.0]).unwrap();
        assert_eq!(planes.resize(1, 1, Method::Area).values(), [3.0]);
    }

    #[test]
    fn no_image_has_an_empty_side() {
        let planes = Planes::new([1, 1, 1, 1], vec![1.0]).unwrap();
        assert!(common_upscale(&planes, 0, 4, Method::Area, Crop::Disabled).is_err());
        assert!(Planes::new([1, 1, 0, 3], vec![]).is_err());
    }
}
