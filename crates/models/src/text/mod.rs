//! Prompts to conditioning: token weights, several chunks, several encoders.
//!
//! Knows token chunks and the trait [`TextEncoder`]. [`PromptEncoder`] does all of it for a family. Knows nothing of files.
//!
//! Source: ComfyUI `comfy/sd1_clip.py` (`encode_token_weights`), `comfy/sdxl_clip.py`.

mod encode;
mod encoder;
mod family;
mod model;

pub use encode::{Prompt, encode, join};
pub use encoder::ClipEncoder;
pub use family::PromptEncoder;
pub use model::{Encoded, TextEncoder};
