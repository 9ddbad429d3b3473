//! What a file holds, recognised from the names and shapes of its tensors alone.
//!
//! Knows prefixes and probes of every family; reads no data, opens no file.

mod describe;
mod family;
mod ignorable;
mod parts;
mod prediction;
mod text_encoder;

pub use describe::describe;
pub use family::Family;
pub use ignorable::ignorable;
pub use parts::{Detected, Found, TextFound, text_encoders, unet, vae, vision};
pub use prediction::Prediction;
pub use text_encoder::TextEncoderKind;
