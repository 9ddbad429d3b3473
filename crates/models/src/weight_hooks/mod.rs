//! Hooks on weights: changes that belong to a condition and not to a model, with a strength that follows the run.
//!
//! A [`HookGroup`] rides on a condition (or on text encoders). At a noise level its [`Keyframes`] say how strongly each
//! [`Hook`] acts, and [`HookGroup::patches`] makes of that the [`Patches`](crate::Patches) of one network: a view of weights that
//! lie where they lie, so that going from one strength to another copies nothing. Knows no network family and no sampler.
//!
//! Source of the rules: ComfyUI `comfy/hooks.py`, `comfy/model_patcher.py`, `comfy/lora.py`.

mod clock;
mod difference;
mod error;
mod group;
mod interpolation;
mod keyframes;
mod patches;
mod segments;
mod target;

pub use clock::KeyframeClock;
pub use difference::ModelAsLora;
pub use error::HookError;
pub use group::{Hook, HookGroup, HookSource, HookWeights};
pub use interpolation::Interpolation;
pub use keyframes::{Keyframe, Keyframes};
pub use segments::Segment;
pub use target::{HookTarget, HookedPart};
