//! Hooks at their strengths as changes to one network's weights.

use kiln_memory::TensorShapes;

use super::{
    error::HookError,
    group::{Hook, HookGroup, HookSource},
    segments::is_close,
    target::{HookTarget, HookedPart},
};
use crate::{
    lora::{LoraFile, Misfit, Target},
    weights::Patches,
};

impl HookGroup {
    /// The changes of all hooks, where `strengths` has a factor for each (what its keyframes say). A hook of strength 0
    /// changes nothing.
    ///
    /// # Errors
    /// [`HookError`] when a LoRA or a model is of another family.
    pub fn patches(&self, strengths: &[f64], target: &HookTarget<'_>) -> Result<Patches, HookError> {
        let mut patches = Patches::default();
        for (i, hook) in self.hooks().iter().enumerate() {
            let strength = hook.strength(target.part, strengths.get(i).copied().unwrap_or(1.0));
            match &hook.weights.source {
                HookSource::Lora(file) => add_lora(&mut patches, file, strength, target)?,
                HookSource::Model(model) => model.add_to(&mut patches, strength, target)?,
            }
        }
        Ok(patches)
    }
}

impl Hook {
    fn strength(&self, part: HookedPart, factor: f64) -> f32 {
        let own = match part {
            HookedPart::Model => self.weights.strength_model,
            HookedPart::Text => self.weights.strength_clip,
        };
        // As the reference: a factor that is nearly 1 counts as 1.
        (if is_close(factor, 1.0) { own } else { own * factor }) as f32
    }
}

fn add_lora(patches: &mut Patches, file: &LoraFile, strength: f32, target: &HookTarget<'_>) -> Result<(), HookError> {
    let names = target.weights.map().names();
    let shapes: TensorShapes =
        names.iter().map(|(key, shape)| (format!("{}{key}", target.scope), shape.to_vec())).collect();
    let mut found = match file.fitting(target.prefixes, &shapes) {
        Ok(found) => found.targets,
        // A file for the other part of a model.
        Err(Misfit::Names { .. }) if target.part == HookedPart::Text || file.is_for_text() => return Ok(()),
        Err(misfit) => return Err(HookError::Lora { file: file.label(), misfit: Box::new(misfit) }),
    };
    if strength == 0.0 {
        found.retain(Target::sets);
    }
    patches.add(file, &found, target.scope, strength);
    Ok(())
}
