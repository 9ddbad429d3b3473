//! The ordered map that the crate is built on. Knows nothing of what is in it.

use indexmap::IndexMap;

/// An insertion-ordered map with a fast, randomly seeded hash: one look-up per link is what a walk costs.
///
/// `Map::default()` makes an empty one (`new` exists only for the standard library's hasher).
pub type Map<K, V> = IndexMap<K, V, foldhash::fast::RandomState>;
/// An insertion-ordered set with the same hash.
pub type Set<K> = indexmap::IndexSet<K, foldhash::fast::RandomState>;
