//! Latents put onto and beside each other, and their noise masks.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};

use super::cell::CELL;
use super::shape::axis;
use crate::comfy::image::composite::{Paste, paste};
use crate::comfy::image::limits::MAX_SIDE;
use crate::comfy::image::resize::repeat_to;
use crate::payload::{Latent, Mask, values};

/// Puts one latent onto another, with soft edges if wanted.
#[derive(Node)]
#[node(display_name = "Latent Composite", category = "latent")]
pub struct LatentComposite {
    /// The lower latent.
    samples_to: Latent,
    /// The upper latent.
    samples_from: Latent,
    /// Its left side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 8)]
    x: usize,
    /// Its upper side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 8)]
    y: usize,
    /// Width of the soft edge in pixels, on the sides that lie inside.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 8)]
    feather: usize,
}

impl Execute for LatentComposite {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let [batch, channels, rows, columns] = self.samples_to.dims();
        let [_, found, from_rows, from_columns] = self.samples_from.dims();
        if found != channels {
            return Err(NodeError::new(format!(
                "`samples_to` has {channels} channels and `samples_from` {found}; they belong to different kinds of model"
            )));
        }
        let (x, y, feather) = (self.x / CELL, self.y / CELL, self.feather / CELL);
        if x >= columns || y >= rows {
            return Ok(self.samples_to);
        }
        let (width, height) = (from_columns.min(columns - x), from_rows.min(rows - y));
        let upper = repeat_to(self.samples_from.tensor().narrow(2, 0, height).narrow(3, 0, width), batch);
        let across = ramp(width, feather, x > 0, x + width < columns);
        let down = ramp(height, feather, y > 0, y + height < rows);
        let mask: Vec<f32> = down.iter().flat_map(|d| across.iter().map(move |a| d * a)).collect();
        let mask = Tensor::<1>::from_floats(mask.as_slice(), &upper.device()).reshape([1, 1, height, width]);
        let region = [0..batch, 0..channels, y..y + height, x..x + width];
        let lower = self.samples_to.tensor();
        let mixed = upper * mask.clone() + lower.clone().slice(region.clone()) * (mask * -1.0 + 1.0);
        Ok(self.samples_to.with_samples(lower.slice_assign(region, mixed)))
    }
}

/// Opacity along one axis: rises over `feather` cells from a soft start, falls likewise to a soft end.
fn ramp(length: usize, feather: usize, soft_start: bool, soft_end: bool) -> Vec<f32> {
    let mut ramp = vec![1.0f32; length];
    for t in 0..feather.min(length) {
        let factor = (1.0 / feather as f64 * (t + 1) as f64) as f32;
        if soft_start {
            ramp[t] *= factor;
        }
        if soft_end {
            ramp[length - 1 - t] *= factor;
        }
    }
    ramp
}

/// Puts one latent onto another through a mask.
#[derive(Node)]
#[node(category = "latent", module = "comfy_extras.nodes_mask")]
pub struct LatentCompositeMasked {
    /// The lower latent.
    destination: Latent,
    /// The upper latent.
    source: Latent,
    /// Its left side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 8)]
    x: usize,
    /// Its upper side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 8)]
    y: usize,
    /// Whether to give the upper latent the lower one's size first.
    #[input(default = false)]
    resize_source: bool,
    /// Where the upper latent shows.
    mask: Option<Mask>,
}

impl Execute for LatentCompositeMasked {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let placed = Paste { x: self.x / CELL, y: self.y / CELL, resize: self.resize_source };
        let mask = self.mask.as_ref().map(Mask::planes);
        let mixed = paste(self.destination.tensor(), self.source.tensor(), mask, &placed)?;
        Ok(self.destination.with_samples(mixed))
    }
}

/// Puts latents side by side.
#[derive(Node)]
#[node(unnamed, category = "latent/advanced", module = "comfy_extras.nodes_latent")]
pub struct LatentConcat {
    /// The first latent.
    samples1: Latent,
    /// The second latent.
    samples2: Latent,
    /// The direction; with a minus the second comes first.
    #[input(options = ["x", "-x", "y", "-y", "t", "-t"], option("multiselect" = false))]
    dim: String,
}

impl Execute for LatentConcat {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let axis = axis(&self.dim)?;
        let (first, second) = (self.samples1.dims(), self.samples2.dims());
        if (1..4).any(|d| d != axis && first[d] != second[d]) {
            return Err(NodeError::new(format!(
                "latents {first:?} and {second:?} do not fit beside each other along {}",
                self.dim
            )));
        }
        let mut parts = vec![self.samples1.tensor(), repeat_to(self.samples2.tensor(), first[0])];
        if self.dim.starts_with('-') {
            parts.reverse();
        }
        Ok(self.samples1.with_samples(Tensor::cat(parts, axis)))
    }
}

/// Says where sampling may change latents: only where the mask is white.
#[derive(Node)]
#[node(display_name = "Set Latent Noise Mask", category = "latent/inpaint")]
pub struct SetLatentNoiseMask {
    /// The latents.
    samples: Latent,
    /// White where to denoise. Of any size.
    mask: Mask,
}

impl Execute for SetLatentNoiseMask {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        if values(self.mask.tensor())?.iter().any(|v| v.is_nan()) {
            return Err(NodeError::new("`mask` holds values that are not a number"));
        }
        Ok(self.samples.with_noise_mask(self.mask.planes()))
    }
}
