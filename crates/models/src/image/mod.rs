//! Operations on images and latents outside of networks, with PyTorch's and PIL's numbers: resizing, turning, masks,
//! previews.
//!
//! Knows planes of `f32`. Knows nothing of files, nodes or models. Works on the CPU; [`Planes::from_tensor`] and
//! [`Planes::to_tensor`] are the doors.
//!
//! Sources: PyTorch `UpSampleKernel.cpp`; PIL `Resample.c`; ComfyUI `comfy/utils.py`, `nodes.py`.

mod bislerp;
mod error;
mod lanczos;
mod mask;
mod method;
mod planes;
mod preview;
mod resize;
mod taps;

pub use error::ImageError;
pub use mask::grown;
pub use method::Method;
pub use planes::Planes;
pub use preview::linear_preview;
pub use resize::{Crop, common_upscale};
