//! ControlNets: a second way down beside the UNet's, which sees an image and adds to the UNet's skips.
//!
//! Sources: Zhang et al. 2023, `cldm.py` of lllyasviel's ControlNet; strength, range and stacking as in ComfyUI.

mod config;
mod keys;
mod lora;
mod model;
mod source;
mod union;

pub use config::ControlNetConfig;
pub(crate) use keys::canonical;
pub use lora::ControlLora;
pub use model::{ControlNet, Hint};
pub use source::{Control, ControlNetwork};
pub use union::UnionConfig;
