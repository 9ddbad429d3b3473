//! A sampling run from noise and conditioning to a latent: everything around the sampler.
//!
//! [`SamplingRun`] is KSampler's path. It gets denoised latents from a [`Predictor`] (a [`Network`](crate::nets::Network) with
//! its [`ModelSampling`] is one), for each condition where and when it holds, mixes them by [`Guidance`], keeps masked parts, and hands the
//! result to a [sampler](crate::sampler). Knows nothing of prompts, files or nodes.
//!
//! Sources: ComfyUI `comfy/samplers.py`, `comfy/sampler_helpers.py`, `comfy/model_base.py`.
//!
//! [`ModelSampling`]: crate::schedule::ModelSampling

mod evaluate;
mod frame_course;
mod guidance;
mod hooked;
mod image_noise;
mod inpaint;
mod ksampler;
mod patches;
mod predictor;
mod prepare;
mod reuse;
mod side;
mod start;
mod vector;

pub use frame_course::FrameCourse;
pub use guidance::Guidance;
pub use ksampler::{Outcome, SamplingRun, noise_for};
pub use patches::{BlockSkips, GuidancePatch, LatentChange, LevelRange, ModelPatches};
pub use predictor::{Inputs, NetworkPredictor, Predictor};
pub use reuse::{ReuseOf, StepReuse};
pub use start::StartLatent;
pub use vector::size_vector;
