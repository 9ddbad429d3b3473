//! Cancelling: one flag per run, set from anywhere, seen at every checkpoint.

use crate::sync::{Arc, AtomicBool, Ordering};

/// Stops a run from another thread, a signal handler or a node.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Not cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to stop: at the next progress step, before the next node, or at once while it only waits.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
