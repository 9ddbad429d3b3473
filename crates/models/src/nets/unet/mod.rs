//! Stable Diffusion's UNet: SD1, SD2, SDXL base and refiner, inpainting variants, and any other width.

mod attention;
mod block;
mod builder;
mod check;
mod config;
mod denoiser;
mod embed;
mod families;
mod keys;
mod lora_keys;
mod model;
mod pass;
mod prediction;
mod residual;
mod temporal;
mod told;
mod transformer;
mod variant;

pub(crate) use attention::Attention;
pub(crate) use block::Unit;
pub(crate) use builder::Builder;
pub(crate) use check::Call;
pub use config::{Heads, Middle, UNetConfig};
pub use embed::sinusoidal;
pub(crate) use embed::{Embedding, frequency};
pub use families::{UNET, find};
pub(crate) use keys::Layout;
pub(crate) use keys::is_diffusers;
pub use keys::{diffusers, original};
pub use lora_keys::unet_keys;
pub use model::{Extras, UNet};
pub(crate) use pass::Pass;
pub use variant::Variant;
