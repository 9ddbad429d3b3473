//! The network of Stable Diffusion 3 and 3.5: a transformer over the patches of a latent and the tokens of a prompt.

mod block;
mod config;
mod denoiser;
mod family;
mod keys;
mod lora_keys;
mod model;
mod patch_embedder;
mod positions;

pub use config::MmditConfig;
pub use family::MMDIT;
pub use keys::keys;
pub use lora_keys::mmdit_keys;
pub use model::{Mmdit, Pass};
