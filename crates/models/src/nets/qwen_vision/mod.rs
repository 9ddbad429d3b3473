//! Qwen2.5-VL's vision tower: an image of any size to rows that a language model reads among its tokens.

mod block;
mod config;
mod grid;
mod model;
mod prepare;

pub use config::QwenVisionConfig;
pub use grid::Grid;
pub use model::QwenVision;
pub use prepare::{Patches, prepared};
