//! Address ranges whose units come and go: acquire answers Hit, Fill or Stream. Knows bytes, keys and a policy;
//! knows no file and no format.
//!
//! One lock per device guards the books, and only the books: commits, decommits, copies and waits happen outside it. A
//! unit that is on its way in or out belongs to the thread that moves it; everyone else streams meanwhile, so no
//! thread ever waits for another.

mod describe;
mod host;
mod pin;
mod plan;
mod policy;
mod state;
mod work;

pub use describe::{Map, MapRow};
pub use host::HostPager;
pub use pin::{Lease, Pin, Vacant};
pub use plan::{Run, Schedule};
pub use policy::Policy;
pub use state::{ContentKey, UnitId};

use crate::{
    Account, Kind, Reclaim,
    provider::{Provider, ProviderError, Ticket},
    sync::{Mutex, MutexGuard},
};
use plan::Timeline;
use state::{Bar, Leave, Place, State, Status, Unit};
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
            timeline: Timeline::default(),
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
        let bar = Bar {
            name,
            account,
            region,
            reserved,
            units: Vec::new(),
            watermark: 0,
            dead: false,
            prioritised: u64::MAX,
            counters: Counters::default(),
        };
        let free = state.bars.iter().position(Option::is_none);
        let id = free.unwrap_or(state.bars.len());
        if free.is_none() {
            state.bars.push(None);
        }
        state.bars[id] = Some(bar);
        state.priority.insert(0, id);
        Ok(Vbar { pager: self.inner.clone(), id })
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

    /// How many staging slots there are.
    pub fn slots(&self) -> u64 {
        self.inner.lock().slots
    }

    /// Changes how many bytes may stay. Lowering it evicts at once what nobody reads, the rest when it is released.
    pub fn set_limit(&self, limit: u64) {
        let leaving = {
            let mut state = self.inner.lock();
            state.limit = limit;
            let over = state.resident.saturating_sub(state.capacity());
            let going = state.give_up(over);
            let last = state.priority.last().copied();
            let leaving: Vec<_> = going.into_iter().filter_map(|p| state.leave(p)).collect();
            if let Some(running) = last {
                state.plan(running);
            }
            leaving
        };
        self.inner.finish(leaving);
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
            let going = state.give_up(bytes);
            going.into_iter().filter_map(|p| state.leave(p)).collect()
        };
        self.finish(leaving)
    }
}

/// One model's range of addresses. Dropping it releases everything that nobody reads any more.
pub struct Vbar<P: Provider> {
    pager: Arc<Inner<P>>,
    id: usize,
}

impl<P: Provider> Vbar<P> {
    /// Takes the next `bytes` of the range for a unit. Units are laid out, and expected to be used, in this order.
    ///
    /// # Errors
    /// [`ProviderError::OutOfMemory`] when the range is full.
    pub fn add_unit(&self, bytes: usize) -> Result<UnitId, ProviderError> {
        let mut state = self.pager.lock();
        let page = state.page;
        let bar = state.bar_mut(self.id).ok_or(ProviderError::OutOfMemory)?;
        let first = bar.units.last().map_or(0, |unit| unit.pages.end);
        let pages = first..first + bytes.div_ceil(page);
        if pages.end > bar.reserved {
            return Err(ProviderError::OutOfMemory);
        }
        let (status, fence) = (Status::Absent, Ticket::DONE);
        let unit = Unit { pages, bytes, status, pins: 0, key: None, keep: true, used: 0, fence, held: None };
        if bar.watermark == bar.units.len() {
            bar.watermark += 1;
        }
        bar.units.push(unit);
        Ok(UnitId(bar.units.len() as u32 - 1))
    }

    /// Asks for a unit with the contents `key` and pins it. Never fails: without room the answer is `Stream`.
    pub fn acquire(&self, unit: UnitId, key: ContentKey) -> Lease<P> {
        let place = Place { bar: self.id, unit: unit.0 as usize };
        self.pager.acquire(place, key, true)
    }

    /// As [`acquire`](Self::acquire), by someone who runs ahead of the model: it doesn't count as the model's use of the
    /// unit.
    pub fn acquire_ahead(&self, unit: UnitId, key: ContentKey) -> Lease<P> {
        let place = Place { bar: self.id, unit: unit.0 as usize };
        self.pager.acquire(place, key, false)
    }

    /// The model uses a unit that someone brought ahead.
    pub fn note_use(&self, unit: UnitId) {
        self.pager.lock().follow(self.id, unit.0 as usize);
    }

    /// Whether the model is in a run with passes to come.
    pub fn loops(&self) -> bool {
        self.pager.lock().distance(self.id) == 0
    }

    /// What this range has seen.
    pub fn counters(&self) -> Counters {
        self.pager.lock().bar(self.id).map(|bar| bar.counters).unwrap_or_default()
    }
}

impl<P: Provider> Drop for Vbar<P> {
    fn drop(&mut self) {
        let leaving: Vec<_> = {
            let mut state = self.pager.lock();
            let count = state.bar_mut(self.id).map_or(0, |bar| {
                bar.dead = true;
                bar.units.len()
            });
            (0..count).filter_map(|unit| state.leave(Place { bar: self.id, unit })).collect()
        };
        self.pager.finish(leaving);
        self.pager.reap(self.id);
    }
}

/// What the first look at the books decided.
enum Decision<R> {
    Hit(R, usize, usize),
    Stream,
    /// Refill in place after the last reader.
    Refill(Ticket),
    /// Come in, once these have left.
    Enter(R, std::ops::Range<usize>, Account, Vec<Leave<R>>),
    /// These leave, but there is no room for it all the same.
    Stranded(Vec<Leave<R>>),
}

