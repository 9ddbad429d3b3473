//! Tiny autoencoders of clips (TAEHV): a short row of convolutions for each direction, some of which look one frame back.
//! For the latents of Wan, HunyuanVideo and LTX.
//!
//! Source: madebyollin/taehv, `taehv.py`; ComfyUI `comfy/taesd/taehv.py`. Layers are numbered as in their `nn.Sequential`.

mod config;
mod model;
mod step;
mod vae;

pub use config::{TaehvConfig, TaehvHalf};
pub use model::Taehv;
pub use vae::TaehvVae;
