//! A node's inputs by name: a list as long as there are few, with an index besides when there are many.
//!
//! Order is kept. A prompt may have a million nodes with two inputs each, and one node with a million: a hash table in
//! every node would cost more memory than the inputs themselves. Knows nothing of what an input holds.

use std::fmt;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::input::Input;
use crate::map::Map;

/// Up to here names are compared one after the other.
const FEW: usize = 12;

/// A node's inputs by name, in the order in which they were written.
#[derive(Clone, Default)]
pub struct Inputs {
    entries: Vec<(Arc<str>, Input)>,
    /// The place of every name, when there are many.
    index: Option<Box<Map<Arc<str>, u32>>>,
}

impl Inputs {
    /// No inputs.
    pub fn new() -> Self {
        Self::default()
    }

    /// No inputs yet, and room for exactly so many.
    pub fn with_capacity(inputs: usize) -> Self {
        let mut entries = Vec::new();
        entries.reserve_exact(inputs);
        Self { entries, index: None }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The place of the input of that name.
    pub fn get_index_of(&self, name: &str) -> Option<usize> {
        match &self.index {
            None => self.entries.iter().position(|(key, _)| &**key == name),
            Some(index) => index.get(name).map(|place| *place as usize),
        }
    }

    /// The input of that name.
    pub fn get(&self, name: &str) -> Option<&Input> {
        Some(&self.entries[self.get_index_of(name)?].1)
    }

    /// The input of that name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Input> {
        let place = self.get_index_of(name)?;
        Some(&mut self.entries[place].1)
    }

    /// Place, name and content of the input of that name.
    pub fn get_full(&self, name: &str) -> Option<(usize, &Arc<str>, &Input)> {
        let place = self.get_index_of(name)?;
        self.get_index(place).map(|(name, input)| (place, name, input))
    }

    /// Name and content of the input at a place.
    pub fn get_index(&self, place: usize) -> Option<(&Arc<str>, &Input)> {
        self.entries.get(place).map(|(name, input)| (name, input))
    }

    /// Whether there is an input of that name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get_index_of(name).is_some()
    }

    /// Sets an input, at its place if there is one of that name, else behind the others. Returns what was there.
    pub fn insert(&mut self, name: Arc<str>, input: Input) -> Option<Input> {
        if let Some(place) = self.get_index_of(&name) {
            return Some(std::mem::replace(&mut self.entries[place].1, input));
        }
        if let Some(index) = &mut self.index {
            index.insert(Arc::clone(&name), self.entries.len() as u32);
        }
        self.entries.push((name, input));
        if self.index.is_none() && self.entries.len() > FEW {
            self.rebuild();
        }
        None
    }

    /// Removes an input; those behind it move up.
    pub fn shift_remove(&mut self, name: &str) -> Option<Input> {
        let place = self.get_index_of(name)?;
        let (_, input) = self.entries.remove(place);
        self.rebuild();
        Some(input)
    }

    fn rebuild(&mut self) {
        let places = || self.entries.iter().zip(0..).map(|((name, _), place)| (Arc::clone(name), place));
        self.index = (self.entries.len() > FEW).then(|| Box::new(places().collect()));
    }

    /// Names and contents in order.
    pub fn iter(&self) -> InputIter<'_> {
        self.entries.iter().map(|(name, input)| (name, input))
    }

    /// Names and contents in order; the contents may be changed.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&Arc<str>, &mut Input)> {
        self.entries.iter_mut().map(|(name, input)| (&*name, input))
    }

    /// Names in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Arc<str>> + DoubleEndedIterator {
        self.entries.iter().map(|(name, _)| name)
    }

    /// Contents in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Input> + DoubleEndedIterator {
        self.entries.iter().map(|(_, input)| input)
    }
}

/// Walks a node's inputs.
pub type InputIter<'a> =
    std::iter::Map<std::slice::Iter<'a, (Arc<str>, Input)>, fn(&'a (Arc<str>, Input)) -> (&'a Arc<str>, &'a Input)>;

impl<'a> IntoIterator for &'a Inputs {
    type Item = (&'a Arc<str>, &'a Input);
    type IntoIter = InputIter<'a>;
    fn into_iter(self) -> InputIter<'a> {
        self.iter()
    }
}

impl IntoIterator for Inputs {
    type Item = (Arc<str>, Input);
    type IntoIter = std::vec::IntoIter<(Arc<str>, Input)>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl Extend<(Arc<str>, Input)> for Inputs {
    fn extend<I: IntoIterator<Item = (Arc<str>, Input)>>(&mut self, inputs: I) {
        for (name, input) in inputs {
            self.insert(name, input);
        }
    }
}

impl FromIterator<(Arc<str>, Input)> for Inputs {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Input)>>(inputs: I) -> Self {
        let mut all = Self::new();
        all.extend(inputs);
        all
    }
}

impl Index<&str> for Inputs {
    type Output = Input;
    /// # Panics
    /// When there is no such input; [`get`](Inputs::get) asks first.
    fn index(&self, name: &str) -> &Input {
        match self.get(name) {
            Some(input) => input,
            None => panic!("there is no input `{name}`"),
        }
    }
}

impl IndexMut<&str> for Inputs {
    /// # Panics
    /// When there is no such input; [`insert`](Inputs::insert) adds one.
    fn index_mut(&mut self, name: &str) -> &mut Input {
        match self.get_mut(name) {
            Some(input) => input,
            None => panic!("there is no input `{name}`"),
        }
    }
}

impl Index<usize> for Inputs {
    type Output = Input;
    fn index(&self, place: usize) -> &Input {
        &self.entries[place].1
    }
}

impl IndexMut<usize> for Inputs {
    fn index_mut(&mut self, place: usize) -> &mut Input {
        &mut self.entries[place].1
    }
}

/// Equal whatever the order, as objects of JSON are.
impl PartialEq for Inputs {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(name, input)| other.get(name) == Some(input))
    }
}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Inputs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
