//! The networks, a folder each: `config.rs` (plain sizes, found by names and shapes), `keys.rs` (what files call the
//! tensors), `model.rs`. Beside them what is the same for all: layers, layers over frames, the trait of denoising networks, control,
//! changes to a pass, a tap on activations.
//!
//! Knows weight handles and tensors. Knows no file and no run.

mod activations;
pub mod clip;
mod condition_inputs;
mod control;
pub mod controlnet;
mod denoiser;
pub mod detector;
pub mod family;
pub mod flux;
mod frames;
pub mod gligen;
pub mod hooks;
pub mod hypernetwork;
pub mod layers;
pub mod llm;
pub mod mmdit;
mod patches;
pub mod qwen_image;
pub mod qwen_vision;
mod residuals;
pub mod segmenter;
mod side_inputs;
pub mod t2i;
pub mod t5;
pub mod taehv;
pub mod taesd;
mod transformer_call;
pub mod unet;
pub mod upscale;
pub mod vae;
pub mod vae3d;
pub mod vision;
pub mod zimage;

pub use activations::{ActivationFn, ActivationTap};
pub use condition_inputs::{ConditionInputs, ReferenceMethod, References};
pub use control::{ControlCall, ControlSource};
pub use denoiser::{Extras, Network, PassModifiers};
pub use residuals::Residuals;
pub use side_inputs::SideInputs;
