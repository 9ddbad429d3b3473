//! Masks grown, shrunk, softened and made hard.

use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::comfy::image::limits::MAX_SIDE;
use crate::payload::Mask;

/// Grows a mask by some pixels, or shrinks it.
#[derive(Node)]
#[node(category = "mask", module = "comfy_extras.nodes_mask")]
pub struct GrowMask {
    /// The mask.
    mask: Mask,
    /// By how many pixels; negative shrinks.
    #[input(default = 0, min = -16384, max = MAX_SIDE, step = 1)]
    expand: i64,
    /// Whether corners are cut instead of square.
    #[input(default = true)]
    tapered_corners: bool,
}

impl Execute for GrowMask {
    type Output = Mask;

    fn execute(self, cx: &mut Cx) -> Result<Mask, NodeError> {
        let dims @ [_, rows, columns] = self.mask.dims();
        let mut values = self.mask.values()?;
        let pick = if self.expand < 0 { f32::min } else { f32::max };
        // After this many steps every pixel has seen every other one.
        for _ in 0..self.expand.unsigned_abs().min((rows + columns) as u64) {
            cx.checkpoint()?;
            for plane in values.chunks_exact_mut((rows * columns).max(1)) {
                let grown = spread(plane, [rows, columns], self.tapered_corners, pick);
                plane.copy_from_slice(&grown);
            }
        }
        Mask::from_values(values, dims, &self.mask.tensor().device())
    }
}

/// Each pixel becomes the `pick` of its neighbours and itself; without the diagonal ones if `tapered`.
fn spread(plane: &[f32], [rows, columns]: [usize; 2], tapered: bool, pick: fn(f32, f32) -> f32) -> Vec<f32> {
    let mut out = plane.to_vec();
    for y in 0..rows {
        let (top, bottom) = (y.saturating_sub(1), (y + 1).min(rows - 1));
        for x in 0..columns {
            let (left, right) = (x.saturating_sub(1), (x + 1).min(columns - 1));
            let mut see = |y: usize, x: usize, from: usize| out[from] = pick(out[from], plane[y * columns + x]);
            let me = y * columns + x;
            for (ny, nx) in [(top, x), (bottom, x), (y, left), (y, right)] {
                see(ny, nx, me);
            }
            if !tapered {
                for (ny, nx) in [(top, left), (top, right), (bottom, left), (bottom, right)] {
                    see(ny, nx, me);
                }
            }
        }
    }
    out
}

/// Lets a mask fade out towards its borders.
#[derive(Node)]
#[node(category = "mask", module = "comfy_extras.nodes_mask")]
pub struct FeatherMask {
    /// The mask.
    mask: Mask,
    /// Over how many pixels from the left.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 1)]
    left: usize,
    /// Over how many pixels from above.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 1)]
    top: usize,
    /// Over how many pixels from the right.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 1)]
    right: usize,
    /// Over how many pixels from below.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 1)]
    bottom: usize,
}

impl Execute for FeatherMask {
    type Output = Mask;

    fn execute(self, _: &mut Cx) -> Result<Mask, NodeError> {
        let dims @ [_, rows, columns] = self.mask.dims();
        let (across, down) = (fade(columns, self.left, self.right), fade(rows, self.top, self.bottom));
        let mut values = self.mask.values()?;
        for (i, value) in values.iter_mut().enumerate() {
            *value *= across[i % columns] * down[i / columns % rows];
        }
        Mask::from_values(values, dims, &self.mask.tensor().device())
    }
}

/// Factors along one axis: rising over `start` positions, falling over `end`.
fn fade(size: usize, start: usize, end: usize) -> Vec<f32> {
    let mut factors = vec![1.0f32; size];
    let (start, end) = (start.min(size), end.min(size));
    for (i, factor) in factors.iter_mut().take(start).enumerate() {
        *factor *= (i + 1) as f32 / start as f32;
    }
    for (i, factor) in factors.iter_mut().rev().take(end).enumerate() {
        *factor *= (i + 1) as f32 / end as f32;
    }
    factors
}

/// Makes a mask black and white.
#[derive(Node)]
#[node(category = "mask", module = "comfy_extras.nodes_mask")]
pub struct ThresholdMask {
    /// The mask.
    mask: Mask,
    /// What is above becomes white.
    #[input(default = 0.5, min = 0.0, max = 1.0, step = 0.01)]
    value: f64,
}

impl Execute for ThresholdMask {
    type Output = Mask;

    fn execute(self, _: &mut Cx) -> Result<Mask, NodeError> {
        Ok(Mask::new(self.mask.tensor().greater_elem(self.value).float()))
    }
}
