//! GLIGEN: boxes with a text each, put between the attentions of a UNet's transformers.
//!
//! Sources: Li et al. 2023 (arXiv 2301.07093); names, places and paddings as in ComfyUI `comfy/gligen.py`.

mod config;
mod fuser;
mod grounding;
mod keys;
mod model;
mod position;

pub use config::{FuserConfig, GligenConfig};
pub use grounding::{GroundedBox, Grounding};
pub(crate) use keys::canonical;
pub use model::{Gligen, MOST_BOXES};
