//! Stable Diffusion's autoencoder: images to latents and back.

mod block;
mod config;
mod keys;
mod model;
mod image;

pub use config::VaeConfig;
pub(crate) use keys::is_diffusers;
pub use keys::{diffusers, original};
pub use model::Vae;
pub use image::{Tiles, tiled};
