//! A run that has begun for somebody who does not block: in the queue, or on a thread of its own.
//!
//! Knows how it ends and how to end it, not what it runs.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::channel::oneshot;

use crate::cancel::{Cancel, Sleeping};
use crate::engine::{Place, Report, RunError};
use crate::error::{ErrorKind, NodeError};

/// A run that is in the queue or on its thread.
pub(super) struct Begun {
    /// Where it ends. Left without a message when it left the queue.
    pub ended: oneshot::Receiver<Result<Report, RunError>>,
    /// Its place in the queue, unless it gave it up.
    pub place: Option<Place>,
    /// The flag it was given.
    pub outer: Cancel,
    /// The flag that stops it alone.
    pub own: Cancel,
    /// Wakes whoever polled last when it is cancelled.
    pub awake: Option<Sleeping>,
}

impl Begun {
    /// The end, or a wake-up when it comes.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Report, RunError>> {
        self.awake = Some(self.outer.add_waker(cx.waker().clone()));
        if self.outer.is_cancelled() {
            // Where it still waits its end comes at once; where it runs it sees the cancel by itself.
            self.place = None;
        }
        Pin::new(&mut self.ended).poll(cx).map(|ended| ended.unwrap_or_else(|_| Err(self.never_began())))
    }

    fn never_began(&self) -> RunError {
        RunError::of_prompt(if self.outer.is_cancelled() {
            NodeError::interrupted()
        } else {
            NodeError::of(ErrorKind::Failed, "the system gave no thread for the run; end others and try again")
        })
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // Nothing hears it any more when the run is over.
        self.own.cancel();
    }
}
