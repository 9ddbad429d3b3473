//! Images cut, turned, mirrored, padded and put side by side.

use burn::tensor::{Device, Tensor};
use kiln_exec::{Cx, Execute, Node, NodeError};

use super::batch::same_channels;
use super::limits::MAX_SIDE;
use super::turn::{flipped, quarter_turns, turns};
use crate::comfy::image::resize::{Crop, Method, resize};
use crate::payload::{Image, Mask};

/// Cuts a rectangle out of images.
#[derive(Node)]
#[node(display_name = "Image Crop", category = "image/transform", module = "comfy_extras.nodes_images")]
pub struct ImageCrop {
    /// The images.
    image: Image,
    /// Width of the rectangle in pixels.
    #[input(default = 512, min = 1, max = MAX_SIDE, step = 1)]
    width: usize,
    /// Height of the rectangle in pixels.
    #[input(default = 512, min = 1, max = MAX_SIDE, step = 1)]
    height: usize,
    /// Its left side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 1)]
    x: usize,
    /// Its upper side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 1)]
    y: usize,
}

impl Execute for ImageCrop {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let [_, rows, columns, _] = self.image.dims();
        let (x, y) = (self.x.min(columns.saturating_sub(1)), self.y.min(rows.saturating_sub(1)));
        let (width, height) = (self.width.min(columns - x), self.height.min(rows - y));
        Ok(Image::new(self.image.pixels().narrow(1, y, height).narrow(2, x, width)))
    }
}

/// Mirrors images.
#[derive(Node)]
#[node(category = "image/transform", module = "comfy_extras.nodes_images")]
pub struct ImageFlip {
    /// The images.
    image: Image,
    /// Upside down, or left to right.
    #[input(combo = ["x-axis: vertically", "y-axis: horizontally"])]
    flip_method: String,
}

impl Execute for ImageFlip {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        Ok(Image::from_planes(flipped(self.image.planes(), &self.flip_method)))
    }
}

/// Turns images clockwise.
#[derive(Node)]
#[node(category = "image/transform", module = "comfy_extras.nodes_images")]
pub struct ImageRotate {
    /// The images.
    image: Image,
    /// How far.
    #[input(combo = ["none", "90 degrees", "180 degrees", "270 degrees"])]
    rotation: String,
}

impl Execute for ImageRotate {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        Ok(Image::from_planes(quarter_turns(self.image.planes(), turns(&self.rotation))))
    }
}

/// Adds grey borders to images and a mask of what is to be painted there.
#[derive(Node)]
#[node(display_name = "Pad Image for Outpainting", category = "image", aliases("extend", "border"))]
pub struct ImagePadForOutpaint {
    /// The images.
    image: Image,
    /// Pixels to add on the left.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 8)]
    left: usize,
    /// Pixels to add above.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 8)]
    top: usize,
    /// Pixels to add on the right.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 8)]
    right: usize,
    /// Pixels to add below.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 8)]
    bottom: usize,
    /// How far the mask reaches softly into the image, in pixels.
    #[input(default = 40, min = 0, max = MAX_SIDE, step = 1)]
    feathering: usize,
}

impl ImagePadForOutpaint {
    /// The mask inside the image: falls off with the square of the distance from a padded side.
    fn inside(&self, [rows, columns]: [usize; 2], y: usize, x: usize) -> f32 {
        let feather = self.feathering;
        if feather == 0 || feather * 2 >= rows || feather * 2 >= columns {
            return 0.0;
        }
        let side = |padded: usize, distance: usize| if padded == 0 { usize::MAX } else { distance };
        let distances =
            [side(self.top, y), side(self.bottom, rows - y), side(self.left, x), side(self.right, columns - x)];
        let distance = distances.into_iter().min().unwrap_or(usize::MAX);
        if distance >= feather { 0.0 } else { ((feather - distance) as f64 / feather as f64).powi(2) as f32 }
    }
}

impl Execute for ImagePadForOutpaint {
    type Output = (Image, Mask);

    fn execute(self, _: &mut Cx) -> Result<(Image, Mask), NodeError> {
        let [batch, rows, columns, channels] = self.image.dims();
        let (height, width) = (rows + self.top + self.bottom, columns + self.left + self.right);
        let device = self.image.pixels().device();
        let region = [0..batch, self.top..self.top + rows, self.left..self.left + columns, 0..channels];
        let canvas = Tensor::full([batch, height, width, channels], 0.5, &device);
        let padded = canvas.slice_assign(region, self.image.pixels());
        let mut mask = vec![1.0; height * width];
        for y in 0..rows {
            for x in 0..columns {
                mask[(y + self.top) * width + x + self.left] = self.inside([rows, columns], y, x);
            }
        }
        Ok((Image::new(padded), Mask::from_values(mask, [1, height, width], &device)?))
    }
}

