//! Address ranges whose units come and go: acquire answers Hit, Fill or Stream. Knows bytes, keys and a policy;
//! knows no file and no format.
//!
//! One lock per device guards the books, and only the books: commits, decommits, copies and waits happen outside it. A
//! unit that is on its way in or out belongs to the thread that moves it; everyone else streams meanwhile, so no
//! thread ever waits for another.

mod acquire;
mod describe;
mod freeze;
mod host;
#[cfg(doctest)]
mod i11;
mod loss;
mod pin;
mod plan;
mod policy;
mod state;
#[cfg(all(test, not(feature = "shuttle")))]
mod tests;
mod vbar;
mod work;

pub use describe::{Map, MapRow};
pub use freeze::{CaptureRefused, Frozen};
pub use host::HostPager;
pub use pin::{Lease, Pin, Vacant};
pub use plan::{Run, Schedule};
pub use policy::Policy;
pub use state::{ContentKey, UnitId};
pub use vbar::Vbar;

use crate::{
    Account, Kind, Reading, Reclaim,
    provider::{Provider, ProviderError},
    sync::{Mutex, MutexGuard},
};
use plan::Timeline;
use state::{Bar, Device, State, Unit};
use std::{
    fmt,
    sync::{Arc, PoisonError},
};

/// What a model's range has seen since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Units that were here, with the right contents.
    pub hits: u64,
    /// Units that were brought here to stay.
    pub fills: u64,
    /// Units that were brought for one use.
    pub streams: u64,
    /// Units that had to go.
    pub evictions: u64,
    /// Bytes moved by fills.
    pub filled_bytes: u64,
    /// Bytes moved by streams.
    pub streamed_bytes: u64,
}

impl Counters {
    /// All bytes moved.
    pub fn moved(&self) -> u64 {
        self.filled_bytes + self.streamed_bytes
    }
}

/// The residency of all models on one device. Cheap to clone.
pub struct Pager<P: Provider> {
    inner: Arc<Inner<P>>,
}

pub(crate) struct Inner<P: Provider> {
    provider: P,
    state: Mutex<State<P::Region>>,
}

impl<P: Provider> Inner<P> {
    fn lock(&self) -> MutexGuard<'_, State<P::Region>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Provider> Pager<P> {
    /// A pager over `provider` that keeps at most `limit` bytes.
    pub fn new(provider: P, limit: u64) -> Self {
        let state = State {
            bars: Vec::new(),
            priority: Vec::new(),
            page: provider.page_size(),
            limit,
            resident: 0,
            clock: 0,
            policy: Policy::default(),
            slots: 2,
            reading: Reading::Auto,
            timeline: Timeline::default(),
            device: Device::Here,
            losses: 0,
            frozen: 0,
            missed: 0,
        };
        Self { inner: Arc::new(Inner { provider, state: Mutex::new(state) }) }
    }

    /// Reserves a range for a model: `bytes` of addresses, no memory. What becomes resident is counted with `account`.
    ///
    /// # Errors
    /// When there are no addresses left. This is the only call that may refuse.
    pub fn register(&self, account: Account, bytes: usize) -> Result<Vbar<P>, ProviderError> {
        let region = self.inner.provider.reserve(bytes)?;
        let mut state = self.inner.lock();
        let reserved = bytes.div_ceil(state.page);
        let name = account.holder().to_owned();
        let home = Arc::default();
        let bar = Bar::new(name, account, region, reserved, Arc::clone(&home));
        let id = state.settle(bar);
        state.priority.insert(0, id);
        Ok(Vbar::new(self.inner.clone(), home))
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

    /// How many staging slots there are.
    pub fn slots(&self) -> u64 {
        self.inner.lock().slots
    }

    /// Changes how many bytes may stay. Lowering it evicts at once what nobody reads, the rest when it is released.
    pub fn set_limit(&self, limit: u64) {
        let leaving = {
            let mut state = self.inner.lock();
            state.limit = limit;
            state.shed()
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
        state.bars.iter().flatten().fold(Counters::default(), |mut sum, bar| {
            let c = bar.counters;
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

    /// For a [`Budget`](crate::Budget) to ask when others need the bytes.
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
            going.into_iter().filter_map(|p| state.leave(p)).collect()
        };
        let freed = self.finish(leaving);
        let keep = self.lock().resident;
        self.trim(keep);
        freed
    }
}
