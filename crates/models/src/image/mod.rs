//! Operations on images and latents outside of networks, with PyTorch's and PIL's numbers: resizing, turning, masks,
//! previews; boxes around what is seen, and which of them stay.
//!
//! Knows planes of `f32`. Knows nothing of files, nodes or models. Works on the CPU; [`Planes::from_tensor`] and
//! [`Planes::to_tensor`] are the doors.
//!
//! Sources: PyTorch `UpSampleKernel.cpp`; PIL `Resample.c`; ComfyUI `comfy/utils.py`, `nodes.py`.

mod bislerp;
mod canny;
mod detection;
mod error;
mod lanczos;
mod letterbox;
mod mask;
mod method;
mod pillow;
mod planes;
mod preview;
mod quantize;
mod resize;
mod suppression;
mod taps;

pub use canny::canny;
pub use detection::Detection;
pub use error::ImageError;
pub use letterbox::Letterbox;
pub use mask::grown;
pub use method::Method;
pub use pillow::Pixels;
pub use planes::Planes;
pub use preview::linear_preview;
pub use quantize::{Dither, quantized};
pub use resize::{Crop, common_upscale};
pub use suppression::{Suppression, suppressed, thinned};
