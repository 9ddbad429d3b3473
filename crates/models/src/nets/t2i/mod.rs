//! T2I-Adapters: small networks that read an image once per run and add to the activations of a UNet's way down.
//!
//! Sources: Mou et al. 2023 and TencentARC's T2I-Adapter (full and light, SD1 and SDXL); strength, range and stacking as in
//! ComfyUI.

mod block;
mod config;
mod keys;
mod model;
mod source;

pub use config::{AdapterConfig, AdapterKind};
pub(crate) use keys::canonical;
pub use model::Adapter;
pub use source::AdapterControl;
