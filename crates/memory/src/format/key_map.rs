//! From the key a network uses to the tensor of a file that holds it, whatever the file calls it.
//!
//! Knows names and shapes, no data. The tables that fill it are the networks'.

use super::shapes::TensorShapes;
use indexmap::IndexMap;

/// Which part of a file's tensor a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slice {
    /// All of it, as it is.
    Whole,
    /// Rows `start..end` of its first axis (a part of a fused projection).
    Rows(usize, usize),
    /// The same elements under another shape (a linear layer used as a 1x1 convolution).
    Reshaped,
    /// A matrix with rows and columns exchanged.
    Transposed,
    /// Its rows, then those of these tensors (a fused projection that the file holds in parts).
    Joined(Vec<String>),
    /// The second half of its rows, then the first (scale and shift in another order).
    Swapped,
}

/// Where a key's values are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorRef {
    /// Name of the tensor in the file.
    pub tensor: String,
    /// Which part of it.
    pub part: Slice,
    /// Shape of that part, as the network sees it.
    pub shape: Vec<usize>,
}

impl TensorRef {
    /// Every tensor that it takes something of.
    pub fn tensors(&self) -> impl Iterator<Item = &str> {
        let more: &[String] = if let Slice::Joined(more) = &self.part { more } else { &[] };
        std::iter::once(self.tensor.as_str()).chain(more.iter().map(String::as_str))
    }
}

/// A network's keys, each with its place in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyMap {
    places: IndexMap<String, TensorRef>,
}

impl KeyMap {
    /// Every tensor below `prefix` under its own name without it.
    pub fn under(names: &TensorShapes, prefix: &str) -> Self {
        let mut map = Self::default();
        for (name, shape) in names.iter() {
            if let Some(key) = name.strip_prefix(prefix) {
                map.whole(key, name, shape);
            }
        }
        map
    }

    /// Maps `key` to the whole of `tensor`.
    pub fn whole(&mut self, key: impl Into<String>, tensor: impl Into<String>, shape: &[usize]) {
        self.insert(key, TensorRef { tensor: tensor.into(), part: Slice::Whole, shape: shape.to_vec() });
    }

    /// Maps `key` to a place.
    pub fn insert(&mut self, key: impl Into<String>, place: TensorRef) {
        self.places.insert(key.into(), place);
    }

    /// Where `key` is.
    pub fn place(&self, key: &str) -> Option<&TensorRef> {
        self.places.get(key)
    }

    /// What the file calls `key`, or would call it if it had it: below the prefix that its other tensors have.
    pub fn name_in_file(&self, key: &str) -> String {
        if let Some(place) = self.place(key) {
            return place.tensor.clone();
        }
        let prefix = self.iter().find_map(|(other, place)| place.tensor.strip_suffix(other));
        format!("{}{key}", prefix.unwrap_or_default())
    }

    /// All keys with their places.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &TensorRef)> {
        self.places.iter().map(|(key, place)| (key.as_str(), place))
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The keys with the shapes that the network sees.
    pub fn names(&self) -> TensorShapes {
        self.iter().map(|(key, place)| (key, place.shape.as_slice())).collect()
    }

    /// The same map with every key renamed; keys for which `rename` returns `None` are left out.
    #[must_use]
    pub fn renamed(&self, rename: impl Fn(&str) -> Option<String>) -> Self {
        let places = self.places.iter().filter_map(|(key, place)| Some((rename(key)?, place.clone()))).collect();
        Self { places }
    }
}
