//! The events of a run as a stream: the run goes on while they are read, and its report comes after the last one.
//!
//! Knows when an event may be left out, not what it means.

use std::collections::VecDeque;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::Stream;

use crate::engine::{Report, RunError};
use crate::observe::Event;
use crate::run::future::RunFuture;
use crate::run::start::Run;
use crate::sync::{Arc, Mutex, lock};

/// So many events wait for a slow reader before steps and states of progress are left out. All others always come.
const WAITING: usize = 1024;

/// What a run reports, event by event, in its order; ends with the run.
///
/// Reading drives nothing: the run goes on by itself, as a [`RunFuture`] does from the first poll on, and dropping the
/// stream cancels it. A reader that falls behind by more than a thousand events misses steps of progress and previews,
/// nothing else.
#[must_use = "a run does nothing until its events are read or its report is awaited"]
pub struct EventStream {
    run: RunFuture,
    inbox: Arc<Inbox>,
    ended: Option<Result<Report, RunError>>,
}

/// Events between the run's threads and the reader.
#[derive(Default)]
struct Inbox(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    reader: Option<Waker>,
}

impl Inbox {
    fn push(&self, event: &Event) {
        let mut waiting = lock(&self.0);
        let passing = matches!(event, Event::Progress { .. } | Event::ProgressState { .. });
        if passing && waiting.events.len() >= WAITING {
            return;
        }
        waiting.events.push_back(event.clone());
        let reader = waiting.reader.take();
        drop(waiting);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Event> {
        let mut waiting = lock(&self.0);
        if let Some(event) = waiting.events.pop_front() {
            return Poll::Ready(event);
        }
        waiting.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Run {
    /// The run's events as a stream; a listener that was set hears them, too.
    ///
    /// ```
    /// use futures::StreamExt;
    /// # use kiln_exec::*;
    /// # async fn see(engine: Engine, prompt: Prompt) -> Result<Report, RunError> {
    /// let mut events = engine.start(prompt).stream();
    /// while let Some(event) = events.next().await {
    ///     println!("{event:?}");
    /// }
    /// events.report().await
    /// # }
    /// ```
    pub fn stream(self) -> EventStream {
        let inbox = Arc::<Inbox>::default();
        let (letters, before) = (Arc::clone(&inbox), self.listener());
        let run = self.on_event(move |event| {
            if let Some(before) = &before {
                before(event);
            }
            letters.push(event);
        });
        EventStream { run: run.into_future(), inbox, ended: None }
    }
}

impl EventStream {
    /// Waits for the end; events that were not read are left out.
    ///
    /// # Errors
    /// As [`Run::run`].
    pub async fn report(self) -> Result<Report, RunError> {
        match self.ended {
            Some(ended) => ended,
            None => self.run.await,
        }
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        // First the run, then its events: at its end all of them are there.
        if self.ended.is_none()
            && let Poll::Ready(ended) = Pin::new(&mut self.run).poll(cx)
        {
            self.ended = Some(ended);
        }
        match self.inbox.poll(cx) {
            Poll::Ready(event) => Poll::Ready(Some(event)),
            Poll::Pending if self.ended.is_some() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}
