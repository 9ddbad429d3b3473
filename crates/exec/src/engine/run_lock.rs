//! The run lock: one run at a time. Others wait for it, and stop waiting when they are cancelled.

use std::time::Duration;

use crate::cancel::Cancel;
use crate::error::NodeError;
use crate::sync::{Condvar, Mutex, PoisonError, lock};

/// How often somebody who waits for a turn looks for a cancel.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// One run at a time.
#[derive(Default)]
pub(crate) struct RunLock {
    taken: Mutex<bool>,
    free: Condvar,
}

/// The right to run. Dropping it lets the next one.
pub(crate) struct RunGuard<'t>(&'t RunLock);

impl RunLock {
    /// Waits until nobody else runs.
    pub(crate) fn take(&self) -> RunGuard<'_> {
        let mut taken = lock(&self.taken);
        while *taken {
            taken = self.free.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken = true;
        RunGuard(self)
    }

    /// Waits until nobody else runs, or the run that wants to is cancelled.
    pub(crate) fn take_unless(&self, cancel: &Cancel) -> Result<RunGuard<'_>, NodeError> {
        let mut taken = lock(&self.taken);
        while *taken {
            if cancel.is_cancelled() {
                return Err(NodeError::interrupted());
            }
            let waited = self.free.wait_timeout(taken, POLL_INTERVAL);
            taken = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(taken, _)| taken);
        }
        *taken = true;
        Ok(RunGuard(self))
    }
}

impl Drop for RunGuard<'_> {
    fn drop(&mut self) {
        *lock(&self.0.taken) = false;
        self.0.free.notify_one();
    }
}
