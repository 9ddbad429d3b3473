//! Models with the adapters of LoRA files on their weights.

use kiln_memory::TensorShapes;

use super::keys::text_keys;
use crate::{
    checkpoint::{
        diffusion::DiffusionModel,
        text::{Encoder, TextEncoders},
    },
    error::ModelError,
    lora::{LoraFile, Prefixes, Target},
    weight_hooks::{HookGroup, HookTarget, HookedPart},
    weights::Patches,
};

impl TextEncoders {
    /// The weights that a LoRA's prefixes mean here.
    ///
    /// # Errors
    /// When a configuration contradicts itself.
    pub fn lora_keys(&self) -> Result<Prefixes, ModelError> {
        let configs: Vec<_> = self.encoders.iter().map(|encoder| (encoder.role, encoder.model.config())).collect();
        text_keys(&configs.iter().map(|(role, config)| (*role, config)).collect::<Vec<_>>())
    }

    /// Every weight with its shape, by the keys that [`lora_keys`](Self::lora_keys) returns.
    pub fn lora_shapes(&self) -> TensorShapes {
        let scoped = |encoder: &Encoder| {
            let names = encoder.weights.map().names();
            let scope = encoder.scope();
            names.iter().map(|(key, shape)| (format!("{scope}{key}"), shape.to_vec())).collect::<Vec<_>>()
        };
        self.encoders.iter().flat_map(scoped).collect()
    }

    /// These encoders with adapters of a LoRA file applied to their weights when they are loaded.
    ///
    /// # Errors
    /// When a network can't be built again.
    pub fn patched(&self, file: &LoraFile, targets: &[Target], strength: f32) -> Result<Self, ModelError> {
        let patch = |encoder: &Encoder| {
            let mut patches = Patches::default();
            patches.add(file, targets, &encoder.scope(), strength);
            if patches.is_empty() {
                return Ok(encoder.clone());
            }
            encoder.with_weights(encoder.weights.patched(&patches))
        };
        let encoders = self.encoders.iter().map(patch).collect::<Result<_, ModelError>>()?;
        Ok(Self { recipe: self.recipe, encoders })
    }

    /// These encoders under hooks, where `strengths` has a factor for each hook: what its keyframes say.
    ///
    /// # Errors
    /// When a hook is of another family, or a network can't be built again.
    pub fn hooked(&self, hooks: &HookGroup, strengths: &[f64]) -> Result<Self, ModelError> {
        let prefixes = self.lora_keys()?;
        let patch = |encoder: &Encoder| {
            let (scope, weights) = (encoder.scope(), &encoder.weights);
            let target = HookTarget { part: HookedPart::Text, prefixes: &prefixes, scope: &scope, weights };
            let patches = hooks.patches(strengths, &target)?;
            if patches.is_empty() { Ok(encoder.clone()) } else { encoder.with_weights(weights.patched(&patches)) }
        };
        let encoders = self.encoders.iter().map(patch).collect::<Result<_, ModelError>>()?;
        Ok(Self { recipe: self.recipe, encoders })
    }
}

impl DiffusionModel {
    /// The weights that a LoRA's prefixes mean here.
    ///
    /// # Errors
    /// When the configuration contradicts itself.
    pub fn lora_keys(&self) -> Result<Prefixes, ModelError> {
        self.network.lora_keys()
    }

    /// Every weight with its shape, by the keys that [`lora_keys`](Self::lora_keys) returns.
    pub fn lora_shapes(&self) -> TensorShapes {
        let names = self.weights.map().names();
        names.iter().map(|(key, shape)| (format!("diffusion_model.{key}"), shape)).collect()
    }

    /// This model with adapters of a LoRA file applied to its weights when they are loaded.
    ///
    /// # Errors
    /// When the network can't be built again.
    pub fn patched(&self, file: &LoraFile, targets: &[Target], strength: f32) -> Result<Self, ModelError> {
        let mut patches = Patches::default();
        patches.add(file, targets, "diffusion_model.", strength);
        self.with_weights(self.weights.patched(&patches))
    }
}
