//! What a file holds, told from the names and shapes of its tensors alone.
//!
//! Knows prefixes and probes of every family; reads no data, opens no file.

mod describe;
mod kind;
mod parts;
mod prediction;

pub use describe::{describe, ignorable};
pub use kind::Family;
pub use parts::{Detected, Found, TextEncoderKind, TextFound, text_encoders, unet, vae};
pub use prediction::Prediction;
