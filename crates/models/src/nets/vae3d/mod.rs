//! The autoencoder of clips, causal in time: Wan 2.1's, and Qwen-Image's, whose clips are single images.

mod block;
mod config;
mod conv;
mod keys;
mod model;
mod past;

pub use config::{Entry, HalfConfig, VideoVaeConfig};
pub(crate) use keys::is_video_vae;
pub use keys::keys;
pub use model::VideoVae;
