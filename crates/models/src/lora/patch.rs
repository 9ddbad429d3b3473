//! Adapters of a file as changes to a model's weights, in the order in which the LoRA nodes were run.

use std::hash::{DefaultHasher, Hash, Hasher};

use kiln_memory::PatchSet;

use super::{Array, LoraFile, Mix, Target};

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

/// Changes to one network's weights, by the network's own keys, in the order in which they are applied.
#[derive(Debug, Clone, Default)]
pub struct Patches {
    list: Vec<(String, Change)>,
}

#[derive(Debug, Clone)]
enum Change {
    Adapter(Patch),
    Mix(Mix),
}

impl Change {
    fn key(&self) -> u128 {
        use kiln_memory::Patch;
        match self {
            Self::Adapter(patch) => patch.key(),
            Self::Mix(mix) => mix.key(),
        }
    }
}

impl Patches {
    /// Adds every adapter of `targets`, by model key without `scope` (`diffusion_model.`, `clip_l.transformer.`);
    /// targets outside of the scope are left alone. Answers how many were added.
    pub fn add(&mut self, file: &LoraFile, targets: &[Target], scope: &str, strength: f32) -> usize {
        let before = self.list.len();
        for target in targets {
            if let Some(key) = target.key.strip_prefix(scope) {
                let patch = Patch { file: file.clone(), target: target.clone(), strength };
                self.list.push((key.to_owned(), Change::Adapter(patch)));
            }
        }
        self.list.len() - before
    }

    /// Adds a weighted sum with another model's weight.
    pub fn mix(&mut self, key: &str, mix: Mix) {
        self.list.push((key.to_owned(), Change::Mix(mix)));
    }

    /// Tells the contents of a weight under these changes from its contents under others.
    pub(crate) fn contents(&self, key: &str) -> u128 {
        let changes = self.list.iter().filter(|(changed, _)| changed == key);
        changes.fold(0u128, |contents, (_, change)| contents.rotate_left(7) ^ change.key())
    }

    /// Appends the patches of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.list.extend(other.list.iter().cloned());
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// As changes that weights are loaded with.
    pub fn to_set(&self) -> PatchSet {
        let mut set = PatchSet::new();
        for (key, change) in &self.list {
            match change {
                Change::Adapter(patch) => set.add(key.as_str(), patch.clone()),
                Change::Mix(mix) => set.add(key.as_str(), mix.clone()),
            }
        }
        set
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
        if adapter.as_ref().is_ok_and(|adapter| adapter.apply_in_place(values, self.strength)) {
            return Ok(());
        }
        let mut weight = Array { shape: shape.to_vec(), values: values.to_vec() };
        match adapter.and_then(|adapter| adapter.apply(&mut weight, self.strength)) {
            Ok(()) if weight.values.len() == values.len() => values.copy_from_slice(&weight.values),
            Ok(()) => {
                return Err(format!("would change the shape to {:?}, which this network can't take", weight.shape));
            }
            Err(error) => tracing::error!(weight = self.target.key, file = self.name(), %error, "a patch was left out"),
        }
        Ok(())
    }
}
