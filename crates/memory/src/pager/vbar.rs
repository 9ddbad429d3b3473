//! One model's range on a device: what it is asked, and what goes with it. Knows the books through the pager only.

use super::{
    Counters, Inner, Lease, UnitId,
    state::{ContentKey, Unit},
};
use crate::provider::{Provider, ProviderError};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// One model's range of addresses. Dropping it releases everything that nobody reads any more.
pub struct Vbar<P: Provider> {
    pager: Arc<Inner<P>>,
    /// Its index in the books, which changes when the device is lost.
    home: Arc<AtomicUsize>,
}

impl<P: Provider> Vbar<P> {
    pub(super) fn new(pager: Arc<Inner<P>>, home: Arc<AtomicUsize>) -> Self {
        Self { pager, home }
    }

    /// To be asked while the books are locked.
    fn id(&self) -> usize {
        self.home.load(Relaxed)
    }

    /// Takes the next `bytes` of the range for a unit. Units are laid out, and expected to be used, in this order.
    ///
    /// # Errors
    /// [`ProviderError::OutOfMemory`] when the range is full.
    pub fn add_unit(&self, bytes: usize) -> Result<UnitId, ProviderError> {
        let mut state = self.pager.lock();
        let page = state.page;
        let bar = state.bar_mut(self.id()).ok_or(ProviderError::OutOfMemory)?;
        let first = bar.units.last().map_or(0, |unit| unit.pages.end);
        let pages = first..first + bytes.div_ceil(page);
        if pages.end > bar.reserved {
            return Err(ProviderError::OutOfMemory);
        }
        if bar.watermark == bar.units.len() {
            bar.watermark += 1;
        }
        bar.units.push(Unit::absent(pages, bytes));
        Ok(UnitId(bar.units.len() as u32 - 1))
    }

    /// Asks for a unit with the contents `key` and pins it. Never fails: without room the answer is `Stream`.
    pub fn acquire(&self, unit: UnitId, key: ContentKey) -> Lease<P> {
        self.pager.acquire(&self.home, unit, key, true)
    }

    /// As [`acquire`](Self::acquire), by someone who runs ahead of the model: it doesn't count as the model's use of the
    /// unit.
    pub fn acquire_ahead(&self, unit: UnitId, key: ContentKey) -> Lease<P> {
        self.pager.acquire(&self.home, unit, key, false)
    }

    /// The model uses a unit that someone brought ahead.
    pub fn note_use(&self, unit: UnitId) {
        let mut state = self.pager.lock();
        state.follow(self.id(), unit.0 as usize);
    }

    /// Whether the model is in a run with passes to come.
    pub fn loops(&self) -> bool {
        let state = self.pager.lock();
        state.distance(self.id()) == 0
    }

    /// What this range has seen.
    pub fn counters(&self) -> Counters {
        let state = self.pager.lock();
        state.bar(self.id()).map(|bar| bar.counters).unwrap_or_default()
    }
}

impl<P: Provider> Drop for Vbar<P> {
    fn drop(&mut self) {
        let mut state = self.pager.lock();
        let id = self.id();
        if let Some(bar) = state.bar_mut(id) {
            bar.dead = true;
        }
        let leaving = state.bury(id);
        drop(state);
        self.pager.finish(leaving);
        self.pager.reap(id);
    }
}
