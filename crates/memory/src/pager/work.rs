//! What the books have decided, done to the provider: pages and addresses given back, bytes copied in.
#![allow(unsafe_code)]

use super::{
    Inner,
    state::{Leave, Place, Status},
};
use crate::provider::{Provider, ProviderError, Write};

impl<P: Provider> Inner<P> {
    /// Takes pages back whose units have left the books. Answers how many bytes that freed.
    pub(super) fn finish(&self, leaving: Vec<Leave<P::Region>>) -> u64 {
        let mut freed = 0;
        for leave in leaving {
            _ = self.provider.wait(leave.fence);
            let bytes = (leave.pages.len() * self.provider.page_size()) as u64;
            // SAFETY: the unit is `Leaving`: it has no pins, its last reader's fence and its fill are done, and nobody
            // else touches its pages until it is `Absent`.
            unsafe { self.provider.decommit(leave.region, leave.pages) }
            freed += bytes;
            let mut state = self.lock();
            if let Some(unit) = state.unit_mut(leave.place) {
                unit.status = Status::Absent;
                unit.held = None;
            }
            drop(state);
            self.reap(leave.place.bar);
        }
        freed
    }

    /// Lets the provider give back what nothing lies in any more, and evicts what is in the way of that.
    pub(super) fn trim(&self, keep: u64) {
        self.provider.trim();
        let scattered = self.provider.scattered(keep);
        if scattered.is_empty() {
            return;
        }
        let leaving: Vec<_> = {
            let mut state = self.lock();
            let frozen = state.frozen > 0;
            let units = state.units();
            let hit = units.filter(|(_, bar, unit)| !frozen && scattered.contains(&(bar.region, unit.pages.start)));
            let places: Vec<Place> = hit.filter(|(_, _, unit)| unit.held.is_some()).map(|(place, ..)| place).collect();
            places.into_iter().filter_map(|place| state.leave(place)).collect()
        };
        self.finish(leaving);
        self.provider.trim();
    }

    /// Releases the addresses of a dead model once none of its units is here.
    pub(super) fn reap(&self, id: usize) {
        let mut state = self.lock();
        let gone = state.bar(id).is_some_and(|bar| bar.dead && bar.units.iter().all(|u| u.status == Status::Absent));
        let bar = if gone { state.bars[id].take() } else { None };
        if bar.is_some() {
            state.priority.retain(|b| *b != id);
        }
        drop(state);
        if let Some(bar) = bar {
            // SAFETY: every unit is absent, and with the books' entry gone nobody can name the region again.
            unsafe { self.provider.release(bar.region) }
        }
    }

    /// Copies a unit's bytes in and waits for them. The unit is `Filling`, by the caller.
    pub(super) fn copy_in(&self, place: Place, write: Write<'_>) -> Result<usize, ProviderError> {
        let (region, at, len) = {
            let state = self.lock();
            let bar = state.bar(place.bar).ok_or(ProviderError::DeviceLost)?;
            let unit = bar.units.get(place.unit).ok_or(ProviderError::DeviceLost)?;
            (bar.region, unit.pages.start * state.page, unit.bytes)
        };
        // SAFETY: the unit's pages are committed; it is `Filling`, so only its `Vacant`, which called this, touches it.
        let ticket = unsafe { self.provider.upload(region, at, len, write) }?;
        self.provider.wait(ticket)?;
        Ok(len)
    }
}
