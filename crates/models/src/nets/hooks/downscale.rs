//! Deep Shrink: a block's result made smaller for a part of the run, so that large images keep one composition.
//!
//! Source: Kohya's Deep Shrink, as ComfyUI's PatchModelAddDownscale has it.

use burn::tensor::Tensor;

use crate::{
    error::ModelError,
    image::{Crop, ImageError, Method, Planes, common_upscale},
};

/// Where, when and how much smaller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Downscale {
    /// The input block whose result is made smaller.
    pub block: usize,
    /// How many times.
    pub factor: f64,
    /// The noise levels between which it holds, the larger one first.
    pub sigmas: [f64; 2],
    /// Whether the block's skip keeps its size.
    pub after_skip: bool,
    /// How it is made smaller.
    pub down: Method,
    /// How the way up gets its size back.
    pub up: Method,
}

impl Downscale {
    pub(super) fn holds(&self, block: usize, sigma: f32) -> bool {
        let sigma = f64::from(sigma);
        block == self.block && sigma <= self.sigmas[0] && sigma >= self.sigmas[1]
    }

    pub(super) fn smaller(&self, h: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let [_, _, height, width] = h.dims();
        let side = |n: usize| (n as f64 * (1.0 / self.factor)).round_ties_even() as usize;
        resized(&h, side(width), side(height), self.down)
    }

    /// The activations at the skip's size, if they have another number of rows.
    pub(super) fn fitted(&self, h: Tensor<4>, skip: &Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let ([_, _, rows, _], [_, _, height, width]) = (h.dims(), skip.dims());
        if rows == height { Ok(h) } else { resized(&h, width, height, self.up) }
    }
}

fn resized(h: &Tensor<4>, width: usize, height: usize, method: Method) -> Result<Tensor<4>, ModelError> {
    let unfit = |error: ImageError| ModelError::Unrecognised {
        what: "a size for PatchModelAddDownscale".into(),
        detail: format!("{error}; lower `downscale_factor` or take a smaller `block_number`"),
    };
    let planes = Planes::from_tensor(h).map_err(unfit)?;
    let resized = common_upscale(&planes, width, height, method, Crop::Disabled).map_err(unfit)?;
    Ok(resized.to_tensor(&h.device()).cast(h.dtype()))
}
