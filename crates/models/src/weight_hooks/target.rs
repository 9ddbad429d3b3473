//! What hooks change: one network, and how model keys name its weights.

use crate::{lora::Prefixes, weights::ModelWeights};

/// A network that hooks change.
#[derive(Debug, Clone, Copy)]
pub struct HookTarget<'a> {
    /// What it is.
    pub part: HookedPart,
    /// What prefixes of LoRA files mean, as model keys.
    pub prefixes: &'a Prefixes,
    /// What stands before the network's keys in model keys: `diffusion_model.`, `clip_l.transformer.`.
    pub scope: &'a str,
    /// Its weights.
    pub weights: &'a ModelWeights,
}

/// Which of a hook's strengths counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookedPart {
    /// A diffusion model.
    Model,
    /// A text encoder.
    Text,
}
