//! The future of a run: a run that is awaited, under any executor or none.
//!
//! Knows how a run begins and that it ends. It needs no runtime: while the run waits in the queue nothing of it runs, and
//! then it has a thread of its own.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::engine::{Report, RunError};
use crate::run::begun::Begun;
use crate::run::start::Run;

/// A run that is awaited.
///
/// It joins the engine's queue when it is polled first, and goes on by itself from there on; polling learns of the end.
/// Dropping it leaves the queue, or cancels the run; the [`Cancel`](crate::Cancel) that the run was given stays as it is.
#[must_use = "a run does nothing until it is polled"]
pub struct RunFuture {
    state: State,
}

enum State {
    New(Box<Run>),
    Begun(Begun),
    Over,
}

impl IntoFuture for Run {
    type Output = Result<Report, RunError>;
    type IntoFuture = RunFuture;

    fn into_future(self) -> RunFuture {
        RunFuture { state: State::New(Box::new(self)) }
    }
}

impl Future for RunFuture {
    type Output = Result<Report, RunError>;

    /// # Panics
    /// Never: polled after its end it stays pending.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut begun = match std::mem::replace(&mut self.state, State::Over) {
            State::New(run) => run.begin()?,
            State::Begun(begun) => begun,
            State::Over => return Poll::Pending,
        };
        let ended = begun.poll(cx);
        if ended.is_pending() {
            self.state = State::Begun(begun);
        }
        ended
    }
}
