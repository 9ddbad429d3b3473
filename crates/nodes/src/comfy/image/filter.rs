//! Filters over the pixels of images.

use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::payload::Image;

/// Turns light into dark.
#[derive(Node)]
#[node(display_name = "Invert Image", category = "image", aliases("negative"))]
pub struct ImageInvert {
    /// The images.
    image: Image,
}

impl Execute for ImageInvert {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        Ok(Image::new(self.image.pixels() * -1.0 + 1.0))
    }
}

/// Blurs images.
#[derive(Node)]
#[node(unnamed, category = "image/postprocessing", module = "comfy_extras.nodes_post_processing")]
pub struct ImageBlur {
    /// The images.
    image: Image,
    /// How far the blur reaches, in pixels.
    #[input(default = 1, min = 1, max = 31, step = 1)]
    blur_radius: usize,
    /// How much the far pixels count.
    #[input(default = 1.0, min = 0.1, max = 10.0, step = 0.1)]
    sigma: f32,
}

impl Execute for ImageBlur {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        filtered(&self.image, &gaussian(self.blur_radius, self.sigma), self.blur_radius)
    }
}

/// Sharpens edges.
#[derive(Node)]
#[node(unnamed, category = "image/postprocessing", module = "comfy_extras.nodes_post_processing")]
pub struct ImageSharpen {
    /// The images.
    image: Image,
    /// How far around each pixel to look.
    #[input(default = 1, min = 1, max = 31, step = 1)]
    sharpen_radius: usize,
    /// How much the far pixels count.
    #[input(default = 1.0, min = 0.1, max = 10.0, step = 0.01)]
    sigma: f32,
    /// How strongly.
    #[input(default = 1.0, min = 0.0, max = 5.0, step = 0.01)]
    alpha: f32,
}

impl Execute for ImageSharpen {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let kernel = sharpening(gaussian(self.sharpen_radius, self.sigma), self.alpha);
        Ok(Image::new(filtered(&self.image, &kernel, self.sharpen_radius)?.pixels().clamp(0.0, 1.0)))
    }
}

/// The kernel that takes so much of a blur away from each pixel.
pub(crate) fn sharpening(mut blur: Vec<f32>, alpha: f32) -> Vec<f32> {
    for weight in &mut blur {
        *weight *= -(alpha * 10.0);
    }
    let middle = blur.len() / 2;
    blur[middle] = blur[middle] - blur.iter().sum::<f32>() + 1.0;
    blur
}

/// A square of `2 * radius + 1` weights, over coordinates -1 to 1, with the sum 1.
pub(crate) fn gaussian(radius: usize, sigma: f32) -> Vec<f32> {
    let side = 2 * radius + 1;
    let at = |i: usize| i as f32 / radius as f32 - 1.0;
    let weight = |i: usize| {
        let (x, y) = (at(i % side), at(i / side));
        (-(x * x + y * y) / (2.0 * sigma * sigma)).exp()
    };
    let weights: Vec<f32> = (0..side * side).map(weight).collect();
    let sum: f32 = weights.iter().sum();
    weights.into_iter().map(|w| w / sum).collect()
}

/// Every channel through a square kernel; beyond the border pixels are mirrored.
pub(crate) fn filtered(image: &Image, kernel: &[f32], radius: usize) -> Result<Image, NodeError> {
    let [batch, rows, columns, channels] = image.dims();
    if radius >= rows || radius >= columns {
        return Err(NodeError::new(format!("a radius of {radius} is too large for {columns}x{rows} pixels")));
    }
    let (values, side) = (image.values()?, 2 * radius + 1);
    let mut out = vec![0.0; values.len()];
    for (n, item) in out.chunks_exact_mut(rows * columns * channels).enumerate() {
        let source = &values[n * rows * columns * channels..];
        for y in 0..rows {
            for x in 0..columns {
                for (k, weight) in kernel.iter().enumerate() {
                    let (sy, sx) = (mirrored(y + k / side, radius, rows), mirrored(x + k % side, radius, columns));
                    for c in 0..channels {
                        item[(y * columns + x) * channels + c] += weight * source[(sy * columns + sx) * channels + c];
                    }
                }
            }
        }
    }
    Image::from_values(out, [batch, rows, columns, channels], &image.pixels().device())
}

/// `at - radius`, mirrored at the first and last of `size` positions.
fn mirrored(at: usize, radius: usize, size: usize) -> usize {
    let at = at.abs_diff(radius);
    if at < size { at } else { 2 * (size - 1) - at }
}
