//! Latents cut, turned, flipped and resized.

use kiln_exec::{Cx, Execute, Node, NodeError};

use super::cell::CELL;
use crate::comfy::image::limits::MAX_SIDE;
use crate::comfy::image::resize::{Crop, crop_named, method_named, resize};
use crate::comfy::image::turn::{flipped, quarter_turns, turns};
use crate::payload::Latent;

/// Smallest side that LatentUpscale makes, in pixels.
const SMALLEST: usize = 64;

/// Resizes latents.
#[derive(Node)]
#[node(display_name = "Upscale Latent", category = "latent", aliases("resize", "scale"))]
pub struct LatentUpscale {
    /// The latents.
    samples: Latent,
    /// How cells in between are computed.
    #[input(combo = ["nearest-exact", "bilinear", "area", "bicubic", "bislerp"])]
    upscale_method: String,
    /// New width in pixels; 0 keeps the ratio of the sides.
    #[input(default = 512, min = 0, max = MAX_SIDE, step = 8)]
    width: usize,
    /// New height in pixels; 0 keeps the ratio of the sides.
    #[input(default = 512, min = 0, max = MAX_SIDE, step = 8)]
    height: usize,
    /// Whether to cut the middle out first so that nothing is distorted.
    #[input(combo = ["disabled", "center"])]
    crop: String,
}

impl Execute for LatentUpscale {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let [_, _, rows, columns] = self.samples.dims();
        let follow = |given: usize, mine: usize, other: usize| {
            let ratio = mine as f64 * given.max(SMALLEST) as f64 / other.max(1) as f64;
            (ratio.round_ties_even() as usize).max(SMALLEST)
        };
        let (width, height) = match (self.width, self.height) {
            (0, 0) => return Ok(self.samples),
            (0, height) => (follow(height, columns, rows), height.max(SMALLEST)),
            (width, 0) => (width.max(SMALLEST), follow(width, rows, columns)),
            (width, height) => (width.max(SMALLEST), height.max(SMALLEST)),
        };
        let (method, crop) = (method_named(&self.upscale_method)?, crop_named(&self.crop)?);
        let resized = resize(self.samples.tensor(), [height / CELL, width / CELL], method, crop)?;
        Ok(self.samples.with_samples(resized))
    }
}

/// Resizes latents by a factor.
#[derive(Node)]
#[node(display_name = "Upscale Latent By", category = "latent", aliases("resize", "scale"))]
pub struct LatentUpscaleBy {
    /// The latents.
    samples: Latent,
    /// How cells in between are computed.
    #[input(combo = ["nearest-exact", "bilinear", "area", "bicubic", "bislerp"])]
    upscale_method: String,
    /// The factor for both sides.
    #[input(default = 1.5, min = 0.01, max = 8.0, step = 0.01)]
    scale_by: f64,
}

impl Execute for LatentUpscaleBy {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let [_, _, rows, columns] = self.samples.dims();
        let scaled = |n: usize| (n as f64 * self.scale_by).round_ties_even() as usize;
        let method = method_named(&self.upscale_method)?;
        let resized = resize(self.samples.tensor(), [scaled(rows), scaled(columns)], method, Crop::Disabled)?;
        Ok(self.samples.with_samples(resized))
    }
}

/// Turns latents clockwise.
#[derive(Node)]
#[node(display_name = "Rotate Latent", category = "latent/transform")]
pub struct LatentRotate {
    /// The latents.
    samples: Latent,
    /// How far.
    #[input(combo = ["none", "90 degrees", "180 degrees", "270 degrees"])]
    rotation: String,
}

impl Execute for LatentRotate {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let turned = quarter_turns(self.samples.tensor(), turns(&self.rotation));
        Ok(self.samples.with_samples(turned))
    }
}

/// Mirrors latents.
#[derive(Node)]
#[node(display_name = "Flip Latent", category = "latent/transform")]
pub struct LatentFlip {
    /// The latents.
    samples: Latent,
    /// Upside down, or left to right.
    #[input(combo = ["x-axis: vertically", "y-axis: horizontally"])]
    flip_method: String,
}

impl Execute for LatentFlip {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        Ok(self.samples.with_samples(flipped(self.samples.tensor(), &self.flip_method)))
    }
}

/// Cuts a rectangle out of latents.
#[derive(Node)]
#[node(display_name = "Crop Latent", category = "latent/transform")]
pub struct LatentCrop {
    /// The latents.
    samples: Latent,
    /// Width of the rectangle in pixels.
    #[input(default = 512, min = 64, max = MAX_SIDE, step = 8)]
    width: usize,
    /// Height of the rectangle in pixels.
    #[input(default = 512, min = 64, max = MAX_SIDE, step = 8)]
    height: usize,
    /// Its left side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 8)]
    x: usize,
    /// Its upper side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 8)]
    y: usize,
}

impl Execute for LatentCrop {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let [_, _, rows, columns] = self.samples.dims();
        // At least eight cells stay, where there are as many.
        let x = (self.x / CELL).min(columns.saturating_sub(SMALLEST / CELL));
        let y = (self.y / CELL).min(rows.saturating_sub(SMALLEST / CELL));
        let (width, height) = ((self.width / CELL).min(columns - x), (self.height / CELL).min(rows - y));
        Ok(self.samples.with_samples(self.samples.tensor().narrow(2, y, height).narrow(3, x, width)))
    }
}

/// Cuts a strip out of latents.
#[derive(Node)]
#[node(unnamed, category = "latent/advanced", module = "comfy_extras.nodes_latent")]
pub struct LatentCut {
    /// The latents.
    samples: Latent,
    /// The side along which to count cells.
    #[input(options = ["x", "y", "t"], option("multiselect" = false))]
    dim: String,
    /// Where the strip begins, in cells; negative from the end.
    #[input(default = 0, min = -16384, max = MAX_SIDE, step = 1)]
    index: i64,
    /// How many cells.
    #[input(default = 1, min = 1, max = MAX_SIDE, step = 1)]
    amount: usize,
}

impl Execute for LatentCut {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let axis = axis(&self.dim)?;
        let size = self.samples.dims()[axis];
        let start =
            if self.index < 0 { size.saturating_sub(self.index.unsigned_abs() as usize) } else { self.index as usize };
        let start = start.min(size.saturating_sub(1));
        let cut = self.samples.tensor().narrow(axis, start, self.amount.min(size - start));
        Ok(self.samples.with_samples(cut))
    }
}

/// The dimension that `x` or `y` stands for.
pub(super) fn axis(dim: &str) -> Result<usize, NodeError> {
    match dim.trim_start_matches('-') {
        "x" => Ok(3),
        "y" => Ok(2),
        other => {
            Err(NodeError::new(format!("`dim` is `{other}`, but these latents are images without time: use x or y")))
        }
    }
}
