//! A hook and a group of them: values that travel with conditions.

use std::sync::Arc;

use super::{difference::ModelAsLora, error::HookError, keyframes::Keyframes};
use crate::lora::LoraFile;

/// What a hook changes weights with, and how strongly. One node's result; its copies are the same hook.
#[derive(Debug)]
pub struct HookWeights {
    /// Where the changes come from.
    pub source: HookSource,
    /// How strongly a diffusion model changes.
    pub strength_model: f64,
    /// How strongly text encoders change.
    pub strength_clip: f64,
}

/// Where a hook's changes come from.
#[derive(Debug)]
pub enum HookSource {
    /// Adapters of a LoRA file.
    Lora(LoraFile),
    /// The difference to another model.
    Model(ModelAsLora),
}

/// Changes of weights with their keyframes.
#[derive(Debug, Clone)]
pub struct Hook {
    /// The changes.
    pub weights: Arc<HookWeights>,
    /// A factor on their strengths over the run; 1 throughout without keyframes.
    pub keyframes: Arc<Keyframes>,
}

/// Hooks that act together, in the order in which they are applied. No hook is there twice.
#[derive(Debug, Clone, Default)]
pub struct HookGroup {
    hooks: Vec<Hook>,
}

impl HookGroup {
    /// A group of one new hook without keyframes.
    ///
    /// # Errors
    /// [`HookError::Number`] for a strength that isn't finite.
    pub fn of(weights: HookWeights) -> Result<Self, HookError> {
        for (what, found) in [("strength_model", weights.strength_model), ("strength_clip", weights.strength_clip)] {
            if !found.is_finite() {
                return Err(HookError::Number { what, found });
            }
        }
        Ok(Self { hooks: vec![Hook { weights: Arc::new(weights), keyframes: Arc::default() }] })
    }

    /// These hooks and those of `other` that aren't among them; of a hook that is in both, the first keeps its keyframes.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let mut hooks = self.hooks.clone();
        for hook in &other.hooks {
            if !hooks.iter().any(|own| Arc::ptr_eq(&own.weights, &hook.weights)) {
                hooks.push(hook.clone());
            }
        }
        Self { hooks }
    }

    /// The same hooks, all with these keyframes.
    #[must_use]
    pub fn with_keyframes(&self, keyframes: &Keyframes) -> Self {
        let keyframes = Arc::new(keyframes.clone());
        let scheduled = |hook: &Hook| Hook { weights: hook.weights.clone(), keyframes: keyframes.clone() };
        Self { hooks: self.hooks.iter().map(scheduled).collect() }
    }

    /// The hooks.
    pub fn hooks(&self) -> &[Hook] {
        &self.hooks
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hooks.is_empty()
    }

    /// Whether these are the other's hooks with the other's keyframes: at each step they change weights alike.
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |(own, theirs): (&Hook, &Hook)| {
            Arc::ptr_eq(&own.weights, &theirs.weights) && Arc::ptr_eq(&own.keyframes, &theirs.keyframes)
        };
        self.hooks.len() == other.hooks.len() && self.hooks.iter().zip(&other.hooks).all(same)
    }
}
