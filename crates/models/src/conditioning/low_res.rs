//! A small image to be made large, for Stable Diffusion's x4 upscaler.

use burn::tensor::Tensor;

/// A small image to be made large.
#[derive(Debug, Clone)]
pub struct LowRes {
    /// Its pixels in -1..1, `[B, 3, h, w]`.
    pub image: Tensor<4>,
    /// How much noise it is taken with, from 0 to 1.
    pub noise: f64,
}
