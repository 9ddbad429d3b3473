//! Stable Diffusion's UNet: SD1, SD2, SDXL base and refiner, inpainting variants, and any other width.

mod attention;
mod block;
mod builder;
mod check;
mod config;
mod denoiser;
mod embed;
mod keys;
mod model;
mod pass;
mod residual;
mod transformer;

pub(crate) use block::Unit;
pub(crate) use builder::Builder;
pub(crate) use check::Call;
pub use config::{Heads, Middle, UNetConfig};
pub(crate) use embed::Embedding;
pub use embed::sinusoidal;
pub(crate) use keys::Layout;
pub use keys::{diffusers, is_diffusers, original};
pub use model::{Extras, UNet};
pub(crate) use pass::Pass;
