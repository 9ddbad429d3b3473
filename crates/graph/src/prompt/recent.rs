//! What was read lately, so that what occurs again and again is kept once.
//!
//! A prompt has few classes, input names, titles and literals, however many nodes it has. A small table finds nearly
//! all of them again and stays in the processor's cache; what falls out of it is kept twice, which does no harm. (A
//! table of everything would be as large as the prompt.) Knows nothing of what it holds.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::RandomState;

/// A value can stand in so many places.
const WAYS: usize = 4;
/// Groups of places; a value's hash chooses one.
const SETS: usize = 256;
/// Longer texts are rarely the same, and take long to compare.
const LONGEST: usize = 128;

/// A bounded table of shared values.
pub(super) struct Recent<T> {
    /// `SETS` times `WAYS` places, once the first value is there.
    places: Vec<Option<T>>,
    hash: RandomState,
    /// Where the next value goes that has no free place.
    turn: usize,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { places: Vec::new(), hash: RandomState::default(), turn: 0 }
    }
}

impl<T: Clone> Recent<T> {
    /// The value of that key, if it is still here; else the new one, which is remembered.
    pub(super) fn get(&mut self, key: impl Hash, is_it: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> T {
        if self.places.is_empty() {
            self.places.resize_with(SETS * WAYS, || None);
        }
        let first = (self.hash.hash_one(key) as usize % SETS) * WAYS;
        let places = &mut self.places[first..first + WAYS];
        if let Some(known) = places.iter().flatten().find(|known| is_it(known)) {
            return known.clone();
        }
        let free = places.iter().position(Option::is_none).unwrap_or(self.turn);
        self.turn = (self.turn + 1) % WAYS;
        places[free].insert(new()).clone()
    }
}

impl Recent<Arc<str>> {
    /// The text, shared with the last one of the same words if it is still here.
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        if text.len() > LONGEST {
            return text.into();
        }
        self.get(text, |known| **known == *text, || text.into())
    }
}
