//! Changes between a file and a network: a source that applies adapters to the weights it hands out.
//!
//! Weights without a patch go through untouched, pointer and all; a patched one is computed when it is loaded, and
//! kept by whoever keeps it.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use kiln_memory::{FormatError, SourceError, TensorInfo, TensorSource};

use super::{Array, LoraFile, Target};

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

/// Patches by the key of the weight they change, in the order in which they are applied.
#[derive(Debug, Clone, Default)]
pub struct Patches {
    by_key: HashMap<String, Vec<Patch>>,
}

impl Patches {
    /// Adds every adapter of `targets`, by model key without `scope` (`diffusion_model.`, `clip_l.transformer.`);
    /// targets outside of the scope are left alone. Answers how many were added.
    pub fn add(&mut self, file: &LoraFile, targets: &[Target], scope: &str, strength: f32) -> usize {
        let mut added = 0;
        for target in targets {
            let Some(key) = target.key.strip_prefix(scope) else { continue };
            let patch = Patch { file: file.clone(), target: target.clone(), strength };
            self.by_key.entry(key.to_owned()).or_default().push(patch);
            added += 1;
        }
        added
    }

    /// Appends the patches of `other`.
    pub fn extend(&mut self, other: &Self) {
        for (key, patches) in &other.by_key {
            self.by_key.entry(key.clone()).or_default().extend(patches.iter().cloned());
        }
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// How many weights are changed.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Applies the patches of `key` to `weight`. One that doesn't fit is reported and left out, as in the reference.
    pub(crate) fn apply(&self, key: &str, weight: &mut Array) {
        for Patch { file, target, strength } in self.by_key.get(key).into_iter().flatten() {
            let done = file.adapter(target).and_then(|adapter| adapter.apply(weight, *strength));
            if let Err(error) = done {
                tracing::error!(key, ?file, %error, "a patch was left out");
            }
        }
    }
}

/// A source with patches over it.
pub(crate) struct Patched {
    inner: Arc<dyn TensorSource>,
    patches: Patches,
    /// Whether weights are f16 before patches are applied to them (text encoders).
    halves: bool,
}

impl Patched {
    pub(crate) fn new(inner: Arc<dyn TensorSource>, patches: Patches, halves: bool) -> Self {
        Self { inner, patches, halves }
    }

    fn touches(&self, name: &str) -> bool {
        self.patches.by_key.contains_key(name)
    }
}

impl TensorSource for Patched {
    fn label(&self) -> String {
        self.inner.label()
    }

    fn names(&self) -> Vec<&str> {
        self.inner.names()
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.inner.info(name)
    }

    fn slice(&self, name: &str) -> Option<Bytes> {
        if self.touches(name) { None } else { self.inner.slice(name) }
    }

    fn read_f32(&self, name: &str, out: &mut [f32]) -> Result<(), SourceError> {
        self.inner.read_f32(name, out)?;
        if !self.touches(name) {
            return Ok(());
        }
        if self.halves {
            out.iter_mut().for_each(|v| *v = half::f16::from_f32(*v).to_f32());
        }
        let shape = self.info(name).map(|info| info.shape.clone()).unwrap_or_default();
        let mut weight = Array { shape, values: out.to_vec() };
        self.patches.apply(name, &mut weight);
        if weight.values.len() != out.len() {
            let what = format!("a patch changes its shape to {:?}, which this network can't take", weight.shape);
            return Err(SourceError::Other { tensor: name.to_owned(), what });
        }
        out.copy_from_slice(&weight.values);
        Ok(())
    }

    fn check(&self) -> Result<(), FormatError> {
        self.inner.check()
    }
}
