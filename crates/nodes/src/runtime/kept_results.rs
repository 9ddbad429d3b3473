//! The results that an engine keeps between runs, as the memory budget sees them: counted, and given back when others need
//! the bytes, whatever the cache's policy.
//!
//! Knows bytes. Knows no result.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kiln_exec::KeptResults;
use kiln_memory::{Budget, Kind, Reclaim, Reservation};

/// What an engine's cache keeps, counted in a [`Budget`].
///
/// It gives way after weights, which come again from their file: only a run that is short without any weight makes results
/// go.
pub(crate) struct CountedResults {
    budget: Arc<Budget>,
    held: Mutex<Option<Reservation>>,
    kept: OnceLock<KeptResults>,
}

impl CountedResults {
    pub(crate) fn new(budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self { budget, held: Mutex::default(), kept: OnceLock::new() })
    }

    /// The results that are counted, and that can be asked for.
    pub(crate) fn attach(self: &Arc<Self>, kept: KeptResults) {
        if self.kept.set(kept).is_ok() {
            let reclaim: Arc<dyn Reclaim> = Arc::clone(self) as _;
            self.budget.add_reclaimer(Arc::downgrade(&reclaim));
        }
    }

    /// A run is over: so many bytes are kept of it.
    pub(crate) fn set(&self, bytes: u64) {
        self.with(|held| {
            *held = None;
            *held = Some(self.budget.account("results of the last run", Kind::Results).take(bytes));
        });
    }

    /// So many bytes of them are gone. Returns how many of those were counted.
    pub(crate) fn gave_back(&self, bytes: u64) -> u64 {
        self.with(|held| {
            let Some(held) = held else { return 0 };
            let counted = held.bytes();
            held.shrink_to(counted.saturating_sub(bytes));
            counted - held.bytes()
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Option<Reservation>) -> T) -> T {
        change(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reclaim for CountedResults {
    fn kind(&self) -> Kind {
        Kind::Results
    }

    fn reclaim(&self, bytes: u64) -> u64 {
        let freed = self.kept.get().map_or(0, |kept| kept.give_back(bytes));
        self.gave_back(freed)
    }
}
