//! Stable Diffusion's networks on burn: text encoders, UNet, autoencoder, samplers, torch's noise.
pub mod clip;
mod error;
mod keymap;
pub mod layers;
mod names;
pub mod ops;
mod shelf;
pub mod unet;
pub mod vae;
mod view;
mod watch;

pub use error::{Fault, Faults, ModelError};
pub use keymap::{KeyMap, Part, Place};
pub use names::Names;
pub use view::{Keyed, names_of};
pub use watch::{Watch, Watcher};
