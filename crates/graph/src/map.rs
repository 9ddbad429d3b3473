//! The ordered map that the crate is built on, and its hash. Knows nothing of what is in it.

use std::fmt;
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::{FoldHasher, RandomState};
use indexmap::{IndexMap, IndexSet};

/// An insertion-ordered map with a fast, randomly seeded hash: one look-up per link is what a walk costs.
///
/// `Map::default()` makes an empty one (`new` exists only for the standard library's hasher).
pub type Map<K, V> = IndexMap<K, V, Neighbours>;
/// An insertion-ordered set with the same hash.
pub type Set<K> = IndexSet<K, Neighbours>;

/// A randomly seeded hash that puts texts beside each other when they differ at their end only: in the last byte, or
/// in two last digits.
///
/// Ids are mostly counted up, and links mostly lead a few ids back. In a table of a million ids, each at a place of its
/// own, every look-up waits for memory twice; here a hundred ids in a row share a few lines of the processor's cache.
/// Texts of different beginnings are as far apart as any random hash puts them, and at most 356 texts have the same
/// beginning, so nobody can choose ids that all collide.
#[derive(Clone, Default)]
pub struct Neighbours(RandomState);

impl fmt::Debug for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Neighbours")
    }
}

impl BuildHasher for Neighbours {
    type Hasher = NeighbourHasher;
    fn build_hasher(&self) -> NeighbourHasher {
        NeighbourHasher { beginning: self.0.build_hasher(), end: 0 }
    }
}

/// The hasher of [`Neighbours`].
#[derive(Clone)]
pub struct NeighbourHasher {
    beginning: FoldHasher<'static>,
    /// What the text written last ends with, as a number: 0 for nothing, which no text gives.
    end: u16,
}

impl fmt::Debug for NeighbourHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NeighbourHasher")
    }
}

impl Hasher for NeighbourHasher {
    fn write(&mut self, bytes: &[u8]) {
        if self.end != 0 {
            // Only the last text of several is split.
            self.beginning.write_u16(self.end);
        }
        let (beginning, end) = split(bytes);
        self.beginning.write(beginning);
        self.end = end;
    }
    fn write_u8(&mut self, n: u8) {
        self.beginning.write_u8(n);
    }
    fn write_u16(&mut self, n: u16) {
        self.beginning.write_u16(n);
    }
    fn write_u32(&mut self, n: u32) {
        self.beginning.write_u32(n);
    }
    fn write_u64(&mut self, n: u64) {
        self.beginning.write_u64(n);
    }
    fn write_u128(&mut self, n: u128) {
        self.beginning.write_u128(n);
    }
    fn write_usize(&mut self, n: usize) {
        self.beginning.write_usize(n);
    }
    fn finish(&self) -> u64 {
        let end = u64::from(self.end);
        // A table takes the place from the low bits, and tells neighbours apart by the seven highest.
        self.beginning.finish().wrapping_add(end | end << 57)
    }
}

/// A text without its end, and the end as a number from 1 on.
fn split(bytes: &[u8]) -> (&[u8], u16) {
    match bytes {
        [before @ .., tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            (before, 1 + u16::from(tens - b'0') * 10 + u16::from(ones - b'0'))
        }
        [before @ .., last] => (before, 101 + u16::from(*last)),
        [] => (bytes, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(texts: impl IntoIterator<Item = String>) -> Vec<u64> {
        let hash = Neighbours::default();
        texts.into_iter().map(|text| hash.hash_one(&*text)).collect()
    }

    #[test]
    fn ids_in_a_row_are_neighbours_and_no_two_are_the_same() {
        let hashes = hashes((4100..4200).map(|i: u32| i.to_string()));
        let place = |hash: &u64| *hash as u32;
        for (before, after) in hashes.iter().zip(&hashes[1..]) {
            assert_eq!(place(before).wrapping_add(1), place(after));
            assert_ne!(before >> 57, after >> 57, "tags differ");
        }
    }

    #[test]
    fn a_million_ids_have_a_million_hashes() {
        let ids = (0..500_000).flat_map(|i: u32| [i.to_string(), format!("{i}:{}", i % 7)]);
        let mut hashes = hashes(ids);
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 1_000_000);
    }

    #[test]
    fn texts_behind_each_other_are_not_one_text() {
        let hash = Neighbours::default();
        let pairs = [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", "")];
        let set: std::collections::HashSet<u64> = pairs.iter().map(|pair| hash.hash_one(pair)).collect();
        assert_eq!(set.len(), pairs.len());
    }
}
