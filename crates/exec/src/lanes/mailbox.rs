//! The mailbox: where lanes put finished calls and wakers ring, and where the scheduler waits.
//!
//! Generic over the message so that it can be tested by itself. Built on [`crate::sync`] alone.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sync::{Arc, Condvar, Mutex, lock};

/// Messages for one scheduler.
pub(crate) struct Mailbox<T> {
    inner: Mutex<Inner<T>>,
    bell: Condvar,
}

struct Inner<T> {
    messages: VecDeque<T>,
    rung: bool,
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Arc<Self> {
        let inner = Inner { messages: VecDeque::new(), rung: false };
        Arc::new(Self { inner: Mutex::new(inner), bell: Condvar::new() })
    }

    /// Leaves a message and wakes the scheduler.
    pub(crate) fn send(&self, message: T) {
        lock(&self.inner).messages.push_back(message);
        self.bell.notify_one();
    }

    /// Wakes the scheduler without a message.
    pub(crate) fn ring(&self) {
        lock(&self.inner).rung = true;
        self.bell.notify_one();
    }

    /// A message, if there is one.
    pub(crate) fn try_take(&self) -> Option<T> {
        lock(&self.inner).messages.pop_front()
    }

    /// Waits for a message or a wake-up. `None` after a wake-up.
    pub(crate) fn take(&self) -> Option<T> {
        let mut inner = lock(&self.inner);
        loop {
            if let Some(message) = inner.messages.pop_front() {
                return Some(message);
            }
            if std::mem::take(&mut inner.rung) {
                return None;
            }
            inner = self.bell.wait(inner).unwrap_or_else(crate::sync::PoisonError::into_inner);
        }
    }

    /// As [`take`](Self::take), at most this long.
    pub(crate) fn take_within(&self, limit: Duration) -> Option<T> {
        let mut inner = lock(&self.inner);
        if inner.messages.is_empty() && !inner.rung {
            let waited = self.bell.wait_timeout(inner, limit);
            inner = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(inner, _)| inner);
        }
        inner.rung = false;
        inner.messages.pop_front()
    }
}

impl<T: Send> futures::task::ArcWake for Mailbox<T> {
    fn wake_by_ref(this: &Arc<Self>) {
        this.ring();
    }
}
