//! Changes to one network's weights, in the order in which they are applied.
//!
//! Knows keys and their changes. Knows nothing of what a change is: adapters and mixtures add theirs.

use std::sync::Arc;

use kiln_memory::{Patch, PatchSet};

/// Changes to one network's weights, by the network's own keys, in the order in which they are applied.
#[derive(Clone, Default)]
pub struct Patches {
    list: Vec<(String, Change)>,
}

/// A change, shared by all models that have it.
#[derive(Clone)]
struct Change(Arc<dyn Patch>);

impl Patches {
    /// Adds a change to the weight under `key`, after those it has.
    pub fn push(&mut self, key: impl Into<String>, change: impl Patch + 'static) {
        self.list.push((key.into(), Change(Arc::new(change))));
    }

    /// Whether the weight under `key` is changed.
    pub fn has(&self, key: &str) -> bool {
        self.list.iter().any(|(changed, _)| changed == key)
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Tells the contents of a weight under these changes from its contents under others.
    pub(super) fn contents(&self, key: &str) -> u128 {
        let changes = self.list.iter().filter(|(changed, _)| changed == key);
        changes.fold(0u128, |contents, (_, change)| contents.rotate_left(7) ^ change.key())
    }

    /// Whether the other's changes are these.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let same =
            |(own, theirs): (&(String, Change), &(String, Change))| own.0 == theirs.0 && own.1.key() == theirs.1.key();
        self.len() == other.len() && self.list.iter().zip(&other.list).all(same)
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
            set.add(key.as_str(), change.clone());
        }
        set
    }
}

impl std::fmt::Debug for Patches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.list.iter().map(|(key, change)| (key, change.name()))).finish()
    }
}

impl Patch for Change {
    fn name(&self) -> String {
        self.0.name()
    }

    fn key(&self) -> u128 {
        self.0.key()
    }

    fn apply(&self, shape: &[usize], values: &mut [f32]) -> Result<(), String> {
        self.0.apply(shape, values)
    }
}
