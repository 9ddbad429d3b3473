//! Whether a LoRA file is for a model: what of it belongs there, and why a file is of another family.

use kiln_memory::TensorShapes;

use super::{
    file::{Found, LoraFile, ShapeMismatch, Target},
    prefixes::Prefixes,
};

/// Why a file is for another family of models. Displays as a sentence's end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// No tensor's name means a weight of the model.
    #[error("none of its {tensors} tensors fits this model{}; it is for another family", in_words(.example.as_deref()))]
    Names {
        /// How many tensors it has.
        tensors: usize,
        /// One of them.
        example: Option<String>,
    },
    /// Every adapter has the shape of another weight.
    #[error(
        "none of its {adapters} adapters fits this model: tensor `{}` is {:?}, and `{weight}` is {:?}; it is for another \
         family",
        .mismatch.tensor, .mismatch.found, .mismatch.weight
    )]
    Shapes {
        /// How many adapters it has.
        adapters: usize,
        /// The first of them.
        mismatch: ShapeMismatch,
        /// The weight that it is for.
        weight: String,
    },
}

fn in_words(tensor: Option<&str>) -> String {
    tensor.map(|tensor| format!(" (it has `{tensor}`)")).unwrap_or_default()
}

/// Beginnings of names that mean text encoders in every convention.
const TEXT: [&str; 5] = ["lora_te", "lora_prior_te", "text_encoder", "te_", "clip_"];

impl LoraFile {
    /// What of the file belongs to a model with these weights.
    ///
    /// # Errors
    /// [`Misfit`] when nothing does, or nothing fits.
    pub fn fitting(&self, prefixes: &Prefixes, shapes: &TensorShapes) -> Result<Found, Misfit> {
        let found = self.find(prefixes);
        if found.targets.is_empty() {
            let example = found.unmatched.first().cloned();
            return Err(Misfit::Names { tensors: found.unmatched.len(), example });
        }
        let mismatch = |target: &Target| shapes.shape(&target.key).and_then(|shape| self.shape_mismatch(target, shape));
        let mismatches: Vec<(&Target, ShapeMismatch)> =
            found.targets.iter().filter_map(|target| Some((target, mismatch(target)?))).collect();
        match mismatches.first() {
            Some((target, mismatch)) if mismatches.len() == found.targets.len() => Err(Misfit::Shapes {
                adapters: mismatches.len(),
                mismatch: mismatch.clone(),
                weight: target.key.clone(),
            }),
            _ => Ok(found),
        }
    }

    /// Whether all of it, by its names, is for text encoders.
    pub fn is_for_text(&self) -> bool {
        let found = self.find(&Prefixes::new());
        found.unmatched.iter().all(|name| TEXT.iter().any(|start| name.starts_with(start)))
    }
}
