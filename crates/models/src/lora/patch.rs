//! Adapters of a file as changes to a model's weights, in the order in which the LoRA nodes were run.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{
    adapter::Adapter,
    error::AdapterError,
    file::{LoraFile, Target},
    matrix::Matrix,
    prefixes::Part,
};
use crate::weights::Patches;

/// One adapter of a file with the strength it is applied with.
#[derive(Debug, Clone)]
pub struct Patch {
    /// Where the adapter is.
    pub file: LoraFile,
    /// Which one.
    pub target: Target,
    /// How much of it.
    pub strength: f32,
}

impl Patches {
    /// Adds every adapter of `targets`, by model key without `scope` (`diffusion_model.`, `clip_l.transformer.`);
    /// targets outside of the scope are left alone. Returns how many were added.
    pub fn add(&mut self, file: &LoraFile, targets: &[Target], scope: &str, strength: f32) -> usize {
        let before = self.len();
        for target in targets {
            if let Some(key) = target.key.strip_prefix(scope) {
                let patch = Patch { file: file.clone(), target: target.clone(), strength };
                self.push(key, patch);
            }
        }
        self.len() - before
    }
}

impl kiln_memory::Patch for Patch {
    fn name(&self) -> String {
        self.file.label()
    }

    fn key(&self) -> u128 {
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (salt, self.file.label(), &self.target, self.strength.to_bits()).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(1) << 64 | half(2)
    }

    /// An adapter that doesn't fit is reported and leaves the weight as it is, as in the reference.
    fn apply(&self, shape: &[usize], values: &mut [f32]) -> Result<(), String> {
        let adapter = self.file.adapter(&self.target);
        let (rows, columns) = (shape.first().copied().unwrap_or(1), shape.iter().skip(1).product::<usize>());
        match self.target.part {
            Part::Whole => self.change(adapter, shape, values),
            Part::Rows { start, len } if start + len <= rows => {
                let mut part = shape.to_vec();
                part[0] = len;
                self.change(adapter, &part, &mut values[start * columns..(start + len) * columns])
            }
            Part::Rows { start, len } => {
                let weight = &self.target.key;
                tracing::error!(weight, file = self.name(), start, len, rows, "a patch for other rows was left out");
                Ok(())
            }
            Part::Swapped => {
                let half = values.len() / 2;
                values.rotate_left(half);
                let done = self.change(adapter, shape, values);
                values.rotate_right(half);
                done
            }
        }
    }
}

impl Patch {
    fn change(
        &self,
        adapter: Result<Adapter, AdapterError>,
        shape: &[usize],
        values: &mut [f32],
    ) -> Result<(), String> {
        if adapter.as_ref().is_ok_and(|adapter| adapter.apply_in_place(values, self.strength)) {
            return Ok(());
        }
        let mut weight = Matrix { shape: shape.to_vec(), values: values.to_vec() };
        match adapter.and_then(|adapter| adapter.apply(&mut weight, self.strength)) {
            Ok(()) if weight.values.len() == values.len() => values.copy_from_slice(&weight.values),
            Ok(()) => {
                return Err(format!("would change the shape to {:?}, which this network can't take", weight.shape));
            }
            Err(error) => {
                tracing::error!(weight = self.target.key, file = self.file.label(), %error, "a patch was left out");
            }
        }
        Ok(())
    }
}
