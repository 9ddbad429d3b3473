//! The run lock: one run at a time. Others queue for it, first come, first served, and may leave the queue.
//!
//! Whoever queues says how it begins; the lock is handed from run to run, so that nobody who comes later slips in
//! between, and nobody has to be polled for its turn to begin. Knows neither threads nor futures.

use std::collections::VecDeque;

use crate::cancel::Cancel;
use crate::error::{ErrorKind, NodeError};
use crate::lanes::Mailbox;
use crate::sync::{Arc, Mutex, lock};

/// One run at a time.
#[derive(Default)]
pub(crate) struct RunLock {
    queue: Mutex<Queue>,
}

type Begin = Box<dyn FnOnce(RunGuard) + Send>;

#[derive(Default)]
struct Queue {
    /// Somebody runs.
    held: bool,
    /// Who waits, in the order in which they came.
    waiting: VecDeque<(u64, Begin)>,
    /// How many had to wait so far.
    numbers: u64,
}

/// The right to run. Dropping it lets the next one.
pub(crate) struct RunGuard(Arc<RunLock>);

/// A place in the queue. Dropping it leaves the queue; when the run has begun, nothing.
pub(crate) struct Place {
    lock: Arc<RunLock>,
    /// None for who did not have to wait.
    number: Option<u64>,
}

impl RunLock {
    /// Calls `begin` with the right to run: now, if nobody runs, else when those who came before are through, on the
    /// thread that lets go.
    pub(crate) fn enter(self: &Arc<Self>, begin: impl FnOnce(RunGuard) + Send + 'static) -> Place {
        let mut queue = lock(&self.queue);
        if queue.held {
            let number = queue.numbers;
            queue.numbers += 1;
            queue.waiting.push_back((number, Box::new(begin)));
            return Place { lock: Arc::clone(self), number: Some(number) };
        }
        queue.held = true;
        drop(queue);
        begin(RunGuard(Arc::clone(self)));
        Place { lock: Arc::clone(self), number: None }
    }

    /// The right to run, if nobody runs.
    ///
    /// # Errors
    /// `ErrorKind::Busy`, with how many wait already.
    pub(crate) fn try_acquire(self: &Arc<Self>) -> Result<RunGuard, NodeError> {
        let mut queue = lock(&self.queue);
        if queue.held {
            let waiting = queue.waiting.len();
            let message = format!("the engine runs another prompt, {waiting} more wait; try later, or queue");
            return Err(NodeError::of(ErrorKind::Busy, message));
        }
        queue.held = true;
        Ok(RunGuard(Arc::clone(self)))
    }

    /// Waits until nobody else runs.
    pub(crate) fn acquire(self: &Arc<Self>) -> RunGuard {
        let mailbox = Mailbox::new();
        let _place = self.enter_by(&mailbox);
        loop {
            if let Some(guard) = mailbox.take() {
                return guard;
            }
        }
    }

    /// Waits until nobody else runs, or the run that wants to is cancelled.
    ///
    /// # Errors
    /// `ErrorKind::Interrupted`.
    pub(crate) fn acquire_unless(self: &Arc<Self>, cancel: &Cancel) -> Result<RunGuard, NodeError> {
        let mailbox = Mailbox::new();
        let _awake = cancel.add_waker(futures::task::waker(Arc::clone(&mailbox)));
        let _place = self.enter_by(&mailbox);
        loop {
            if let Some(guard) = mailbox.try_take() {
                return Ok(guard);
            }
            if cancel.is_cancelled() {
                return Err(NodeError::interrupted());
            }
            if let Some(guard) = mailbox.take() {
                return Ok(guard);
            }
        }
    }

    /// The right to run comes as a message.
    fn enter_by(self: &Arc<Self>, mailbox: &Arc<Mailbox<RunGuard>>) -> Place {
        let answer = Arc::clone(mailbox);
        self.enter(move |guard| answer.send(guard))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mine) = self.number {
            // What would have begun is dropped outside of the lock.
            let left = {
                let mut queue = lock(&self.lock.queue);
                let at = queue.waiting.iter().position(|(number, _)| *number == mine);
                at.and_then(|at| queue.waiting.remove(at))
            };
            drop(left);
        }
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        let next = queue.waiting.pop_front();
        queue.held = next.is_some();
        drop(queue);
        if let Some((_, begin)) = next {
            begin(RunGuard(Arc::clone(&self.0)));
        }
    }
}
