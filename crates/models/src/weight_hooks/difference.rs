//! Another model as a LoRA: a weight moves towards the other model's by a part of their difference.

use std::hash::{DefaultHasher, Hash, Hasher};

use kiln_memory::Weight;

use super::{
    error::HookError,
    target::{HookTarget, HookedPart},
};
use crate::weights::{ModelWeights, Patches};

/// The weights of another model, towards which a model is moved.
#[derive(Debug, Clone)]
pub struct ModelAsLora {
    /// Its file.
    pub label: String,
    /// Its diffusion model's weights.
    pub model: Option<ModelWeights>,
    /// The weights of its text encoders, each with what stands before its keys (`clip_l.transformer.`).
    pub text: Vec<(String, ModelWeights)>,
}

impl ModelAsLora {
    /// Adds the differences of all weights that both models have.
    pub(super) fn add_to(
        &self,
        patches: &mut Patches,
        strength: f32,
        target: &HookTarget<'_>,
    ) -> Result<(), HookError> {
        if strength == 0.0 {
            return Ok(());
        }
        let other = self.part(target)?;
        let mut unchanged = None;
        for (key, _) in target.weights.map().iter() {
            let (Ok(theirs), Some(own)) = (other.weights().weight(key), target.weights.weights().info(key)) else {
                continue;
            };
            if theirs.shape() != own.shape {
                let weight = format!("{}{key}", target.scope);
                let (found, expected) = (theirs.shape().to_vec(), own.shape.clone());
                return Err(HookError::Shape { file: self.label.clone(), weight, found, expected });
            }
            let changed = target.weights.patches().has(key) || patches.has(key);
            let base = changed.then(|| unchanged.get_or_insert_with(|| target.weights.weights().apart()));
            let base = base.and_then(|weights| weights.weight(key).ok());
            patches.push(key, Difference { other: theirs, base, strength, label: self.label.clone() });
        }
        Ok(())
    }

    /// The other network that a target is moved towards.
    fn part(&self, target: &HookTarget<'_>) -> Result<&ModelWeights, HookError> {
        let (found, part) = match target.part {
            HookedPart::Model => (self.model.as_ref(), "diffusion model".to_owned()),
            HookedPart::Text => {
                let named = self.text.iter().find(|(scope, _)| scope == target.scope).map(|(_, weights)| weights);
                (named, format!("text encoder `{}`", target.scope.split('.').next().unwrap_or_default()))
            }
        };
        found.ok_or_else(|| HookError::NoPart { file: self.label.clone(), part })
    }
}

/// `W + s · (other - base)`, where `base` is `W` before any change.
struct Difference {
    other: Weight,
    /// The weight as its file has it; none where this is the first change, which gets it as it is.
    ///
    /// Of weights apart: those that carry this change would else hold themselves.
    base: Option<Weight>,
    strength: f32,
    label: String,
}

impl kiln_memory::Patch for Difference {
    fn name(&self) -> String {
        self.label.clone()
    }

    fn key(&self) -> u128 {
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (salt, "difference", &self.label, self.other.name(), self.strength.to_bits()).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(1) << 64 | half(2)
    }

    fn apply(&self, shape: &[usize], values: &mut [f32]) -> Result<(), String> {
        if shape != self.other.shape() {
            return Err(format!("the other model's weight is {:?}", self.other.shape()));
        }
        // Row by row of the file: neither takes a place that a weight in use could have.
        let whole = |weight: &Weight| {
            let rows = weight.shape().first().copied().unwrap_or(0);
            weight.read_rows(0..rows).map_err(|error| error.to_string())
        };
        let other = whole(&self.other)?;
        match &self.base {
            Some(base) => {
                let base = whole(base)?;
                let pairs = other.iter().zip(base.iter());
                values.iter_mut().zip(pairs).for_each(|(own, (other, base))| *own += self.strength * (other - base));
            }
            None => {
                values.iter_mut().zip(other.iter()).for_each(|(own, other)| *own += self.strength * (other - *own));
            }
        }
        Ok(())
    }
}
