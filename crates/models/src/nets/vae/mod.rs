//! Stable Diffusion's autoencoder: pictures to latents and back.

mod block;
mod config;
mod keys;
mod model;
mod picture;

pub use config::VaeConfig;
pub use keys::{diffusers, is_diffusers, original};
pub use model::Vae;
pub use picture::{Tiles, tiled};
