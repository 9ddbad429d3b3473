//! Language models as text encoders: one decoder that is Qwen3-4B, Mistral Small 3 or Qwen2.5-VL-7B by its sizes.

mod config;
mod keys;
mod layer;
mod model;
mod positions;

pub use config::{LlmConfig, LlmKind};
pub use keys::{find, hugging_face};
pub use model::{LlmModel, States};
pub use positions::{ImagePlace, Positions};
