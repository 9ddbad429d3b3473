//! Prompts to conditioning: token weights, several chunks, several encoders.
//!
//! Knows token chunks and a [`TextEncoder`] to ask. Knows nothing of files, vocabularies or families' layer choices.
//!
//! Source: ComfyUI `comfy/sd1_clip.py` (`encode_token_weights`), `comfy/sdxl_clip.py`.

mod encode;
mod encoder;
mod model;

pub use encode::{Prompt, encode, join};
pub use encoder::ClipEncoder;
pub use model::{Encoded, TextEncoder};
