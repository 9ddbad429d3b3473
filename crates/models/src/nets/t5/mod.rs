//! T5's encoder: T5-XXL, which FLUX.1 and SD3 read prompts with, and any other width.

mod config;
mod distance;
mod keys;
mod layer;
mod model;

pub use config::T5Config;
pub use distance::bucket;
pub use keys::{find, hugging_face};
pub use model::T5Model;
