//! Stable Diffusion's UNet: SD1, SD2, SDXL base and refiner, inpainting variants, and any other width.

mod attention;
mod block;
mod builder;
mod check;
mod config;
mod embed;
pub(crate) mod hooks;
mod keys;
mod model;
mod residual;
mod transformer;

pub(crate) use block::{Pass, Unit};
pub(crate) use builder::Builder;
pub(crate) use check::Call;
pub use config::{Heads, Middle, UNetConfig};
pub(crate) use embed::Embedding;
pub use embed::sinusoidal;
pub(crate) use hooks::{ActiveHooks, AttentionRecord};
pub use hooks::{AttentionRecorder, Downscale, FreeU, Hook, Hooks, HyperTile, MiddleAttention};
pub(crate) use keys::Layout;
pub use keys::{diffusers, is_diffusers, original};
pub use model::{Extras, Residuals, UNet};
