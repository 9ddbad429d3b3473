//! Lanes: engines that run one job at a time each, side by side over one budget.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use kiln_exec::{Report, RunError};
use kiln_nodes::Session;

use super::running::Running;

/// An engine, and the job that it runs.
pub(super) struct Lane {
    pub(super) session: Arc<Session>,
    pub(super) running: Option<Running>,
    /// Give back what is kept between prompts, as soon as none runs.
    pub(super) free: bool,
}

impl Lane {
    /// A lane on which nothing runs.
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session, running: None, free: false }
    }

    /// Gives back what was asked for, if nothing runs.
    pub(super) fn tidy(&mut self) {
        if self.running.is_none() && std::mem::take(&mut self.free) {
            self.session.engine().free();
        }
    }
}

/// Waits until a job ends; never if none runs. Returns its lane.
pub(super) async fn next_end(lanes: &mut [Lane]) -> (usize, Result<Report, RunError>) {
    poll_fn(|context| {
        for (index, lane) in lanes.iter_mut().enumerate() {
            if let Some(Poll::Ready(ended)) = lane.running.as_mut().map(|running| running.poll(context)) {
                return Poll::Ready((index, ended));
            }
        }
        Poll::Pending
    })
    .await
}
