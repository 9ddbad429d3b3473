//! Images resized.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};

use super::limits::MAX_SIDE;
use crate::comfy::image::resize::{Crop, crop_named, method_named, resize};
use crate::payload::Image;

fn scaled(image: &Image, [height, width]: [usize; 2], method: &str, crop: Crop) -> Result<Image, NodeError> {
    let method = method_named(method)?;
    Ok(Image::from_planes(resize(image.planes(), [height, width], method, crop)?))
}

/// Resizes images.
#[derive(Node)]
#[node(display_name = "Upscale Image", category = "image/upscaling", aliases("resize", "scale"))]
pub struct ImageScale {
    /// The images.
    image: Image,
    /// How pixels in between are computed.
    #[input(combo = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"])]
    upscale_method: String,
    /// New width in pixels; 0 keeps the ratio of the sides.
    #[input(default = 512, min = 0, max = MAX_SIDE, step = 1)]
    width: usize,
    /// New height in pixels; 0 keeps the ratio of the sides.
    #[input(default = 512, min = 0, max = MAX_SIDE, step = 1)]
    height: usize,
    /// Whether to cut the middle out first so that nothing is distorted.
    #[input(combo = ["disabled", "center"])]
    crop: String,
}

impl Execute for ImageScale {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let [_, rows, columns, _] = self.image.dims();
        let follow = |given: usize, mine: usize, other: usize| {
            ((mine as f64 * given as f64 / other.max(1) as f64).round_ties_even() as usize).max(1)
        };
        let (width, height) = match (self.width, self.height) {
            (0, 0) => return Ok(self.image),
            (0, height) => (follow(height, columns, rows), height),
            (width, 0) => (width, follow(width, rows, columns)),
            given => given,
        };
        scaled(&self.image, [height, width], &self.upscale_method, crop_named(&self.crop)?)
    }
}

/// Resizes images by a factor.
#[derive(Node)]
#[node(display_name = "Upscale Image By", category = "image/upscaling", aliases("resize", "scale"))]
pub struct ImageScaleBy {
    /// The images.
    image: Image,
    /// How pixels in between are computed.
    #[input(combo = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"])]
    upscale_method: String,
    /// The factor for both sides.
    #[input(default = 1.0, min = 0.01, max = 8.0, step = 0.01)]
    scale_by: f64,
}

impl Execute for ImageScaleBy {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let [_, rows, columns, _] = self.image.dims();
        let size = [rows, columns].map(|n| (n as f64 * self.scale_by).round_ties_even() as usize);
        scaled(&self.image, size, &self.upscale_method, Crop::Disabled)
    }
}

/// Resizes images to a number of pixels, sides in ratio.
#[derive(Node)]
#[node(unnamed, category = "image/upscaling", module = "comfy_extras.nodes_post_processing")]
pub struct ImageScaleToTotalPixels {
    /// The images.
    image: Image,
    /// How pixels in between are computed.
    #[input(
        options = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"],
        option("multiselect" = false)
    )]
    upscale_method: String,
    /// Pixels in units of 1024 x 1024.
    #[input(default = 1.0, min = 0.01, max = 16.0, step = 0.01)]
    megapixels: f64,
}

impl Execute for ImageScaleToTotalPixels {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let [_, rows, columns, _] = self.image.dims();
        let total = (self.megapixels * 1024.0 * 1024.0).floor();
        let factor = (total / (rows * columns).max(1) as f64).sqrt();
        let size = [rows, columns].map(|n| (n as f64 * factor).round_ties_even() as usize);
        scaled(&self.image, size, &self.upscale_method, Crop::Disabled)
    }
}

/// Resizes images so that the longer side has a given length, sides in ratio.
#[derive(Node)]
#[node(category = "image/upscaling", module = "comfy_extras.nodes_images")]
pub struct ImageScaleToMaxDimension {
    /// The images.
    image: Image,
    /// How pixels in between are computed.
    #[input(combo = ["area", "lanczos", "bilinear", "nearest-exact", "bilinear", "bicubic"])]
    upscale_method: String,
    /// The longer side in pixels.
    #[input(default = 512, min = 0, max = MAX_SIDE, step = 1)]
    largest_size: usize,
}

impl Execute for ImageScaleToMaxDimension {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let [_, rows, columns, _] = self.image.dims();
        let longest = rows.max(columns).max(1) as f64;
        let size = [rows, columns].map(|n| (n as f64 / longest * self.largest_size as f64).round_ties_even() as usize);
        scaled(&self.image, size, &self.upscale_method, Crop::Disabled)
    }
}

/// Resizes images to fit into a rectangle, and fills the rest with one colour.
#[derive(Node)]
#[node(category = "image/transform", module = "comfy_extras.nodes_images")]
pub struct ResizeAndPadImage {
    /// The images.
    image: Image,
    /// Width of the rectangle in pixels.
    #[input(default = 512, min = 1, max = MAX_SIDE, step = 1)]
    target_width: usize,
    /// Height of the rectangle in pixels.
    #[input(default = 512, min = 1, max = MAX_SIDE, step = 1)]
    target_height: usize,
    /// What fills the rest.
    #[input(combo = ["white", "black"])]
    padding_color: String,
    /// How pixels in between are computed.
    #[input(combo = ["area", "bicubic", "nearest-exact", "bilinear", "lanczos"])]
    interpolation: String,
}

impl Execute for ResizeAndPadImage {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let [batch, rows, columns, channels] = self.image.dims();
        let (tall, wide) = (self.target_height, self.target_width);
        let factor = (wide as f64 / columns.max(1) as f64).min(tall as f64 / rows.max(1) as f64);
        let [height, width] = [rows, columns].map(|n| ((n as f64 * factor) as usize).max(1));
        let image = scaled(&self.image, [height, width], &self.interpolation, Crop::Disabled)?.pixels();
        let colour = if self.padding_color == "white" { 1.0 } else { 0.0 };
        let canvas = Tensor::full([batch, tall, wide, channels], colour, &image.device());
        let (top, left) = ((tall - height.min(tall)) / 2, (wide - width.min(wide)) / 2);
        Ok(Image::new(canvas.slice_assign([0..batch, top..top + height, left..left + width, 0..channels], image)))
    }
}
