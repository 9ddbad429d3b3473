//! Cancelling: one flag per run, set from anywhere, seen at every checkpoint.

use std::fmt;
use std::task::Waker;

use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock};

/// Stops a run from another thread, a signal handler or a node.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Inner>);

#[derive(Default)]
struct Inner {
    flag: AtomicBool,
    /// Schedulers that wait and want to know.
    sleepers: Mutex<Vec<Waker>>,
}

impl Cancel {
    /// Not cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to stop: at the next progress step, before the next node, or at once while it only waits.
    pub fn cancel(&self) {
        self.0.flag.store(true, Ordering::Release);
        lock(&self.0.sleepers).iter().for_each(Waker::wake_by_ref);
    }

    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.flag.load(Ordering::Acquire)
    }

    pub(crate) fn wakes(&self, sleeper: Waker) {
        lock(&self.0.sleepers).push(sleeper);
    }

    pub(crate) fn forget_sleepers(&self) {
        lock(&self.0.sleepers).clear();
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cancel({})", self.is_cancelled())
    }
}
