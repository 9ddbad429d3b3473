//! CLIP text encoders: OpenAI's CLIP-L, OpenCLIP's H and bigG, and any other width.

mod config;
mod keys;
mod layer;
mod model;

pub use crate::nets::layers::Token;
pub use config::{Activation, TextConfig};
pub(crate) use keys::layer as open_clip_layer;
pub use keys::{hugging_face, open_clip};
pub(crate) use layer::{Layer, LayerShape};
pub use model::{Hidden, TextModel, TextOutput};
