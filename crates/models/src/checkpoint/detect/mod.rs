//! What a file holds, recognised from the names and shapes of its tensors alone.
//!
//! Knows prefixes and probes of every family; reads no data, opens no file.

mod describe;
mod ignorable;
mod known;
mod parts;
mod table;

pub use crate::nets::family::{Family, Found, FoundNetwork, Prediction, TextEncoderKind};
pub use crate::nets::unet::find as unet;
pub use describe::describe;
pub use ignorable::ignorable;
pub use parts::{Detected, TextFound, text_encoders, vae, video_vae, vision};
pub use table::families;
