//! Images changed one by one.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::image::Pixels;
use kiln_models::random::NumpyGenerator;

use crate::comfy::image::bytes::each;
use crate::payload::Image;

/// Resizes images so that the shorter side has a length.
#[derive(Node)]
#[node(
    display_name = "Resize Images by Shorter Edge",
    category = "dataset/image",
    module = "comfy_extras.nodes_dataset",
    outputs("images"),
    experimental
)]
pub struct ResizeImagesByShorterEdge {
    /// The images.
    images: Image,
    /// The length of the shorter side, in pixels.
    #[input(default = 512, min = 1, max = 8192)]
    shorter_edge: usize,
}

impl Execute for ResizeImagesByShorterEdge {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let [_, height, width, _] = self.images.dims();
        resized(&self.images, self.shorter_edge, width < height)
    }
}

/// Resizes images so that the longer side has a length.
#[derive(Node)]
#[node(
    display_name = "Resize Images by Longer Edge",
    category = "dataset/image",
    module = "comfy_extras.nodes_dataset",
    outputs("images"),
    experimental
)]
pub struct ResizeImagesByLongerEdge {
    /// The images.
    images: Image,
    /// The length of the longer side, in pixels.
    #[input(default = 1024, min = 1, max = 8192)]
    longer_edge: usize,
}

impl Execute for ResizeImagesByLongerEdge {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let [_, height, width, _] = self.images.dims();
        resized(&self.images, self.longer_edge, width > height)
    }
}

/// Images with one side of a length, the other one in proportion.
fn resized(images: &Image, edge: usize, is_width: bool) -> Result<Image, NodeError> {
    let [_, height, width, _] = images.dims();
    let other = |long: usize, short: usize| ((long as f64 * (edge as f64 / short.max(1) as f64)) as usize).max(1);
    let [height, width] = if is_width { [other(height, width), edge] } else { [edge, other(width, height)] };
    each(images, |pixels| Ok(pixels.resized(height, width)?))
}

/// Cuts the middle out of images.
#[derive(Node)]
#[node(
    display_name = "Center Crop Images",
    category = "dataset/image",
    module = "comfy_extras.nodes_dataset",
    outputs("images"),
    experimental
)]
pub struct CenterCropImages {
    /// The images.
    images: Image,
    /// The width of the cut, in pixels; a smaller image keeps its own.
    #[input(default = 512, min = 1, max = 8192)]
    width: usize,
    /// The height of the cut, in pixels; a smaller image keeps its own.
    #[input(default = 512, min = 1, max = 8192)]
    height: usize,
}

impl Execute for CenterCropImages {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let [_, height, width, _] = self.images.dims();
        let place = [height.saturating_sub(self.height) / 2, width.saturating_sub(self.width) / 2];
        each(&self.images, |pixels| cut(pixels, place, [self.height, self.width]))
    }
}

/// Cuts a part out of images, at a random place.
#[derive(Node)]
#[node(
    display_name = "Random Crop Images",
    category = "dataset/image",
    module = "comfy_extras.nodes_dataset",
    outputs("images"),
    experimental
)]
pub struct RandomCropImages {
    /// The images.
    images: Image,
    /// The width of the cut, in pixels; a smaller image keeps its own.
    #[input(default = 512, min = 1, max = 8192)]
    width: usize,
    /// The height of the cut, in pixels; a smaller image keeps its own.
    #[input(default = 512, min = 1, max = 8192)]
    height: usize,
    /// Which place: the same number is the same place.
    #[input(default = 0, min = 0, max = u64::MAX)]
    seed: u64,
}

impl Execute for RandomCropImages {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let [_, height, width, _] = self.images.dims();
        let mut random = NumpyGenerator::from_long_seed(self.seed);
        let mut place = |room: usize| u32::try_from(room + 1).map_or(0, |bound| random.below(bound) as usize);
        let left = place(width.saturating_sub(self.width));
        let top = place(height.saturating_sub(self.height));
        each(&self.images, |pixels| cut(pixels, [top, left], [self.height, self.width]))
    }
}

fn cut(pixels: &Pixels, place: [usize; 2], size: [usize; 2]) -> Result<Pixels, NodeError> {
    Ok(pixels.window(place, size)?)
}

/// Moves and scales the values of images: less the mean, by the deviation.
#[derive(Node)]
#[node(
    display_name = "Normalize Images",
    category = "dataset/image",
    module = "comfy_extras.nodes_dataset",
    outputs("images"),
    experimental
)]
pub struct NormalizeImages {
    /// The images.
    images: Image,
    /// What becomes 0.
    #[input(default = 0.5, min = 0.0, max = 1.0)]
    mean: f64,
    /// What becomes 1, above the mean.
    #[input(default = 0.5, min = 0.001, max = 1.0)]
    std: f64,
}

impl Execute for NormalizeImages {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        Ok(Image::new((self.images.pixels() - self.mean) / self.std))
    }
}

/// Makes images lighter or darker.
#[derive(Node)]
#[node(
    display_name = "Adjust Brightness",
    category = "dataset/image",
    module = "comfy_extras.nodes_dataset",
    outputs("images"),
    experimental
)]
pub struct AdjustBrightness {
    /// The images.
    images: Image,
    /// How much light: 1 leaves the images as they are.
    #[input(default = 1.0, min = 0.0, max = 2.0)]
    factor: f64,
}

impl Execute for AdjustBrightness {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        Ok(Image::new((self.images.pixels() * self.factor).clamp(0.0, 1.0)))
    }
}

/// Makes the light and the dark of images differ more or less.
#[derive(Node)]
#[node(
    display_name = "Adjust Contrast",
    category = "dataset/image",
    module = "comfy_extras.nodes_dataset",
    outputs("images"),
    experimental
)]
pub struct AdjustContrast {
    /// The images.
    images: Image,
    /// How much contrast: 1 leaves the images as they are.
    #[input(default = 1.0, min = 0.0, max = 2.0)]
    factor: f64,
}

impl Execute for AdjustContrast {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        Ok(Image::new(((self.images.pixels() - 0.5) * self.factor + 0.5).clamp(0.0, 1.0)))
    }
}
