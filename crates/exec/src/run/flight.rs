//! Calls in flight: on lanes, and waiting as futures. The scheduler sleeps here when nothing else can start.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::stream::{FuturesOrdered, FuturesUnordered, StreamExt};
use kiln_graph::schedule::NodeIx;

use super::call::CallResult;
use crate::error::NodeError;
use crate::lanes::{Lanes, Mailbox};

/// How long a lane may take to come back after a cancel before it is abandoned.
const GRACE: Duration = Duration::from_secs(2);

/// A call that came back.
pub(super) struct Landed {
    pub node: NodeIx,
    pub results: Result<Vec<CallResult>, NodeError>,
    pub elapsed: Duration,
}

type Waiting = Pin<Box<dyn Future<Output = Landed> + Send>>;

/// Calls that have begun and not ended.
pub(super) struct Flight {
    pub mailbox: Arc<Mailbox<Landed>>,
    pub on_lanes: usize,
    waiting: FuturesUnordered<Waiting>,
    /// In deterministic runs calls come back in the order in which they were started.
    ordered: Option<FuturesOrdered<Waiting>>,
}

impl Flight {
    pub(super) fn new(deterministic: bool) -> Self {
        let ordered = deterministic.then(FuturesOrdered::new);
        Self { mailbox: Mailbox::new(), on_lanes: 0, waiting: FuturesUnordered::new(), ordered }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.on_lanes == 0 && self.waiting.is_empty() && self.ordered.as_ref().is_none_or(FuturesOrdered::is_empty)
    }

    /// Begins a call that waits.
    pub(super) fn launch(
        &mut self,
        node: NodeIx,
        calls: impl Future<Output = Result<Vec<CallResult>, NodeError>> + Send + 'static,
    ) {
        let begun = Instant::now();
        let landing: Waiting = Box::pin(async move { Landed { node, results: calls.await, elapsed: begun.elapsed() } });
        match &mut self.ordered {
            Some(ordered) => ordered.push_back(landing),
            None => self.waiting.push(landing),
        }
    }

    /// A call that came back; does not wait.
    pub(super) fn poll(&mut self) -> Option<Landed> {
        if self.on_lanes > 0
            && let Some(landed) = self.mailbox.try_take()
        {
            self.on_lanes -= 1;
            return Some(landed);
        }
        let waker = futures::task::waker(Arc::clone(&self.mailbox));
        let mut context = Context::from_waker(&waker);
        let polled = match &mut self.ordered {
            Some(ordered) if !ordered.is_empty() => ordered.poll_next_unpin(&mut context),
            _ if !self.waiting.is_empty() => self.waiting.poll_next_unpin(&mut context),
            _ => return None,
        };
        match polled {
            Poll::Ready(landed) => landed,
            Poll::Pending => None,
        }
    }

    /// Waits for a call to come back, or for a knock: a future that can go on, or a cancel.
    pub(super) fn wait(&mut self) -> Option<Landed> {
        let landed = self.mailbox.take()?;
        self.on_lanes -= 1;
        Some(landed)
    }

    /// Gives up on everything: futures are dropped, lanes get a moment to come back and are abandoned after it.
    pub(super) fn stop(&mut self, lanes: &Lanes) {
        self.waiting.clear();
        self.ordered = self.ordered.as_ref().map(|_| FuturesOrdered::new());
        let deadline = Instant::now() + GRACE;
        while self.on_lanes > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                lanes.abandon();
                self.mailbox = Mailbox::new();
                self.on_lanes = 0;
                return;
            }
            if self.mailbox.take_within(left).is_some() {
                self.on_lanes -= 1;
            }
        }
    }
}
