//! Stable Diffusion's networks on burn: text encoders, UNet, autoencoder, samplers, torch's noise.
mod checkpoint;
pub mod clip;
pub mod detect;
mod error;
mod keymap;
mod latent;
pub mod layers;
mod names;
pub mod ops;
pub mod random;
pub mod schedule;
mod shelf;
pub mod tokenizer;
pub mod unet;
pub mod vae;
mod view;
mod watch;

pub use checkpoint::{Checkpoint, DiffusionModel, TextEncoders};
pub use error::{Fault, Faults, ModelError};
pub use keymap::{KeyMap, Part, Place};
pub use latent::LatentFormat;
pub use names::Names;
pub use view::{Keyed, names_of};
pub use watch::{Watch, Watcher};
