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

    /// Makes the limit one of the whole process: what libraries and programs allocated without telling the budget is
    /// measured at each poll and counted, as if an activation held it. Weights and caches get what is left.
    #[must_use]
    pub fn counting_the_process(mut self) -> Self {
        self.uncounted = Some(Mutex::default());
        self
    }

    /// Asks the system what is available and moves the limit. Nothing happens where the system doesn't say.
    pub fn poll(&self) {
        if let Some(memory) = process_memory() {
            self.measure(memory.anonymous);
        }
        if let Some(available) = available_memory() {
            self.adjust(available);
        }
    }

    /// This process holds so many bytes of its own: what of them no owner counts is counted from now on.
    pub fn measure(&self, anonymous: u64) {
        let Some(uncounted) = &self.uncounted else { return };
        let mut held = uncounted.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = self.budget.used().saturating_sub(held.as_ref().map_or(0, Reservation::bytes));
        let more = anonymous.saturating_sub(counted);
        *held = None;
        *held = Some(self.budget.account("not told to the budget", Kind::Activations).take(more));
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
