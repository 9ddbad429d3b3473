//! Which weights of a model a LoRA file means, and models with its adapters on their weights.

mod apply;
mod keys;

pub use keys::text_keys;
