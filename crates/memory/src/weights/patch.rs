//! Changes to weights: which weights, in which order, and what tells one set of changes from another.
//! Knows f32 values; knows no LoRA.

use crate::pager::ContentKey;
use std::{
    cell::Cell,
    collections::HashMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// One change to one weight, applied in f32.
pub trait Patch: Send + Sync {
    /// What to call it in messages: a file's name, as a rule.
    fn name(&self) -> String;

    /// Equal keys make equal changes. Must tell apart everything the result depends on: file, tensor, strength.
    fn key(&self) -> u128;

    /// Changes the weight's values, row-major.
    ///
    /// # Errors
    /// Why it doesn't fit this weight, as a sentence's end.
    fn apply(&self, shape: &[usize], values: &mut [f32]) -> Result<(), String>;
}

thread_local! {
    /// How many patches this thread is in the middle of: one may read a weight that has patches of its own.
    static APPLYING: Cell<u32> = const { Cell::new(0) };
}

/// While it lives, this thread applies a patch.
pub(crate) struct Applying;

impl Applying {
    pub(crate) fn begin() -> Self {
        APPLYING.set(APPLYING.get() + 1);
        Self
    }

    /// Whether this thread is in the middle of a patch.
    pub(crate) fn is_on() -> bool {
        APPLYING.get() > 0
    }
}

impl Drop for Applying {
    fn drop(&mut self) {
        APPLYING.set(APPLYING.get() - 1);
    }
}

/// The changes to a model's weights, each weight's in the order they were added.
#[derive(Clone, Default)]
pub struct PatchSet {
    by_weight: HashMap<String, Arc<Patches>>,
}

/// One weight's changes and what its contents are with them.
#[derive(Clone)]
pub(crate) struct Patches {
    pub(crate) list: Vec<Arc<dyn Patch>>,
    pub(crate) key: ContentKey,
}

impl PatchSet {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a change to the weight of that name, after those it has.
    pub fn add(&mut self, weight: impl Into<String>, patch: impl Patch + 'static) {
        let patches = Arc::make_mut(self.by_weight.entry(weight.into()).or_insert_with(|| Arc::new(Patches::none())));
        patches.key = combined(patches.key, patch.key());
        patches.list.push(Arc::new(patch));
    }

    /// The weights it touches.
    pub fn weights(&self) -> impl Iterator<Item = &str> {
        self.by_weight.keys().map(String::as_str)
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.by_weight.is_empty()
    }

    pub(crate) fn get(&self, weight: &str) -> Option<&Arc<Patches>> {
        self.by_weight.get(weight)
    }
}

impl fmt::Debug for PatchSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PatchSet({} weights)", self.by_weight.len())
    }
}

impl Patches {
    fn none() -> Self {
        Self { list: Vec::new(), key: ContentKey::UNPATCHED }
    }
}

/// Order matters: the same patches the other way round are other contents.
fn combined(before: ContentKey, patch: u128) -> ContentKey {
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        (salt, before, patch).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    ContentKey(half(1) << 64 | half(2))
}
