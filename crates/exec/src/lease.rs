//! The lease: what an engine keeps from prompt to prompt, lent to one run at a time, and taken back from a run that is
//! stuck in a node.
//!
//! A run lets go of the lock while a node's code runs. A cancelled run that does not come back from there within its
//! grace is left behind: whoever waits for it takes the session over, whole as it is between two nodes, and the stuck
//! thread finds nothing to do but to end. Knows no schedule.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use kiln_graph::NodeId;

use crate::cancel::Cancel;
use crate::cx::Ids;
use crate::engine::Session;
use crate::error::NodeError;
use crate::report::Summary;
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak, lock};

/// How often somebody who waits for a turn looks for a cancel.
const LOOK: Duration = Duration::from_millis(50);

/// One run at a time.
#[derive(Default)]
pub(crate) struct Turn {
    taken: Mutex<bool>,
    free: Condvar,
}

/// The right to run. Dropping it lets the next one.
pub(crate) struct Turning<'t>(&'t Turn);

impl Turn {
    /// Waits until nobody else runs.
    pub(crate) fn take(&self) -> Turning<'_> {
        let mut taken = lock(&self.taken);
        while *taken {
            taken = self.free.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken = true;
        Turning(self)
    }

    /// Waits until nobody else runs, or the run that wants to is cancelled.
    pub(crate) fn take_unless(&self, cancel: &Cancel) -> Result<Turning<'_>, NodeError> {
        let mut taken = lock(&self.taken);
        while *taken {
            if cancel.is_cancelled() {
                return Err(NodeError::interrupted());
            }
            let waited = self.free.wait_timeout(taken, LOOK);
            taken = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(taken, _)| taken);
        }
        *taken = true;
        Ok(Turning(self))
    }
}

impl Drop for Turning<'_> {
    fn drop(&mut self) {
        *lock(&self.0.taken) = false;
        self.0.free.notify_one();
    }
}

/// The node whose code a run is in, and how far the run had come.
#[derive(Clone, Default)]
pub(crate) struct Busy {
    pub node: Option<Ids>,
    pub summary: Summary,
}

/// A session, lent to a run.
pub(crate) struct Lease<'e> {
    from: &'e Mutex<Session>,
    guard: Option<MutexGuard<'e, Session>>,
    /// What a run that was left behind goes on with until it ends. Nobody sees it.
    own: Session,
    run: u64,
    lost: bool,
}

impl<'e> Lease<'e> {
    /// Begins a run.
    pub(crate) fn new(from: &'e Mutex<Session>) -> Self {
        let mut guard = lock(from);
        guard.runs += 1;
        let run = guard.runs;
        Self { from, guard: Some(guard), own: Session::default(), run, lost: false }
    }

    /// Lets go while a node's code runs.
    pub(crate) fn pause(&mut self, busy: Busy) {
        if let Some(mut guard) = self.guard.take() {
            guard.busy = Some(busy);
        }
    }

    /// The node's code is through. Answers whether the run may go on; not if it was left behind meanwhile.
    pub(crate) fn resume(&mut self) -> bool {
        if self.lost || self.guard.is_some() {
            return !self.lost;
        }
        let mut guard = lock(self.from);
        self.lost = guard.runs != self.run;
        if !self.lost {
            guard.busy = None;
            self.guard = Some(guard);
        }
        !self.lost
    }
}

impl Deref for Lease<'_> {
    type Target = Session;
    fn deref(&self) -> &Session {
        self.guard.as_deref().unwrap_or(&self.own)
    }
}
impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        self.guard.as_deref_mut().unwrap_or(&mut self.own)
    }
}

/// What was taken back from a run that is stuck.
pub(crate) struct Taken {
    pub busy: Busy,
    /// The run's id.
    pub prompt_id: std::sync::Arc<str>,
    /// Bytes that the run still holds.
    pub bytes: u64,
    peak: u64,
    live: u64,
}

impl Taken {
    /// What the run had done.
    pub(crate) fn summary(&self) -> Summary {
        Summary { peak_bytes: self.peak, live_bytes_at_end: self.live, ..self.busy.summary }
    }
}

/// Takes the session back, if its run is in a node's code at this moment.
pub(crate) fn take_back(from: &Mutex<Session>) -> Option<Taken> {
    let mut session = from.try_lock().ok()?;
    let busy = session.busy.take()?;
    let prompt_id = session.prompt_id.clone();
    session.runs += 1;
    let session = &mut *session;
    let (before, peak) = (session.ledger.live(), session.ledger.peak());
    session.cache.recount(&mut session.ledger);
    let live = session.ledger.live();
    Some(Taken { busy, prompt_id, bytes: before.saturating_sub(live), peak, live })
}

/// A node that did not come back after a cancel. Its thread cannot be ended from outside; it holds what it holds until
/// it returns by itself.
#[derive(Clone)]
pub struct AbandonedCall {
    /// The node.
    pub node: Option<NodeId>,
    /// The node of the prompt that it comes from.
    pub real_node: Option<NodeId>,
    /// The run it was part of.
    pub prompt_id: std::sync::Arc<str>,
    /// When it was left behind.
    pub since: Instant,
    /// Payload bytes that its call, or its whole run, still refers to and that the engine no longer counts.
    pub bytes: u64,
}

impl fmt::Debug for AbandonedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.node.as_ref().map_or("?", NodeId::as_str);
        write!(f, "node \"{node}\" of run {}, {} bytes, for {:?}", self.prompt_id, self.bytes, self.since.elapsed())
    }
}

/// Says, by being alive, that a call has not returned.
pub(crate) type Sign = Arc<()>;

/// All that was left behind and has not come back.
#[derive(Default)]
pub(crate) struct Behind(Mutex<Vec<(Weak<()>, AbandonedCall)>>);

impl Behind {
    pub(crate) fn add(&self, sign: Weak<()>, node: AbandonedCall) {
        let mut all = lock(&self.0);
        all.retain(|(sign, _)| sign.strong_count() > 0);
        all.push((sign, node));
    }

    pub(crate) fn list(&self) -> Vec<AbandonedCall> {
        let mut all = lock(&self.0);
        all.retain(|(sign, _)| sign.strong_count() > 0);
        all.iter().map(|(_, node)| node.clone()).collect()
    }
}
