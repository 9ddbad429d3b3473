//! Floats that a call needs for itself, where vectors may be loaded without crossing a line of the cache.

use std::ops::{Deref, DerefMut};

/// Bytes of a line of the cache, and of the longest vector.
const LINE: usize = 64;

/// Zeros at first, the first of them at the beginning of a line. Freed with the value.
pub(crate) struct Scratch {
    floats: Vec<f32>,
    start: usize,
    len: usize,
}

impl Scratch {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let floats = vec![0.0; len + LINE / size_of::<f32>()];
        // Where an address cannot be aligned, which is allowed to happen, vectors are a little slower.
        let start = floats.as_ptr().align_offset(LINE).min(floats.len() - len);
        Self { floats, start, len }
    }
}

impl Deref for Scratch {
    type Target = [f32];

    #[inline(always)]
    fn deref(&self) -> &[f32] {
        &self.floats[self.start..self.start + self.len]
    }
}

impl DerefMut for Scratch {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.floats[self.start..self.start + self.len]
    }
}
