//! Stable Diffusion's autoencoder: images to latents and back.

mod autoencoder;
mod block;
mod config;
mod image;
mod keys;
mod model;
mod packing;

pub use autoencoder::Autoencoder;
pub use config::VaeConfig;
pub use image::{Tiles, tiled};
pub(crate) use keys::is_diffusers;
pub use keys::{diffusers, original};
pub use model::Vae;
