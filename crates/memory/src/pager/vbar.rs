//! One model's range on a device: what it is asked, and what goes with it. Knows the books through the pager only.

use super::{
    counters::Counters,
    inner::{Inner, Pager},
    pin::Acquisition,
    state::{ContentKey, Unit, UnitId, VbarState},
};
use crate::{
    budget::Account,
    provider::{Provider, ProviderError},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// One model's range of addresses. Dropping it releases everything that nobody reads any more.
pub struct Vbar<P: Provider> {
    pager: Arc<Inner<P>>,
    /// Its index in the books, which changes when the device is lost.
    index: Arc<AtomicUsize>,
}

impl<P: Provider> Pager<P> {
    /// Reserves a range for a model: `bytes` of addresses, no memory. What becomes resident is counted with `account`.
    ///
    /// # Errors
    /// When there are no addresses left. This is the only call that may refuse.
    pub fn register(&self, account: Account, bytes: usize) -> Result<Vbar<P>, ProviderError> {
        let region = self.inner.provider.reserve(bytes)?;
        let mut state = self.inner.lock();
        let reserved = bytes.div_ceil(state.page);
        let name = account.owner().to_owned();
        let index = Arc::default();
        let vbar = VbarState::new(name, account, region, reserved, Arc::clone(&index));
        let id = state.insert(vbar);
        state.priority.insert(0, id);
        Ok(Vbar { pager: self.inner.clone(), index })
    }
}

impl<P: Provider> Vbar<P> {
    /// To be asked while the books are locked.
    fn id(&self) -> usize {
        self.index.load(Relaxed)
    }

    /// Takes the next `bytes` of the range for a unit. Units are laid out, and expected to be used, in this order.
    ///
    /// # Errors
    /// [`ProviderError::OutOfMemory`] when the range is full.
    pub fn add_unit(&self, bytes: usize) -> Result<UnitId, ProviderError> {
        let mut state = self.pager.lock();
        let page = state.page;
        let vbar = state.vbar_mut(self.id()).ok_or(ProviderError::OutOfMemory)?;
        let first = vbar.units.last().map_or(0, |unit| unit.pages.end);
        let pages = first..first + bytes.div_ceil(page);
        if pages.end > vbar.reserved {
            return Err(ProviderError::OutOfMemory);
        }
        if vbar.watermark == vbar.units.len() {
            vbar.watermark += 1;
        }
        vbar.units.push(Unit::absent(pages, bytes));
        Ok(UnitId(vbar.units.len() as u32 - 1))
    }

    /// Asks for a unit with the contents `key` and pins it. Never fails: without room it returns `Stream`.
    pub fn acquire(&self, unit: UnitId, key: ContentKey) -> Acquisition<P> {
        self.pager.acquire(&self.index, unit, key, true)
    }

    /// Same as [`acquire`](Self::acquire), by someone who runs ahead of the model: it doesn't count as the model's use of the
    /// unit.
    pub fn acquire_ahead(&self, unit: UnitId, key: ContentKey) -> Acquisition<P> {
        self.pager.acquire(&self.index, unit, key, false)
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
        state.vbar(self.id()).map(|vbar| vbar.counters).unwrap_or_default()
    }
}

impl<P: Provider> Drop for Vbar<P> {
    fn drop(&mut self) {
        let mut state = self.pager.lock();
        let id = self.id();
        if let Some(vbar) = state.vbar_mut(id) {
            vbar.dead = true;
        }
        let leaving = state.evict_all(id);
        drop(state);
        self.pager.finish(leaving);
        self.pager.reap(id);
    }
}