impl<P: Provider> Inner<P> {
    fn lock(&self) -> MutexGuard<'_, State<P::Region>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acquire(self: &Arc<Self>, place: Place, key: ContentKey, uses: bool) -> Lease<P> {
        let decision = self.decide(place, key, uses);
        match decision {
            Decision::Hit(region, at, bytes) => {
                Lease::Hit(Pin::new(self.clone(), place, self.provider.address(region, at), bytes))
            }
            Decision::Stream => Lease::Stream,
            Decision::Refill(fence) => {
                _ = self.provider.wait(fence);
                Lease::Fill(Vacant::new(self.clone(), place, key))
            }
            Decision::Stranded(leaving) => {
                self.finish(leaving);
                self.streamed(place);
                Lease::Stream
            }
            Decision::Enter(region, pages, account, leaving) => {
                self.finish(leaving);
                self.enter(place, key, region, pages, &account)
            }
        }
    }

    /// Looks at the books and enters what follows, without doing it.
    fn decide(&self, place: Place, key: ContentKey, uses: bool) -> Decision<P::Region> {
        let mut state = self.lock();
        if uses {
            state.follow(place.bar, place.unit);
        }
        let (clock, page) = (state.clock, state.page);
        let Some(bar) = state.bar_mut(place.bar) else { return Decision::Stream };
        let Some(unit) = bar.units.get_mut(place.unit) else { return Decision::Stream };
        unit.used = clock;
        match unit.status {
            Status::Resident if unit.key == Some(key) => {
                unit.pins += 1;
                bar.counters.hits += u64::from(uses);
                Decision::Hit(bar.region, unit.pages.start * page, unit.bytes)
            }
            Status::Resident if unit.pins == 0 => {
                (unit.status, unit.key, unit.pins) = (Status::Filling, None, 1);
                Decision::Refill(unit.fence)
            }
            Status::Absent if !bar.dead => Self::admit(&mut state, place),
            _ => {
                bar.counters.streams += 1;
                bar.counters.streamed_bytes += unit.bytes as u64;
                Decision::Stream
            }
        }
    }

    fn admit(state: &mut State<P::Region>, place: Place) -> Decision<P::Region> {
        let room = state.make_room(place);
        let leaving: Vec<_> = room.evict.into_iter().filter_map(|p| state.leave(p)).collect();
        let Some(bar) = state.bar_mut(place.bar) else { return Decision::Stranded(leaving) };
        if !room.admit {
            return Decision::Stranded(leaving);
        }
        let (region, account) = (bar.region, bar.account.clone());
        let unit = &mut bar.units[place.unit];
        (unit.status, unit.pins) = (Status::Filling, 1);
        Decision::Enter(region, unit.pages.clone(), account, leaving)
    }

    /// Commits the pages of a unit that is `Filling`; without memory it becomes a stream after all.
    fn enter(
        self: &Arc<Self>,
        place: Place,
        key: ContentKey,
        region: P::Region,
        pages: std::ops::Range<usize>,
        account: &Account,
    ) -> Lease<P> {
        let bytes = (pages.len() * self.provider.page_size()) as u64;
        let held = account.try_reserve(bytes);
        let committed = held.is_some() && self.provider.commit(region, pages).is_ok();
        let mut state = self.lock();
        if committed {
            state.resident += bytes;
            if let Some(unit) = state.unit_mut(place) {
                unit.held = held;
            }
            drop(state);
            return Lease::Fill(Vacant::new(self.clone(), place, key));
        }
        if let Some(unit) = state.unit_mut(place) {
            (unit.status, unit.pins) = (Status::Absent, 0);
        }
        drop(state);
        self.streamed(place);
        self.reap(place.bar);
        Lease::Stream
    }

    fn streamed(&self, place: Place) {
        let mut state = self.lock();
        if let Some(bar) = state.bar_mut(place.bar)
            && let Some(unit) = bar.units.get(place.unit)
        {
            bar.counters.streams += 1;
            bar.counters.streamed_bytes += unit.bytes as u64;
        }
    }

    /// A pin goes. What can't stay leaves with the last one.
    fn release(&self, place: Place) {
        let fence = self.provider.fence();
        let leaving = {
            let mut state = self.lock();
            let over = state.resident > state.capacity();
            let watermarked = state.policy == Policy::Watermark;
            let Some(bar) = state.bar_mut(place.bar) else { return };
            let unwanted = bar.dead || (watermarked && place.unit >= bar.watermark);
            let Some(unit) = bar.units.get_mut(place.unit) else { return };
            debug_assert!(unit.pins > 0, "a unit released more often than acquired");
            unit.pins -= 1;
            unit.fence = fence;
            if unit.pins > 0 || !(over || unwanted) {
                return;
            }
            state.leave(place)
        };
        self.finish(leaving.into_iter().collect());
        self.reap(place.bar);
    }

    fn pin(self: &Arc<Self>, place: Place) -> Pin<P> {
        let state = self.lock();
        let (region, at, bytes) = state
            .bar(place.bar)
            .and_then(|bar| {
                bar.units.get(place.unit).map(|unit| (bar.region, unit.pages.start * state.page, unit.bytes))
            })
            .map_or((None, 0, 0), |(region, at, bytes)| (Some(region), at, bytes));
        drop(state);
        Pin::new(self.clone(), place, region.and_then(|r| self.provider.address(r, at)), bytes)
    }
}
