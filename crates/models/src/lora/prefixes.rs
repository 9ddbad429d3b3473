//! Which weight of a model a prefix in a LoRA file means.
//!
//! Knows names. The tables that fill it are the networks'.

use indexmap::IndexMap;
use kiln_memory::TensorShapes;

/// Which part of a weight an adapter changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// All of it.
    Whole,
    /// So many rows from one on: a layer that files hold in parts.
    Rows {
        /// The first row.
        start: usize,
        /// How many.
        len: usize,
    },
    /// All of it, the halves of its rows exchanged.
    Swapped,
}

/// A weight of a model, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The weight by its model key.
    pub key: String,
    /// Which part of it.
    pub part: Part,
}

impl Place {
    /// All of a weight.
    pub fn whole(key: impl Into<String>) -> Self {
        Self { key: key.into(), part: Part::Whole }
    }

    /// `len` rows of a weight from `start` on.
    pub fn rows(key: impl Into<String>, start: usize, len: usize) -> Self {
        Self { key: key.into(), part: Part::Rows { start, len } }
    }

    /// A weight whose halves the file has the other way round.
    pub fn swapped(key: impl Into<String>) -> Self {
        Self { key: key.into(), part: Part::Swapped }
    }
}

impl From<String> for Place {
    fn from(key: String) -> Self {
        Self::whole(key)
    }
}

/// Prefixes in LoRA files with the weights they mean, in the order in which they are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefixes {
    places: IndexMap<String, Place>,
}

impl Prefixes {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// A diffusion network's tensors under the names that nearly every family's files share: `diffusion_model.` and the
    /// key without `.weight`, `lora_unet_` and the same with underscores, and other tensors by their whole keys.
    pub fn of_tensors(tensors: &TensorShapes) -> Self {
        let mut map = Self::new();
        for (key, _) in tensors.iter() {
            let target = format!("diffusion_model.{key}");
            match key.strip_suffix(".weight") {
                Some(stem) => {
                    map.insert(format!("lora_unet_{}", stem.replace('.', "_")), target.clone());
                    map.insert(format!("diffusion_model.{stem}"), target);
                }
                None => map.insert(target.clone(), target),
            }
        }
        map
    }

    /// Lets `prefix` mean a place.
    pub fn insert(&mut self, prefix: impl Into<String>, place: impl Into<Place>) {
        self.places.insert(prefix.into(), place.into());
    }

    /// What `prefix` means.
    pub fn get(&self, prefix: &str) -> Option<&Place> {
        self.places.get(prefix)
    }

    /// How many prefixes there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All of them with their places.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.places.iter().map(|(prefix, place)| (prefix.as_str(), place))
    }
}

impl IntoIterator for Prefixes {
    type Item = (String, Place);
    type IntoIter = indexmap::map::IntoIter<String, Place>;

    fn into_iter(self) -> Self::IntoIter {
        self.places.into_iter()
    }
}

impl<N: Into<String>, P: Into<Place>> FromIterator<(N, P)> for Prefixes {
    fn from_iter<I: IntoIterator<Item = (N, P)>>(pairs: I) -> Self {
        Self { places: pairs.into_iter().map(|(prefix, place)| (prefix.into(), place.into())).collect() }
    }
}

impl<N: Into<String>, P: Into<Place>> Extend<(N, P)> for Prefixes {
    fn extend<I: IntoIterator<Item = (N, P)>>(&mut self, pairs: I) {
        self.places.extend(pairs.into_iter().map(|(prefix, place)| (prefix.into(), place.into())));
    }
}
