//! What the books have decided, done to the provider: pages and addresses given back, bytes copied in.
#![allow(unsafe_code)]

use super::{
    inner::Inner,
    state::{Eviction, Place, Status},
};
use crate::provider::{Provider, ProviderError, Write};

impl<P: Provider> Inner<P> {
    /// Takes pages back whose units have left the books. Returns how many bytes that freed.
    pub(super) fn finish(&self, leaving: Vec<Eviction<P::Region>>) -> u64 {
        let mut freed = 0;
        for eviction in leaving {
            _ = self.provider.wait(eviction.fence);
            let bytes = (eviction.pages.len() * self.provider.page_size()) as u64;
            // SAFETY: the unit is `Leaving`: it has no pins, its last reader's fence and its fill are done, and nobody
            // else touches its pages until it is `Absent`.
            unsafe { self.provider.decommit(eviction.region, eviction.pages) }
            freed += bytes;
            let mut state = self.lock();
            if let Some(unit) = state.unit_mut(eviction.place) {
                unit.status = Status::Absent;
                unit.held = None;
            }
            drop(state);
            self.reap(eviction.place.vbar);
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
            let hit = units.filter(|(_, vbar, unit)| !frozen && scattered.contains(&(vbar.region, unit.pages.start)));
            let places: Vec<Place> = hit.filter(|(_, _, unit)| unit.held.is_some()).map(|(place, ..)| place).collect();
            places.into_iter().filter_map(|place| state.evict(place)).collect()
        };
        self.finish(leaving);
        self.provider.trim();
    }

    /// Releases the addresses of a dead model once none of its units is here.
    pub(super) fn reap(&self, id: usize) {
        let mut state = self.lock();
        let gone =
            state.vbar(id).is_some_and(|vbar| vbar.dead && vbar.units.iter().all(|u| u.status == Status::Absent));
        let vbar = if gone { state.vbars[id].take() } else { None };
        if vbar.is_some() {
            state.priority.retain(|b| *b != id);
        }
        drop(state);
        if let Some(vbar) = vbar {
            // SAFETY: every unit is absent, and with the books' entry gone nobody can name the region again.
            unsafe { self.provider.release(vbar.region) }
        }
    }

    /// Copies a unit's bytes in and waits for them. The unit is `Filling`, by the caller.
    pub(super) fn copy_in(&self, place: Place, write: Write<'_>) -> Result<usize, ProviderError> {
        let (region, at, len) = {
            let state = self.lock();
            let vbar = state.vbar(place.vbar).ok_or(ProviderError::DeviceLost)?;
            let unit = vbar.units.get(place.unit).ok_or(ProviderError::DeviceLost)?;
            (vbar.region, unit.pages.start * state.page, unit.bytes)
        };
        // SAFETY: the unit's pages are committed; it is `Filling`, so only its `Vacant`, which called this, touches it.
        let ticket = unsafe { self.provider.upload(region, at, len, write) }?;
        self.provider.wait(ticket)?;
        Ok(len)
    }
}
