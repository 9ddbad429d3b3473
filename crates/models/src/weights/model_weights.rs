//! The weights of one network: its own keys over a source, and what changes them on their way.
//!
//! Knows sources, key maps and patches, no network.

use std::sync::Arc;

use kiln_memory::{Budget, KeyMap, RenamedSource, Rounding, TensorShapes, TensorSource, Weights};

use super::{mix::Mix, patches::Patches, stochastic::StochasticRounding};

/// The weights of one network under its own keys, with the map back to the file's names.
#[derive(Debug, Clone)]
pub struct ModelWeights {
    weights: Weights,
    map: KeyMap,
    /// What changes them on their way from the file.
    patches: Patches,
    rounding: Option<Rounding>,
    /// What the reference has before the keys: the seeds of rounding depend on it.
    scope: Arc<str>,
}

impl ModelWeights {
    /// The places of `map` in `source`, held by `holder` under `budget`.
    pub fn new(source: Arc<dyn TensorSource>, map: KeyMap, holder: &str, budget: &Arc<Budget>) -> Self {
        let weights = Weights::new(RenamedSource::new(source, &map), holder, budget);
        Self { weights, map, patches: Patches::default(), rounding: None, scope: "".into() }
    }

    /// Every tensor of `source` under its own name.
    pub fn plain(source: impl TensorSource + 'static, holder: &str, budget: &Arc<Budget>) -> Self {
        let map = KeyMap::under(&TensorShapes::of(&source), "");
        Self::new(Arc::new(source), map, holder, budget)
    }

    /// These weights, each rounded when it is loaded.
    #[must_use]
    pub fn with_rounding(self, rounding: Rounding) -> Self {
        Self { weights: self.weights.with_rounding(rounding), rounding: Some(rounding), ..self }
    }

    /// These weights as the reference names them: `scope` before each key (`diffusion_model.`).
    #[must_use]
    pub fn scoped(self, scope: &str) -> Self {
        Self { scope: scope.into(), ..self }
    }

    /// These weights with more patches, applied after those that are there. What neither view changes is shared. What is
    /// held in eight bits is rounded to them again after its last patch.
    #[must_use]
    pub fn patched(&self, patches: &Patches) -> Self {
        let mut all = self.patches.clone();
        all.extend(patches);
        let mut set = all.to_set();
        let changed: Vec<String> = set.weights().map(str::to_owned).collect();
        for key in changed {
            let name = format!("{}{key}", self.scope);
            if let Some(last) = StochasticRounding::of(self.weights.source(), &key, &name, self.rounding) {
                set.add(key, last);
            }
        }
        Self { weights: self.weights.patched(set), patches: all, ..self.clone() }
    }

    /// These weights, each mixed with `other`'s of the same key: `own · W + others · W2` where `share` returns
    /// `(own, others)`. Keys that `other` lacks, and those with the shares `(1, 0)`, stay as they are.
    #[must_use]
    pub fn merged(&self, other: &Self, share: impl Fn(&str) -> (f32, f32)) -> Self {
        let mut patches = Patches::default();
        for (key, _) in self.map.iter() {
            let (own, others) = share(key);
            let Ok(weight) = other.weights.weight(key) else { continue };
            if (own, others) != (1.0, 0.0) {
                let (contents, label) = (other.patches.contents(key), other.weights.source().label());
                patches.push(key, Mix { other: weight, contents, own, others, label });
            }
        }
        self.patched(&patches)
    }

    /// Whether these are the same weights under the same changes.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.weights.source(), other.weights.source()) && self.patches.is_same(&other.patches)
    }

    /// What changes these weights on their way from the file.
    pub fn patches(&self) -> &Patches {
        &self.patches
    }

    /// The weights by key.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Where each key is in the file.
    pub fn map(&self) -> &KeyMap {
        &self.map
    }

    /// Keys that no layer has asked for, by their names in the file.
    pub fn unused(&self) -> Vec<String> {
        let used: std::collections::HashSet<String> = self.weights.used_names().into_iter().collect();
        let unused = self.map.iter().filter(|(key, _)| !used.contains(*key));
        unused.flat_map(|(_, place)| place.tensors().map(str::to_owned)).collect()
    }
}
