//! Operations on images and latents outside of networks, with PyTorch's and PIL's numbers: resizing, turning, masks,
//! previews.
//!
//! Knows planes of `f32`. Knows nothing of files, nodes or models. Works on the CPU; [`Planes::from_tensor`] and
//! [`Planes::to_tensor`] are the doors.
//!
//! Sources: PyTorch `UpSampleKernel.cpp`; PIL `Resample.c`; ComfyUI `comfy/utils.py`, `nodes.py`.

mod bislerp;
mod canny;
mod error;
mod lanczos;
mod mask;
mod method;
mod pillow;
mod planes;
mod preview;
mod quantize;
mod resize;
mod taps;

pub use canny::canny;
pub use error::ImageError;
pub use mask::grown;
pub use method::Method;
pub use pillow::Pixels;
pub use planes::Planes;
pub use preview::linear_preview;
pub use quantize::{Dither, quantized};
pub use resize::{Crop, common_upscale};
