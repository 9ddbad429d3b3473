//! Contents: the values that are alive, in slots that are used again as soon as one is free.
//!
//! A run has many sockets and few of them hold a value at any time: kept apart from the sockets, the values that are
//! alive stay in the processor's cache. Knows nothing of readers.

use std::sync::Arc;

use crate::spill::Spilled;
use crate::value::Values;

/// What a socket holds.
#[derive(Default)]
pub(super) enum Content {
    /// Nothing: never computed, or dropped.
    #[default]
    Empty,
    /// A list of values.
    Values(Values),
    /// A list that was moved to where it does not take memory.
    Spilled(Arc<dyn Spilled>),
}

/// Where a socket's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    /// That of a socket that holds nothing.
    pub(super) const NONE: Self = Self(u32::MAX);
}

#[derive(Default)]
pub(super) struct Contents {
    slots: Vec<Content>,
    free: Vec<Place>,
}

impl Contents {
    /// Keeps something.
    pub(super) fn put(&mut self, content: Content) -> Place {
        if let Some(place) = self.free.pop() {
            self.slots[place.0 as usize] = content;
            return place;
        }
        self.slots.push(content);
        Place((self.slots.len() - 1) as u32)
    }

    /// Takes out what is at `place`, which stands for nothing from now on.
    pub(super) fn take(&mut self, place: &mut Place) -> Content {
        let place = std::mem::replace(place, Place::NONE);
        let Some(slot) = self.slots.get_mut(place.0 as usize) else { return Content::Empty };
        self.free.push(place);
        std::mem::take(slot)
    }

    /// What is at `place`.
    pub(super) fn get(&self, place: Place) -> &Content {
        self.slots.get(place.0 as usize).unwrap_or(&Content::Empty)
    }

    /// Puts something else in place of what is there, and returns that. Nothing happens at [`Place::NONE`].
    pub(super) fn replace(&mut self, place: Place, content: Content) -> Content {
        self.slots.get_mut(place.0 as usize).map_or(Content::Empty, |slot| std::mem::replace(slot, content))
    }
}
