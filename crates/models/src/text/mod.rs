//! Prompts to conditioning: token weights, several chunks, several encoders, rows with images.
//!
//! Knows tokens, the trait [`TextEncoder`] and the networks that read rows. [`PromptEncoder`] does all of it for a family.
//! Knows nothing of files.
//!
//! Source: ComfyUI `comfy/sd1_clip.py` (`encode_token_weights`), `comfy/sdxl_clip.py`.

mod classes;
mod edit;
mod encode;
mod encoder;
mod family;
mod model;
mod qwen_image;
mod rows;
mod sd3;

pub use classes::{class_features, class_tokens};
pub use edit::{GLANCE, MEGAPIXEL, edit_picture, edit_prompt};
pub use encode::{Prompt, encode, join};
pub use encoder::ClipEncoder;
pub use family::{PromptEncoder, PromptTexts, T5Length};
pub use model::{Encoded, TextEncoder};
pub use qwen_image::{Merged, QwenReader};
pub use rows::{FLUX2_STATES, encode_flux2, encode_t5, encode_z_image};
pub use sd3::Sd3Parts;