/// Puts two images side by side.
#[derive(Node)]
#[node(display_name = "Image Stitch", category = "image/transform", module = "comfy_extras.nodes_images")]
pub struct ImageStitch {
    /// The first image.
    image1: Image,
    /// Where the second one goes.
    #[input(combo = ["right", "down", "left", "up"], default = "right")]
    direction: String,
    /// Whether to resize the second one to the side where they meet.
    #[input(default = true)]
    match_image_size: bool,
    /// Pixels between them.
    #[input(default = 0, min = 0, max = 1024, step = 2)]
    spacing_width: usize,
    /// What fills the space between them and beside the smaller one.
    #[input(combo = ["white", "black", "red", "green", "blue"], default = "white")]
    spacing_color: String,
    /// The second image.
    image2: Option<Image>,
}

impl ImageStitch {
    /// The second image with the first one's height (or width), ratio kept.
    fn matched(&self, second: &Image, beside: bool) -> Result<Image, NodeError> {
        let ([_, rows1, columns1, _], [_, rows2, columns2, _]) = (self.image1.dims(), second.dims());
        let ratio = columns2 as f64 / rows2 as f64;
        let size = if beside {
            [rows1, ((rows1 as f64 * ratio) as usize).max(1)]
        } else {
            [((columns1 as f64 / ratio) as usize).max(1), columns1]
        };
        Ok(Image::from_planes(resize(second.planes(), size, Method::Lanczos, Crop::Disabled)?))
    }

    /// What lies between the images.
    fn gap(&self, dims: [usize; 4], device: &Device) -> Tensor<4> {
        let colour: [f64; 3] = match self.spacing_color.as_str() {
            "white" => [1.0; 3],
            "red" => [1.0, 0.0, 0.0],
            "green" => [0.0, 1.0, 0.0],
            "blue" => [0.0, 0.0, 1.0],
            _ => [0.0; 3],
        };
        let [batch, rows, columns, channels] = dims;
        let plane = |c: usize| Tensor::full([batch, rows, columns, 1], *colour.get(c).unwrap_or(&1.0), device);
        Tensor::cat((0..channels).map(plane).collect(), 3)
    }

    /// `x` in the middle of a canvas that is `size` long across the direction.
    fn padded(&self, x: Tensor<4>, across: usize, size: usize) -> Tensor<4> {
        let mut dims = x.dims();
        let (found, device) = (dims[across], x.device());
        let before = (size - found) / 2;
        // Only a white gap has white borders; opacity, too, is the border's.
        let white = if self.spacing_color == "white" { 1.0 } else { 0.0 };
        let mut part = |length: usize| {
            dims[across] = length;
            (length > 0).then(|| Tensor::full(dims, white, &device))
        };
        let (start, end) = (part(before), part(size - found - before));
        Tensor::cat([start, Some(x), end].into_iter().flatten().collect(), across)
    }
}

impl Execute for ImageStitch {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let Some(second) = &self.image2 else { return Ok(self.image1) };
        let beside = matches!(self.direction.as_str(), "left" | "right");
        let second = if self.match_image_size { self.matched(second, beside)? } else { second.clone() };
        let batch = self.image1.dims()[0].max(second.dims()[0]);
        let (along, across) = if beside { (2, 1) } else { (1, 2) };
        let size = self.image1.dims()[across].max(second.dims()[across]);
        let one = |image: &Image| Image::new(self.padded(last_repeated(image.pixels(), batch), across, size));
        let (first, second) = same_channels(&one(&self.image1), &one(&second));
        let mut parts = vec![first.pixels(), second.pixels()];
        if matches!(self.direction.as_str(), "left" | "up") {
            parts.reverse();
        }
        if self.spacing_width > 0 {
            let mut dims = parts[0].dims();
            dims[along] = self.spacing_width + self.spacing_width % 2;
            parts.insert(1, self.gap(dims, &parts[0].device()));
        }
        Ok(Image::new(Tensor::cat(parts, along)))
    }
}

/// `batch` images; the last one fills up.
fn last_repeated(x: Tensor<4>, batch: usize) -> Tensor<4> {
    let count = x.dims()[0];
    if count >= batch || count == 0 {
        return x;
    }
    let last = x.clone().narrow(0, count - 1, 1).repeat_dim(0, batch - count);
    Tensor::cat(vec![x, last], 0)
}
