//! A file seen under a network's own keys: renamed, cut into rows, reshaped or transposed, without a copy where the
//! bytes lie in order.
//!
//! Knows sources and key maps, no network.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use kiln_memory::{
    Budget, DecodeError, FormatError, Reading, Rounding, SourceError, TensorInfo, TensorSource, Weights,
};

use crate::{
    KeyMap, TensorShapes,
    keymap::Slice,
    lora::{Mix, Patches},
};

/// The weights of one network under its own keys, with the map back to the file's names.
#[derive(Debug, Clone)]
pub struct ModelWeights {
    weights: Weights,
    map: KeyMap,
    /// What changes them on their way from the file.
    patches: Patches,
}

impl ModelWeights {
    /// The places of `map` in `source`, held by `holder` under `budget`.
    pub fn new(source: Arc<dyn TensorSource>, map: KeyMap, holder: &str, budget: &Arc<Budget>) -> Self {
        let weights = Weights::new(View::new(source, &map), holder, budget);
        Self { weights, map, patches: Patches::default() }
    }

    /// Every tensor of `source` under its own name.
    pub fn plain(source: impl TensorSource + 'static, holder: &str, budget: &Arc<Budget>) -> Self {
        let map = KeyMap::under(&names_of(&source), "");
        Self::new(Arc::new(source), map, holder, budget)
    }

    /// The same weights, each rounded when it is loaded.
    #[must_use]
    pub fn with_rounding(self, rounding: Rounding) -> Self {
        Self { weights: self.weights.with_rounding(rounding), ..self }
    }

    /// The same weights with more patches, applied after those that are there. What neither view changes is shared.
    #[must_use]
    pub fn patched(&self, patches: &Patches) -> Self {
        let mut all = self.patches.clone();
        all.extend(patches);
        Self { weights: self.weights.patched(all.to_set()), patches: all, map: self.map.clone() }
    }

    /// The same weights, each mixed with `other`'s of the same key: `own · W + others · W2` where `share` answers
    /// `(own, others)`. Keys that `other` lacks, and those with the shares `(1, 0)`, stay as they are.
    #[must_use]
    pub fn merged(&self, other: &Self, share: impl Fn(&str) -> (f32, f32)) -> Self {
        let mut patches = Patches::default();
        for (key, _) in self.map.iter() {
            let (own, others) = share(key);
            let Ok(weight) = other.weights.weight(key) else { continue };
            if (own, others) != (1.0, 0.0) {
                let (contents, label) = (other.patches.contents(key), other.weights.source().label());
                patches.mix(key, Mix { other: weight, contents, own, others, label });
            }
        }
        self.patched(&patches)
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
        self.map.iter().filter(|(key, _)| !used.contains(*key)).map(|(_, place)| place.tensor.clone()).collect()
    }
}

/// Names and shapes of a source, in its order.
pub fn names_of(source: &dyn TensorSource) -> TensorShapes {
    let shape = |name: &str| source.info(name).map(|info| info.shape.clone()).unwrap_or_default();
    source.names().into_iter().map(|name| (name, shape(name))).collect()
}

/// A source whose tensors are parts of another's.
struct View {
    inner: Arc<dyn TensorSource>,
    tensors: indexmap::IndexMap<String, Seen>,
}

struct Seen {
    tensor: String,
    part: Slice,
    info: TensorInfo,
}

impl View {
    /// Keys whose tensor `inner` lacks, or whose part is outside of it, are left out: a network then reports them missing.
    fn new(inner: Arc<dyn TensorSource>, map: &KeyMap) -> Self {
        let seen = |(key, place): (&str, &crate::keymap::TensorRef)| {
            let whole = inner.info(&place.tensor)?;
            let elements: usize = place.shape.iter().product();
            let bytes = whole.dtype.bytes_for(elements)?;
            let start = match place.part {
                Slice::Rows(start, _) => start * (bytes / place.shape.first().copied().unwrap_or(1).max(1)),
                _ => 0,
            };
            let range = start..start + bytes;
            let fits = range.end <= whole.bytes();
            let info = TensorInfo { dtype: whole.dtype, shape: place.shape.clone(), range };
            fits.then(|| (key.to_owned(), Seen { tensor: place.tensor.clone(), part: place.part.clone(), info }))
        };
        let tensors = map.iter().filter_map(seen).collect();
        Self { inner, tensors }
    }

