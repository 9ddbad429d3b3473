//! The network of Qwen-Image and Qwen-Image-Edit: a transformer over the patches of a latent and of references, and the
//! tokens of a prompt.

mod block;
mod config;
mod denoiser;
mod family;
mod keys;
mod lora_keys;
mod model;
mod positions;

pub use config::QwenImageConfig;
pub use family::QWEN_IMAGE;
pub use keys::keys;
pub use lora_keys::qwen_image_keys;
pub use model::{Pass, QwenImage};
pub use positions::{Placement, image_positions};
