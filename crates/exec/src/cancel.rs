//! Cancelling: one flag per run, set from anywhere, seen at every checkpoint.

use std::fmt;
use std::task::Waker;

use futures::task::ArcWake;

use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock};

/// Stops a run from another thread, a signal handler or a node.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Inner>);

#[derive(Default)]
struct Inner {
    flag: AtomicBool,
    /// Those who wait and want to know, by number.
    sleepers: Mutex<Vec<(u64, Waker)>>,
}

/// Somebody waits, as long as this lives.
pub(crate) struct Sleeping {
    cancel: Cancel,
    number: u64,
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        lock(&self.cancel.0.sleepers).retain(|(number, _)| *number != self.number);
    }
}

/// Whoever wakes a flag sets it: so one flag is set by another.
impl ArcWake for Inner {
    fn wake_by_ref(this: &Arc<Self>) {
        Cancel(Arc::clone(this)).cancel();
    }
}

impl Cancel {
    /// Not cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to stop: at the next progress step, before the next node, or at once while it only waits.
    pub fn cancel(&self) {
        self.0.flag.store(true, Ordering::Release);
        lock(&self.0.sleepers).iter().for_each(|(_, sleeper)| sleeper.wake_by_ref());
    }

    /// A flag that is set when this one is, as long as the guard lives, and can be set without this one.
    pub(crate) fn child(&self) -> (Self, Sleeping) {
        let child = Self::new();
        let link = self.add_waker(futures::task::waker(Arc::clone(&child.0)));
        if self.is_cancelled() {
            child.cancel();
        }
        (child, link)
    }

    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.flag.load(Ordering::Acquire)
    }

    /// Wakes `sleeper` when somebody cancels, until the guard is dropped. Look at the flag once after this.
    pub(crate) fn add_waker(&self, sleeper: Waker) -> Sleeping {
        let mut sleepers = lock(&self.0.sleepers);
        let number = sleepers.last().map_or(0, |(last, _)| last + 1);
        sleepers.push((number, sleeper));
        Sleeping { cancel: self.clone(), number }
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cancel({})", self.is_cancelled())
    }
}