    fn seen(&self, name: &str) -> Result<&Seen, SourceError> {
        self.tensors.get(name).ok_or_else(|| self.missing(name).into())
    }

    /// The whole tensor decoded, for parts whose bytes are not in order.
    fn whole(&self, seen: &Seen) -> Result<Vec<f32>, SourceError> {
        let elements = self.inner.info(&seen.tensor).map_or(0, TensorInfo::elements);
        let mut values = vec![0.0; elements];
        self.inner.read_f32(&seen.tensor, &mut values)?;
        Ok(values)
    }
}

impl TensorSource for View {
    fn label(&self) -> String {
        self.inner.label()
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name).map(|seen| &seen.info)
    }

    fn slice(&self, name: &str) -> Option<Bytes> {
        let seen = self.tensors.get(name)?;
        let bytes = self.inner.slice(&seen.tensor)?;
        match seen.part {
            Slice::Whole | Slice::Reshaped => Some(bytes),
            Slice::Rows(..) => bytes.get(seen.info.range.clone()).map(|part| bytes.slice_ref(part)),
            Slice::Transposed => None,
        }
    }

    fn read_f32(&self, name: &str, out: &mut [f32]) -> Result<(), SourceError> {
        let seen = self.seen(name)?;
        if seen.info.elements() != out.len() {
            let (dtype, elements, bytes) = (seen.info.dtype, out.len(), seen.info.bytes());
            let error = DecodeError::Length { dtype, elements, bytes };
            return Err(SourceError::Decode { tensor: seen.tensor.clone(), error });
        }
        match seen.part {
            Slice::Whole | Slice::Reshaped => self.inner.read_f32(&seen.tensor, out),
            Slice::Rows(start, _) => {
                let row = out.len() / seen.info.shape.first().copied().unwrap_or(1).max(1);
                self.inner.read_part(&seen.tensor, start * row..start * row + out.len(), out)
            }
            Slice::Transposed => {
                let (whole, columns) = (self.whole(seen)?, seen.info.shape.first().copied().unwrap_or(1));
                let rows = out.len() / columns.max(1);
                out.iter_mut().enumerate().for_each(|(i, v)| *v = whole[(i % rows) * columns + i / rows]);
                Ok(())
            }
        }
    }

    fn read_part(&self, name: &str, elements: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        let seen = self.seen(name)?;
        let first = match seen.part {
            Slice::Whole | Slice::Reshaped => 0,
            Slice::Rows(start, _) => {
                start * (seen.info.elements() / seen.info.shape.first().copied().unwrap_or(1).max(1))
            }
            Slice::Transposed => {
                let mut whole = vec![0.0; seen.info.elements()];
                self.read_f32(name, &mut whole)?;
                out.copy_from_slice(&whole[elements]);
                return Ok(());
            }
        };
        self.inner.read_part(&seen.tensor, first + elements.start..first + elements.end, out)
    }

    fn check(&self) -> Result<(), FormatError> {
        self.inner.check()
    }

    fn set_reading(&self, reading: Reading) {
        self.inner.set_reading(reading);
    }

    fn done_with(&self, name: &str) {
        // A part of a tensor is followed by its other parts: only the last one lets the tensor go.
        if let Some(seen) = self.tensors.get(name) {
            let last = self.inner.info(&seen.tensor).is_some_and(|whole| seen.info.range.end == whole.bytes());
            if last || !matches!(seen.part, Slice::Rows(..)) {
                self.inner.done_with(&seen.tensor);
            }
        }
    }
}
