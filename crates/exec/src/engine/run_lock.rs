//! The run lock: one run at a time. Others wait for it, and stop waiting when they are cancelled.

use std::time::Duration;

use crate::cancel::Cancel;
use crate::error::NodeError;
use crate::sync::{Condvar, Mutex, PoisonError, lock};

/// How often a run that waits for the lock looks for a cancel.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// One run at a time.
#[derive(Default)]
pub(crate) struct RunLock {
    held: Mutex<bool>,
    free: Condvar,
}

/// The right to run. Dropping it lets the next one.
pub(crate) struct RunGuard<'t>(&'t RunLock);

impl RunLock {
    /// Waits until nobody else runs.
    pub(crate) fn acquire(&self) -> RunGuard<'_> {
        let mut held = lock(&self.held);
        while *held {
            held = self.free.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        *held = true;
        RunGuard(self)
    }

    /// Waits until nobody else runs, or the run that wants to is cancelled.
    pub(crate) fn acquire_unless(&self, cancel: &Cancel) -> Result<RunGuard<'_>, NodeError> {
        let mut held = lock(&self.held);
        while *held {
            if cancel.is_cancelled() {
                return Err(NodeError::interrupted());
            }
            let waited = self.free.wait_timeout(held, POLL_INTERVAL);
            held = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(held, _)| held);
        }
        *held = true;
        Ok(RunGuard(self))
    }
}

impl Drop for RunGuard<'_> {
    fn drop(&mut self) {
        *lock(&self.0.held) = false;
        self.0.free.notify_one();
    }
}
