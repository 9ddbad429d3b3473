//! The session: what an engine keeps from prompt to prompt, lent to one run at a time, and taken back from a run that is
//! stuck in a node.
//!
//! A run lets go of the lock while a node's code runs. A cancelled run that does not come back from there within its
//! grace is abandoned: whoever waits for it takes the session over, whole as it is between two nodes, and the stuck
//! thread finds nothing to do but to end. Knows no schedule.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use kiln_graph::NodeId;

use crate::cache::Cache;
use crate::engine::report::Summary;
use crate::node::Ids;
use crate::observe::Memory;
use crate::spill::Spill;
use crate::store::LiveBytes;
use crate::sync::{Mutex, MutexGuard, lock};

/// What stays from prompt to prompt.
#[derive(Default)]
pub(crate) struct Session {
    pub cache: Cache,
    pub live_bytes: LiveBytes,
    /// Bytes of each node's outputs when it ran last.
    pub sizes: HashMap<NodeId, u64, foldhash::fast::RandomState>,
    pub memory: Memory,
    /// Where what nobody reads now goes, results that the cache keeps among them.
    pub spill: Option<Arc<dyn Spill>>,
    pub runs: u64,
    /// The id of the run that began last.
    pub prompt_id: Arc<str>,
    /// Set while it is in a node's code.
    pub active_call: Option<ActiveCall>,
}

impl Session {
    /// Lets go of cached results until so many bytes are free that nobody else holds. Returns how many.
    pub(crate) fn give_back(&mut self, bytes: u64) -> u64 {
        let before = self.live_bytes.live();
        self.cache.give_back(bytes, &mut self.live_bytes);
        before - self.live_bytes.live()
    }
}

/// The node whose code a run is in, and how far the run had come.
#[derive(Clone, Default)]
pub(crate) struct ActiveCall {
    pub node: Option<Ids>,
    pub summary: Summary,
}

/// A session, lent to a run.
pub(crate) struct SessionGuard<'e> {
    from: &'e Mutex<Session>,
    guard: Option<MutexGuard<'e, Session>>,
    /// What a run that was abandoned goes on with until it ends. Nobody sees it.
    own: Session,
    run: u64,
    lost: bool,
}

impl<'e> SessionGuard<'e> {
    /// Begins a run.
    pub(crate) fn new(from: &'e Mutex<Session>) -> Self {
        let mut guard = lock(from);
        guard.runs += 1;
        let run = guard.runs;
        Self { from, guard: Some(guard), own: Session::default(), run, lost: false }
    }

    /// Lets go while a node's code runs.
    pub(crate) fn pause(&mut self, call: ActiveCall) {
        if let Some(mut guard) = self.guard.take() {
            guard.active_call = Some(call);
        }
    }

    /// The node's code is through. Returns whether the run may go on; not if it was abandoned meanwhile.
    pub(crate) fn resume(&mut self) -> bool {
        if self.lost || self.guard.is_some() {
            return !self.lost;
        }
        let mut guard = lock(self.from);
        self.lost = guard.runs != self.run;
        if !self.lost {
            guard.active_call = None;
            self.guard = Some(guard);
        }
        !self.lost
    }
}

impl Deref for SessionGuard<'_> {
    type Target = Session;
    fn deref(&self) -> &Session {
        self.guard.as_deref().unwrap_or(&self.own)
    }
}
impl DerefMut for SessionGuard<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        self.guard.as_deref_mut().unwrap_or(&mut self.own)
    }
}

/// What was taken back from a run that is stuck.
pub(crate) struct Reclaimed {
    pub call: ActiveCall,
    /// The run's id.
    pub prompt_id: Arc<str>,
    /// Bytes that the run still holds.
    pub bytes: u64,
    peak: u64,
    live: u64,
}

impl Reclaimed {
    /// What the run had done.
    pub(crate) fn summary(&self) -> Summary {
        Summary { peak_bytes: self.peak, live_bytes_at_end: self.live, ..self.call.summary }
    }
}

/// Takes the session back, if its run is in a node's code at this moment.
pub(crate) fn revoke(from: &Mutex<Session>) -> Option<Reclaimed> {
    let mut session = from.try_lock().ok()?;
    let call = session.active_call.take()?;
    let prompt_id = session.prompt_id.clone();
    session.runs += 1;
    let session = &mut *session;
    let (before, peak) = (session.live_bytes.live(), session.live_bytes.peak());
    session.cache.recount(&mut session.live_bytes);
    let live = session.live_bytes.live();
    Some(Reclaimed { call, prompt_id, bytes: before.saturating_sub(live), peak, live })
}
