//! The samplers: plain functions from a noisy latent and a list of noise levels to a latent.
//!
//! A sampler sees a [`SamplerContext`]: a model that denoises, the model's noise schedule, options, a source of
//! step noise, and a callback. It keeps no state between calls. Knows nothing of prompts, guidance or networks.
//!
//! Sources: ComfyUI `comfy/k_diffusion/sampling.py`, `deis.py`, `sa_solver.py`, `comfy/extra_samplers/uni_pc.py`;
//! k-diffusion; the papers named at each function. Scalars are f32, as the reference's are, with exponentials and
//! logarithms evaluated in f64.

mod adaptive;
mod ancestral;
mod cfg_pp;
mod context;
mod dpm_solver;
mod dpmpp;
mod dpmpp_sde;
mod er_sde;
mod error;
mod kind;
mod lcm_upscale;
mod math;
mod multistep;
mod noise;
mod residual;
mod sa_solver;
mod seeds;
mod single;
mod uni_pc;

pub use context::{Denoised, Denoiser, Options, ProgressiveUpscale, SamplerContext, Step, StepFn};
pub use error::SamplingError;
pub use kind::{SamplerFn, SamplerKind};
