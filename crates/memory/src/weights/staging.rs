//! Slots through which streamed weights pass: buffers that are used again. Knows lengths and a budget; knows no weights.
//!
//! A slot is allocated when it is first needed and kept while its model loops; fresh pages cost several times what a
//! used buffer costs. When the system refuses memory, idle slots go first, then what the budget's other owners can
//! spare; only if one slot can't be had even then is it an error.

use super::page_lock::PageLock;
use crate::budget::{Account, Budget, Kind, OutOfMemory, Reclaim, Reservation};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// The slots of one model.
pub(crate) struct Slots {
    account: Account,
    idle: Mutex<Idle>,
    /// How many idle slots are kept.
    keep: AtomicUsize,
    lock: PageLock,
}

#[derive(Default)]
struct Idle {
    by_capacity: BTreeMap<(usize, usize), Buffer>,
    next: usize,
}

struct Buffer {
    values: Vec<f32>,
    held: Reservation,
    locked: bool,
}

/// A slot in use: `len` numbers. Back among the idle ones, or gone, when dropped.
pub(crate) struct Slot {
    buffer: Option<Buffer>,
    len: usize,
    slots: Arc<Slots>,
}

impl Slots {
    pub(crate) fn new(account: Account, lock: PageLock) -> Arc<Self> {
        let budget = account.budget().clone();
        let slots = Arc::new(Self { account, idle: Mutex::default(), keep: AtomicUsize::new(0), lock });
        let reclaim: Arc<dyn Reclaim> = slots.clone();
        budget.add_reclaimer(Arc::downgrade(&reclaim));
        slots
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// Keeps so many slots for the next use, from now on; the others go.
    pub(crate) fn keep(&self, slots: usize) {
        self.keep.store(slots, Relaxed);
        self.idle().shrink_to(slots, self.lock);
    }

    /// A slot for `len` numbers.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the system has no memory for it, whoever gives way.
    pub(crate) fn take(self: &Arc<Self>, len: usize) -> Result<Slot, OutOfMemory> {
        let found = self.idle().take(len);
        let buffer = match found {
            Some(buffer) => buffer,
            None => self.allocate(len)?,
        };
        Ok(Slot { buffer: Some(buffer), len, slots: self.clone() })
    }

    /// Bytes of idle slots that are locked into place.
    pub(crate) fn locked(&self) -> u64 {
        self.idle().by_capacity.values().filter(|b| b.locked).map(|b| b.held.bytes()).sum()
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn allocate(&self, len: usize) -> Result<Buffer, OutOfMemory> {
        let bytes = len as u64 * 4;
        let held = self.account.take(bytes);
        let mut values = Vec::new();
        let mut got = values.try_reserve_exact(len).is_ok();
        if !got {
            self.idle().shrink_to(0, self.lock);
            got = values.try_reserve_exact(len).is_ok();
        }
        if !got {
            self.account.budget().give_back(bytes, Kind::Staging);
            got = values.try_reserve_exact(len).is_ok();
        }
        if !got {
            return Err(self.refused(bytes));
        }
        values.resize(len, 0.0);
        let locked = self.locked() + bytes <= self.lock.most && (self.lock.lock)(&mut values);
        Ok(Buffer { values, held, locked })
    }

    fn refused(&self, asked: u64) -> OutOfMemory {
        let budget: &Arc<Budget> = self.account.budget();
        OutOfMemory { owner: self.account.owner().to_owned(), kind: Kind::Staging, asked, report: budget.report() }
    }

    fn put(&self, buffer: Buffer) {
        let mut idle = self.idle();
        idle.next += 1;
        let id = (buffer.values.len(), idle.next);
        idle.by_capacity.insert(id, buffer);
        idle.shrink_to(self.keep.load(Relaxed), self.lock);
    }
}

/// Idle slots give way like caches: before anything that is in use.
impl Reclaim for Slots {
    fn kind(&self) -> Kind {
        Kind::Cache
    }

    fn reclaim(&self, _: u64) -> u64 {
        let mut idle = self.idle();
        let bytes = idle.by_capacity.values().map(|buffer| buffer.held.bytes()).sum();
        idle.shrink_to(0, self.lock);
        bytes
    }
}

impl Idle {
    /// The smallest one that is large enough.
    fn take(&mut self, len: usize) -> Option<Buffer> {
        let key = *self.by_capacity.range((len, 0)..).next()?.0;
        self.by_capacity.remove(&key)
    }

    /// Lets the smallest go until `slots` are left.
    fn shrink_to(&mut self, slots: usize, lock: PageLock) {
        while self.by_capacity.len() > slots
            && let Some((_, buffer)) = self.by_capacity.pop_first()
        {
            buffer.release(lock);
        }
    }
}

impl Buffer {
    fn release(mut self, lock: PageLock) {
        if self.locked {
            (lock.unlock)(&mut self.values);
        }
    }
}

impl Slot {
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        self.buffer.as_mut().map_or(&mut [], |buffer| &mut buffer.values[..self.len])
    }
}

impl AsRef<[u8]> for Slot {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(self.buffer.as_ref().map_or(&[], |buffer| &buffer.values[..self.len]))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.slots.put(buffer);
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let lock = self.lock;
        self.idle().shrink_to(0, lock);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn slots(lock: PageLock) -> (Arc<Budget>, Arc<Slots>) {
        let budget = Budget::unlimited("host");
        let slots = Slots::new(budget.account("unet", Kind::Staging), lock);
        slots.keep(2);
        (budget, slots)
    }

    #[test]
    fn a_slot_is_used_again_and_the_smallest_go_when_there_are_too_many() {
        let (budget, slots) = slots(PageLock::NONE);
        let first = slots.take(100).unwrap();
        let address = first.as_ref().as_ptr();
        drop(first);
        let again = slots.take(60).unwrap();
        assert_eq!((again.as_ref().as_ptr(), again.as_ref().len(), budget.used()), (address, 240, 400));
        let more = [10, 20, 30].map(|n| slots.take(n).unwrap());
        drop((again, more));
        assert_eq!(budget.used(), 400 + 120, "the two largest stay");
        drop(slots);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_no_system_has_is_an_error_that_names_the_owner_and_leaves_the_budget_as_it_was() {
        let (budget, slots) = slots(PageLock::NONE);
        let error = slots.take(isize::MAX as usize / 4).map(|_| ()).unwrap_err();
        assert!(error.to_string().starts_with("host: unet asked for "), "{error}");
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn f07_when_the_system_locks_nothing_slots_are_ordinary_memory() {
        let refusing = PageLock { most: u64::MAX, lock: |_| false, unlock: |_| unreachable!("nothing is locked") };
        let (_, slots) = slots(refusing);
        let mut slot = slots.take(100).unwrap();
        slot.values_mut().fill(1.0);
        drop(slot);
        assert_eq!(slots.locked(), 0);
    }

    #[test]
    fn f07_no_more_is_locked_than_the_cap_allows() {
        let (_, slots) = slots(PageLock { most: 500, lock: |_| true, unlock: |_| {} });
        let two = [100, 100].map(|n| slots.take(n).unwrap());
        drop(two);
        assert!(slots.locked() <= 800, "both were asked for while none was idle");
        let (_, slots) = self::slots(PageLock { most: 300, lock: |_| true, unlock: |_| {} });
        drop(slots.take(100).unwrap());
        assert_eq!(slots.locked(), 0, "400 bytes are more than 300");
    }
}
