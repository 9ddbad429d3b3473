//! Z-Image: a transformer over caption and image tokens in one row, with refiners before it (Lumina 2's NextDiT with another
//! modulation).

mod block;
mod config;
mod denoiser;
mod family;
mod keys;
mod lora_keys;
mod model;

pub use config::ZImageConfig;
pub use family::ZIMAGE;
pub use keys::keys;
pub use lora_keys::zimage_keys;
pub use model::ZImage;
