//! The pager of one device: its provider and its books behind one lock, and what can be asked of them as a whole. What is
//! done with a unit is in `acquire`, `pin` and `work`.

use super::{
    counters::Counters,
    describe::{self, Map},
    plan::{Schedule, Timeline},
    policy::Policy,
    state::{Device, State},
};
use crate::{
    budget::{Kind, Reclaim},
    format::{READ_TIMEOUT, Reading},
    provider::Provider,
    sync::{Mutex, MutexGuard},
};
use std::{
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};

/// The residency of all models on one device. Cheap to clone.
pub struct Pager<P: Provider> {
    pub(super) inner: Arc<Inner<P>>,
}

pub(super) struct Inner<P: Provider> {
    pub(super) provider: P,
    pub(super) state: Mutex<State<P::Region>>,
}

impl<P: Provider> Inner<P> {
    pub(super) fn lock(&self) -> MutexGuard<'_, State<P::Region>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Provider> Pager<P> {
    /// A pager over `provider` that keeps at most `limit` bytes.
    pub fn new(provider: P, limit: u64) -> Self {
        let state = State {
            vbars: Vec::new(),
            priority: Vec::new(),
            page: provider.page_size(),
            limit,
            resident: 0,
            clock: 0,
            policy: Policy::default(),
            slots: 2,
            reading: Reading::Auto,
            read_timeout: Some(READ_TIMEOUT),
            timeline: Timeline::default(),
            device: Device::Here,
            losses: 0,
            frozen: 0,
            missed: 0,
        };
        Self { inner: Arc::new(Inner { provider, state: Mutex::new(state) }) }
    }

    /// Says what is going to run. Plans are made from it as the models begin.
    pub fn set_schedule(&self, schedule: Schedule) {
        self.inner.lock().timeline.set(schedule);
    }

    /// Chooses who goes when room is needed.
    pub fn set_policy(&self, policy: Policy) {
        self.inner.lock().policy = policy;
    }

    /// How many staging slots streamed units pass through; a plan leaves room for them, and as many units are brought
    /// ahead of their use. 2 unless said otherwise; with 0 nothing is brought ahead.
    pub fn set_slots(&self, slots: u64) {
        self.inner.lock().slots = slots;
    }

    /// How the files of models that come from now on are read. [`Reading::Auto`] leaves each as it is.
    pub fn set_reading(&self, reading: Reading) {
        self.inner.lock().reading = reading;
    }

    /// How the files of models are read.
    pub fn reading(&self) -> Reading {
        self.inner.lock().reading
    }

    /// How long the disks of models that come from now on may give nothing before a read is given up as stalled; `None`: for
    /// ever. Two minutes unless said otherwise.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.inner.lock().read_timeout = timeout;
    }

    /// How long a disk may give nothing.
    pub fn read_timeout(&self) -> Option<Duration> {
        self.inner.lock().read_timeout
    }

    /// How many staging slots there are.
    pub fn slots(&self) -> u64 {
        self.inner.lock().slots
    }

    /// Changes how many bytes may stay. Lowering it evicts at once what nobody reads, the rest when it is released.
    pub fn set_limit(&self, limit: u64) {
        let leaving = {
            let mut state = self.inner.lock();
            state.limit = limit;
            state.evict_excess()
        };
        self.inner.finish(leaving);
        self.inner.trim(limit);
    }

    /// The unit of commitment, in bytes.
    pub fn page_size(&self) -> usize {
        self.inner.provider.page_size()
    }

    /// How many bytes may stay.
    pub fn limit(&self) -> u64 {
        self.inner.lock().limit
    }

    /// Bytes that are here.
    pub fn resident(&self) -> u64 {
        self.inner.lock().resident
    }

    /// Bytes that someone reads now.
    pub fn pinned(&self) -> u64 {
        let state = self.inner.lock();
        state.units().filter(|(_, _, unit)| unit.pins > 0).map(|(_, _, unit)| state.charge(unit)).sum()
    }

    /// What all models have seen together, the dead ones excepted.
    pub fn counters(&self) -> Counters {
        let state = self.inner.lock();
        state.vbars.iter().flatten().fold(Counters::default(), |mut sum, vbar| {
            let c = vbar.counters;
            sum.hits += c.hits;
            sum.fills += c.fills;
            sum.streams += c.streams;
            sum.evictions += c.evictions;
            sum.filled_bytes += c.filled_bytes;
            sum.streamed_bytes += c.streamed_bytes;
            sum
        })
    }

    /// How often the device was lost and everything on it with it.
    pub fn losses(&self) -> u64 {
        self.inner.lock().losses
    }

    /// The provider below, to be looked at. Its ranges are the pager's.
    pub fn provider(&self) -> &P {
        &self.inner.provider
    }

    /// For a [`Budget`](crate::budget::Budget) to ask when others need the bytes.
    pub fn reclaimer(&self) -> Arc<dyn Reclaim> {
        self.inner.clone()
    }

    /// Counts everything again from scratch and says what doesn't agree with the books; empty when all does.
    pub fn audit(&self) -> Vec<String> {
        describe::audit(&self.inner.lock())
    }

    /// Who is where, unit by unit.
    pub fn describe(&self) -> Map {
        describe::map(&self.inner.lock())
    }
}

impl<P: Provider> Clone for Pager<P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<P: Provider> fmt::Debug for Pager<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.describe())
    }
}

impl<P: Provider> Reclaim for Inner<P> {
    fn kind(&self) -> Kind {
        Kind::Weights
    }

    fn reclaim(&self, bytes: u64) -> u64 {
        let leaving: Vec<_> = {
            let mut state = self.lock();
            let going = if state.frozen > 0 { Vec::new() } else { state.give_up(bytes) };
            going.into_iter().filter_map(|p| state.evict(p)).collect()
        };
        let freed = self.finish(leaving);
        let keep = self.lock().resident;
        self.trim(keep);
        freed
    }
}
