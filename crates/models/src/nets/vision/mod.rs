//! CLIP's image encoder, and the adapter that makes words of a style out of what it sees.
//!
//! Sources: OpenAI CLIP `model.py` under Hugging Face's names; preprocessing as in ComfyUI; TencentARC's T2I-Adapter for the
//! style adapter (Mou et al. 2023).

mod config;
mod keys;
mod model;
mod prepare;
mod style;

pub use config::VisionConfig;
pub(crate) use keys::{below, canonical, style as style_keys};
pub use model::{VisionModel, VisionOutput};
pub use prepare::prepared;
pub use style::{StyleConfig, StyleModel};
