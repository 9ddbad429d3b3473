//! Flux: transformers of double and single blocks over text and image tokens. Flux.1 (dev, schnell, Fill, Canny, Depth,
//! Kontext) and Flux.2 by configuration.

mod block;
mod config;
mod denoiser;
mod embed;
mod family;
mod keys;
mod lora_keys;
mod model;
mod names;
mod reference;

pub use config::{FluxConfig, FluxVersion};
pub use family::FLUX;
pub use keys::{diffusers, original};
pub use lora_keys::flux_keys;
pub use model::{Flux, FluxInputs};
