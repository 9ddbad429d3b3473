//! Animated files: images of one size in a row, written one after the other, with the graph that made them.
//!
//! Knows bytes of pixels. Knows nothing of tensors or of what the texts say.

mod apng;
mod exif;
mod gif;
mod sequence;
mod webp;

pub use apng::write_apng;
pub use gif::write_gif;
pub use sequence::{Animation, NextImage};
pub use webp::{Webp, write_webp};
