//! Other programs' needs: how a budget's limit follows what the machine has left. Knows two numbers; asks nobody.

use super::{
    account::{Budget, Reservation},
    kind::Kind,
    machine::available_memory,
    process::process_memory,
};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// The limit moves in steps of this size.
const STEP: u64 = 64 << 20;
/// It rises only when at least this much more could be had: what another program frees and takes in turn doesn't make
/// it swing.
const HYSTERESIS: u64 = 256 << 20;

/// Keeps a budget within what the machine can spare, whoever else runs on it. Poll it where a moment is lost anyway,
/// between nodes for example.
#[derive(Debug)]
pub struct PressureMonitor {
    budget: Arc<Budget>,
    /// The limit that was asked for; never exceeded.
    configured: u64,
    /// What is left to the rest of the machine.
    headroom: u64,
    current: AtomicU64,
    /// Memory of this process that no owner counted, if it is to count.
    uncounted: Option<Mutex<Option<Reservation>>>,
}

impl PressureMonitor {
    /// Watches over `budget`, whose limit now is the most it will ever have again, leaving `headroom` bytes to others.
    pub fn new(budget: Arc<Budget>, headroom: u64) -> Self {
        let configured = budget.limit();
        Self { budget, configured, headroom, current: AtomicU64::new(configured), uncounted: None }
    }

    /// Makes the limit one of the whole process: what libraries and programs allocated beside the budget is measured at each
    /// [`poll`](Self::poll) and counted ([`Kind::Process`]). Weights and caches get what is left.
    ///
    /// Counted is memory that belongs to the process alone (`RssAnon` on Linux). Pages of mapped files are not: the system
    /// takes them back when it needs them. Where the process needs more than the limit without any weight, none stays and
    /// computing goes on beyond the limit.
    #[must_use]
    pub fn counting_the_process(mut self) -> Self {
        self.uncounted = Some(Mutex::default());
        self
    }

    /// Asks the system what is available and moves the limit. Nothing happens where the system doesn't say.
    pub fn poll(&self) {
        self.count_the_process();
        if let Some(available) = available_memory() {
            self.adjust(available);
        }
    }

    /// Asks the system what this process holds, if that is to be counted: right before room is claimed, for example.
    pub fn count_the_process(&self) {
        if self.uncounted.is_some()
            && let Some(memory) = process_memory()
        {
            self.measure(memory.anonymous);
        }
    }

    /// This process holds so many bytes of its own: what of them no owner counts is counted from now on.
    ///
    /// While a computation has room that it may not have filled yet, what is counted rises only: its empty room would be
    /// taken for the rest of the process.
    pub fn measure(&self, anonymous: u64) {
        let Some(uncounted) = &self.uncounted else { return };
        let mut held = uncounted.lock().unwrap_or_else(PoisonError::into_inner);
        let before = held.as_ref().map_or(0, Reservation::bytes);
        let computing = self.budget.used_for(Kind::Activations) > 0;
        let counted = self.budget.used().saturating_sub(before);
        let more = anonymous.saturating_sub(counted).max(if computing { before } else { 0 });
        if more < before
            && let Some(held) = held.as_mut()
        {
            return held.shrink_to(more);
        }
        let rest = self.budget.account("the rest of the process", Kind::Process);
        let added = rest.take(more - before);
        match held.as_mut() {
            Some(held) => held.absorb(added),
            None => *held = Some(added),
        }
    }

    /// Moves the limit to what is held and `available` together, less the headroom: down at once, up past the
    /// hysteresis only. Whoever holds weights or caches gives them back on the way down.
    pub fn adjust(&self, available: u64) {
        let spare = self.budget.used().saturating_add(available).saturating_sub(self.headroom);
        let target = (spare / STEP * STEP).min(self.configured);
        let current = self.current.load(Relaxed);
        let rises = target >= current.saturating_add(HYSTERESIS) || (target == self.configured && target > current);
        if target < current || rises {
            self.current.store(target, Relaxed);
            self.budget.set_limit(target);
        }
    }
}
