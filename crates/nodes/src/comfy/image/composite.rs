//! Pasting one batch of planes onto another through a mask, for images and latents alike.

use burn::tensor::Tensor;
use kiln_exec::NodeError;

use crate::comfy::image::resize::{Crop, Method, repeat_to, resize};

/// Where the upper planes go, in cells of the planes.
pub(crate) struct Paste {
    pub(crate) x: usize,
    pub(crate) y: usize,
    /// Give the upper planes the size of the lower ones first.
    pub(crate) resize: bool,
}

/// Pastes `[B, C, h, w]` onto `[B, C, H, W]`; `mask` is `[B, 1, any, any]`, 1 where the upper planes show.
pub(crate) fn paste(
    lower: Tensor<4>,
    upper: Tensor<4>,
    mask: Option<Tensor<4>>,
    at: &Paste,
) -> Result<Tensor<4>, NodeError> {
    let [batch, channels, rows, columns] = lower.dims();
    let upper = if at.resize { resize(upper, [rows, columns], Method::Bilinear, Crop::Disabled)? } else { upper };
    let [_, found, upper_rows, upper_columns] = upper.dims();
    if found != channels {
        return Err(NodeError::new(format!("the destination has {channels} channels and the source {found}")));
    }
    if at.x >= columns || at.y >= rows {
        return Ok(lower);
    }
    let (height, width) = (upper_rows.min(rows - at.y), upper_columns.min(columns - at.x));
    let upper = repeat_to(upper, batch).narrow(2, 0, height).narrow(3, 0, width);
    let region = [0..batch, 0..channels, at.y..at.y + height, at.x..at.x + width];
    let mixed = match mask {
        None => upper,
        Some(mask) => {
            let mask = resize(mask, [upper_rows, upper_columns], Method::Bilinear, Crop::Disabled)?;
            let mask = repeat_to(mask, batch).narrow(2, 0, height).narrow(3, 0, width);
            upper * mask.clone() + lower.clone().slice(region.clone()) * (mask * -1.0 + 1.0)
        }
    };
    Ok(lower.slice_assign(region, mixed))
}
