//! A weight's numbers where they are: in the map, in their place, or here for one use. Knows no source.

use super::staging::Slot;
use crate::{pager::Pin, provider::HostVm};
use bytes::Bytes;
use std::ops::Deref;

/// How a weight came to be where it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Acquired {
    /// It was there.
    Hit,
    /// It was brought there and stays.
    Fill,
    /// There is no room for it to stay: it was brought for this use only.
    Stream,
}

/// A weight's numbers, in place for as long as this lives. Dereferences to `[f32]`, row-major.
#[derive(Debug)]
pub struct Values {
    held: Held,
    how: Acquired,
}

#[derive(Debug)]
enum Held {
    Shared(Bytes),
    Pinned(Pin<HostVm>),
}

impl Values {
    pub(crate) fn shared(bytes: Bytes, how: Acquired) -> Self {
        Self { held: Held::Shared(bytes), how }
    }

    pub(crate) fn pinned(pin: Pin<HostVm>, how: Acquired) -> Self {
        Self { held: Held::Pinned(pin), how }
    }

    pub(crate) fn staged(slot: Slot) -> Self {
        Self::shared(Bytes::from_owner(slot), Acquired::Stream)
    }

    /// Whether it was there, was filled, or is here for this use only.
    pub fn how(&self) -> Acquired {
        self.how
    }

    /// The bytes as a shared owner: the weight stays pinned until the last clone is dropped.
    pub fn into_shared(self) -> Bytes {
        match self.held {
            Held::Shared(bytes) => bytes,
            Held::Pinned(pin) => Bytes::from_owner(pin),
        }
    }
}

impl Deref for Values {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        let bytes: &[u8] = match &self.held {
            Held::Shared(bytes) => bytes,
            Held::Pinned(pin) => pin,
        };
        // Found aligned, page-aligned, or a `Vec<f32>`: the empty slice is never returned.
        bytemuck::try_cast_slice(bytes).unwrap_or(&[])
    }
}
