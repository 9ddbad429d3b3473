//! Hypernetworks: small networks through which keys and values of every attention go, one pair for each width.
//!
//! Sources: the format is that of AUTOMATIC1111's web UI; what of it counts and how as in ComfyUI
//! `comfy_extras/nodes_hypernetwork.py`. Dropout belongs to training and is left out.

mod activation;
mod config;
mod model;

pub use activation::Nonlinearity;
pub use config::{HypernetworkConfig, LayerConfig};
pub use model::{Hypernetwork, HypernetworkChange};
