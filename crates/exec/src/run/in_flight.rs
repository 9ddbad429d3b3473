//! Calls in flight: on lanes, and waiting as futures. The scheduler sleeps here when nothing else can start.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::stream::{FuturesOrdered, FuturesUnordered, StreamExt};
use kiln_graph::schedule::NodeIx;

use crate::engine::CallToken;
use crate::error::NodeError;
use crate::lanes::{Lanes, Mailbox};
use crate::run::call::CallResult;
use crate::sync::{Arc, Weak};

/// A call that came back.
pub(super) struct Completion {
    pub node: NodeIx,
    pub results: Result<Vec<CallResult>, NodeError>,
    pub elapsed: Duration,
}

type Waiting = Pin<Box<dyn Future<Output = Completion> + Send>>;

/// Calls that have begun and not ended.
pub(super) struct InFlight {
    pub mailbox: Arc<Mailbox<Completion>>,
    /// Calls on lanes, each with the token that it has not returned.
    on_lanes: HashMap<NodeIx, Weak<()>>,
    waiting: FuturesUnordered<Waiting>,
    /// In deterministic runs calls come back in the order in which they were started.
    ordered: Option<FuturesOrdered<Waiting>>,
}

impl InFlight {
    pub(super) fn new(deterministic: bool) -> Self {
        let ordered = deterministic.then(FuturesOrdered::new);
        Self { mailbox: Mailbox::new(), on_lanes: HashMap::new(), waiting: FuturesUnordered::new(), ordered }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.on_lanes.is_empty()
            && self.waiting.is_empty()
            && self.ordered.as_ref().is_none_or(FuturesOrdered::is_empty)
    }

    /// A call that waits is under way, and its code may run when it is polled.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.ordered.as_ref().is_some_and(|ordered| !ordered.is_empty())
    }

    /// A call goes to a lane. It holds the token until it returns.
    pub(super) fn submit_to_lane(&mut self, node: NodeIx) -> CallToken {
        let token = CallToken::default();
        self.on_lanes.insert(node, Arc::downgrade(&token));
        token
    }

    /// A call that came back from a lane; does not wait.
    pub(super) fn returned(&mut self) -> Option<Completion> {
        if self.on_lanes.is_empty() {
            return None;
        }
        let completion = self.mailbox.try_take()?;
        self.on_lanes.remove(&completion.node);
        Some(completion)
    }

    /// Begins a call that waits.
    pub(super) fn spawn(
        &mut self,
        node: NodeIx,
        calls: impl Future<Output = Result<Vec<CallResult>, NodeError>> + Send + 'static,
    ) {
        let begun = Instant::now();
        let landing: Waiting =
            Box::pin(async move { Completion { node, results: calls.await, elapsed: begun.elapsed() } });
        match &mut self.ordered {
            Some(ordered) => ordered.push_back(landing),
            None => self.waiting.push(landing),
        }
    }

    /// A call that has waited long enough; does not wait. Runs code of nodes.
    pub(super) fn poll(&mut self) -> Option<Completion> {
        let waker = futures::task::waker(Arc::clone(&self.mailbox));
        let mut context = Context::from_waker(&waker);
        let polled = match &mut self.ordered {
            Some(ordered) if !ordered.is_empty() => ordered.poll_next_unpin(&mut context),
            _ if !self.waiting.is_empty() => self.waiting.poll_next_unpin(&mut context),
            _ => return None,
        };
        match polled {
            Poll::Ready(completion) => completion,
            Poll::Pending => None,
        }
    }

    /// Waits for a call to come back, or for a wake-up: a future that can go on, or a cancel.
    pub(super) fn wait(&mut self) -> Option<Completion> {
        let completion = self.mailbox.take()?;
        self.on_lanes.remove(&completion.node);
        Some(completion)
    }

    /// Gives up on everything: futures are dropped, lanes get a moment to come back and are abandoned after it. Returns
    /// the calls that did not come back.
    pub(super) fn stop(&mut self, lanes: &Lanes, grace: Duration) -> Vec<(NodeIx, Weak<()>)> {
        self.waiting.clear();
        self.ordered = self.ordered.as_ref().map(|_| FuturesOrdered::new());
        let deadline = Instant::now() + grace;
        while !self.on_lanes.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                lanes.abandon();
                self.mailbox = Mailbox::new();
                return self.on_lanes.drain().collect();
            }
            if let Some(completion) = self.mailbox.take_within(left) {
                self.on_lanes.remove(&completion.node);
            }
        }
        Vec::new()
    }
}
