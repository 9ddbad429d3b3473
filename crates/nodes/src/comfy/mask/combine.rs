//! Masks inverted, cut, and combined.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::comfy::image::limits::MAX_SIDE;
use crate::payload::Mask;

/// Turns masked into unmasked.
#[derive(Node)]
#[node(category = "mask", module = "comfy_extras.nodes_mask")]
pub struct InvertMask {
    /// The mask.
    mask: Mask,
}

impl Execute for InvertMask {
    type Output = Mask;

    fn execute(self, _: &mut Cx) -> Result<Mask, NodeError> {
        Ok(Mask::new(self.mask.tensor() * -1.0 + 1.0))
    }
}

/// Cuts a rectangle out of a mask.
#[derive(Node)]
#[node(category = "mask", module = "comfy_extras.nodes_mask")]
pub struct CropMask {
    /// The mask.
    mask: Mask,
    /// Left side of the rectangle in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 1)]
    x: usize,
    /// Its upper side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 1)]
    y: usize,
    /// Its width in pixels.
    #[input(default = 512, min = 1, max = MAX_SIDE, step = 1)]
    width: usize,
    /// Its height in pixels.
    #[input(default = 512, min = 1, max = MAX_SIDE, step = 1)]
    height: usize,
}

impl Execute for CropMask {
    type Output = Mask;

    fn execute(self, _: &mut Cx) -> Result<Mask, NodeError> {
        let [_, rows, columns] = self.mask.dims();
        if self.x >= columns || self.y >= rows {
            let Self { x, y, .. } = self;
            return Err(NodeError::new(format!(
                "the rectangle begins at {x}, {y}, outside of a mask of {columns}x{rows}"
            )));
        }
        let (width, height) = (self.width.min(columns - self.x), self.height.min(rows - self.y));
        Ok(Mask::new(self.mask.tensor().narrow(1, self.y, height).narrow(2, self.x, width)))
    }
}

/// Combines two masks where they overlap.
#[derive(Node)]
#[node(category = "mask", module = "comfy_extras.nodes_mask")]
pub struct MaskComposite {
    /// The lower mask.
    destination: Mask,
    /// The upper mask.
    source: Mask,
    /// Its left side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 1)]
    x: usize,
    /// Its upper side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 1)]
    y: usize,
    /// What to do with the two values.
    #[input(combo = ["multiply", "add", "subtract", "and", "or", "xor"])]
    operation: String,
}

impl Execute for MaskComposite {
    type Output = Mask;

    fn execute(self, _: &mut Cx) -> Result<Mask, NodeError> {
        let [batch, rows, columns] = self.destination.dims();
        let [count, upper_rows, upper_columns] = self.source.dims();
        if self.x >= columns || self.y >= rows {
            return Ok(self.destination);
        }
        if count != 1 && count != batch {
            return Err(NodeError::new(format!("`destination` holds {batch} masks and `source` {count}")));
        }
        let (width, height) = (upper_columns.min(columns - self.x), upper_rows.min(rows - self.y));
        let upper = self.source.tensor().narrow(1, 0, height).narrow(2, 0, width);
        let upper = if count == batch { upper } else { upper.repeat_dim(0, batch) };
        let region = [0..batch, self.y..self.y + height, self.x..self.x + width];
        let lower = self.destination.tensor();
        let combined = combine(&self.operation, lower.clone().slice(region.clone()), upper)?;
        Ok(Mask::new(lower.slice_assign(region, combined).clamp(0.0, 1.0)))
    }
}

fn combine(operation: &str, a: Tensor<3>, b: Tensor<3>) -> Result<Tensor<3>, NodeError> {
    // Rounded, so that these are 0 or 1.
    let bits = |x: Tensor<3>| x.round().not_equal_elem(0.0).float();
    Ok(match operation {
        "multiply" => a * b,
        "add" => a + b,
        "subtract" => a - b,
        "and" => bits(a) * bits(b),
        "or" => (bits(a) + bits(b)).clamp_max(1.0),
        "xor" => (bits(a) - bits(b)).abs(),
        other => return Err(NodeError::new(format!("`operation` is `{other}`, which does not exist"))),
    })
}
