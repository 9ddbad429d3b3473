//! From the request for a unit to its acquisition, and back at the release. Holds the lock for the books only.

use super::{
    inner::Inner,
    pin::{Acquisition, Pin, Vacant},
    policy::Policy,
    state::{ContentKey, Device, Eviction, Place, State, Status, UnitId},
};
use crate::{
    budget::Account,
    provider::{Provider, ProviderError, Ticket},
    sync::thread,
};
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// How often a device that isn't ready is asked for pages, and the pause before each time.
const TRIES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(4), Duration::from_millis(16)];

/// A unit about to come in: its pages, and whose bytes they are.
struct Entry<R> {
    place: Place,
    region: R,
    pages: Range<usize>,
    account: Account,
}

/// What the first look at the books decided.
enum Decision<R> {
    Hit(R, usize, usize),
    Stream,
    /// The device is gone; it has to be had back first.
    Lost,
    /// Refill in place after the last reader.
    Refill(Ticket),
    /// Come in, once these have left.
    Enter(Entry<R>, Vec<Eviction<R>>),
    /// These leave, but there is no room for it all the same.
    Stranded(Vec<Eviction<R>>),
}

impl<P: Provider> Inner<P> {
    /// `index` is where the model's range is found, `unit` the unit in it.
    pub(super) fn acquire(
        self: &Arc<Self>,
        index: &AtomicUsize,
        unit: UnitId,
        key: ContentKey,
        uses: bool,
    ) -> Acquisition<P> {
        let (place, losses, decision) = {
            let mut state = self.lock();
            let place = Place { vbar: index.load(Relaxed), unit: unit.0 as usize };
            (place, state.losses, Self::decide(&mut state, place, key, uses))
        };
        match decision {
            Decision::Hit(region, at, bytes) => {
                Acquisition::Hit(Pin::new(self.clone(), place, self.provider.address(region, at), bytes))
            }
            Decision::Stream => Acquisition::Stream,
            Decision::Lost => match self.revive() {
                Ok(()) => self.acquire(index, unit, key, false),
                Err(_) => Acquisition::Fill(Vacant::lost(self.clone(), place)),
            },
            Decision::Refill(fence) => {
                if let Err(ProviderError::DeviceLost) = self.provider.wait(fence) {
                    self.lose();
                }
                Acquisition::Fill(Vacant::new(self.clone(), place, key, losses))
            }
            Decision::Stranded(leaving) => {
                self.finish(leaving);
                self.streamed(place);
                Acquisition::Stream
            }
            Decision::Enter(entry, leaving) => {
                self.finish(leaving);
                self.enter(entry, key, losses)
            }
        }
    }

    /// Looks at the books and enters what follows, without doing it.
    fn decide(state: &mut State<P::Region>, place: Place, key: ContentKey, uses: bool) -> Decision<P::Region> {
        if uses {
            state.follow(place.vbar, place.unit);
        } else if state.vbar(place.vbar).is_some_and(|vbar| vbar.planned == 0) {
            state.plan(place.vbar);
        }
        if state.device != Device::Here {
            return Decision::Lost;
        }
        let (clock, page, frozen) = (state.clock, state.page, state.frozen > 0);
        let Some(vbar) = state.vbar_mut(place.vbar) else { return Decision::Stream };
        let Some(unit) = vbar.units.get_mut(place.unit) else { return Decision::Stream };
        unit.used = clock;
        match unit.status {
            Status::Resident if unit.key == Some(key) => {
                unit.pins += 1;
                vbar.counters.hits += u64::from(uses);
                return Decision::Hit(vbar.region, unit.pages.start * page, unit.bytes);
            }
            Status::Resident if unit.pins == 0 && !frozen => {
                (unit.status, unit.key, unit.pins) = (Status::Filling, None, 1);
                return Decision::Refill(unit.fence);
            }
            Status::Absent if !vbar.dead && !frozen => return Self::admit(state, place),
            _ => {}
        }
        vbar.counters.streams += 1;
        vbar.counters.streamed_bytes += unit.bytes as u64;
        state.missed += u64::from(frozen);
        Decision::Stream
    }

    fn admit(state: &mut State<P::Region>, place: Place) -> Decision<P::Region> {
        let room = state.make_room(place);
        let leaving: Vec<_> = room.evict.into_iter().filter_map(|p| state.evict(p)).collect();
        let Some(vbar) = state.vbar_mut(place.vbar).filter(|_| room.admit) else { return Decision::Stranded(leaving) };
        let (region, account) = (vbar.region, vbar.account.clone());
        let unit = &mut vbar.units[place.unit];
        (unit.status, unit.pins) = (Status::Filling, 1);
        Decision::Enter(Entry { place, region, pages: unit.pages.clone(), account }, leaving)
    }

    /// Commits the pages of a unit that is `Filling`; without memory it becomes a stream after all.
    fn enter(self: &Arc<Self>, entry: Entry<P::Region>, key: ContentKey, losses: u64) -> Acquisition<P> {
        let Entry { place, region, pages, account } = entry;
        let bytes = (pages.len() * self.provider.page_size()) as u64;
        let committed = match account.try_reserve(bytes) {
            Some(held) => self.commit(region, &pages).map(|()| held),
            None => Err(ProviderError::OutOfMemory),
        };
        let mut state = self.lock();
        match committed {
            Ok(held) => {
                state.resident += bytes;
                if let Some(unit) = state.unit_mut(place) {
                    unit.held = Some(held);
                }
                return Acquisition::Fill(Vacant::new(self.clone(), place, key, losses));
            }
            Err(error) => {
                if let Some(unit) = state.unit_mut(place) {
                    (unit.status, unit.pins) = (Status::Absent, 0);
                    unit.bad = matches!(error, ProviderError::NotReady);
                }
                drop(state);
                if let ProviderError::DeviceLost = error {
                    self.lose();
                    self.reap(place.vbar);
                    return Acquisition::Fill(Vacant::lost(self.clone(), place));
                }
            }
        }
        self.streamed(place);
        self.reap(place.vbar);
        Acquisition::Stream
    }

    /// Asks for pages, again when the device isn't ready: after what it was given is done, and a pause.
    fn commit(&self, region: P::Region, pages: &Range<usize>) -> Result<(), ProviderError> {
        for pause in TRIES {
            if !pause.is_zero() {
                _ = self.provider.wait(self.provider.fence());
                thread::sleep(pause);
            }
            match self.provider.commit(region, pages.clone()) {
                Err(ProviderError::NotReady) => {}
                done => return done,
            }
        }
        Err(ProviderError::NotReady)
    }

    fn streamed(&self, place: Place) {
        let mut state = self.lock();
        if let Some(vbar) = state.vbar_mut(place.vbar)
            && let Some(unit) = vbar.units.get(place.unit)
        {
            vbar.counters.streams += 1;
            vbar.counters.streamed_bytes += unit.bytes as u64;
        }
    }

    /// A pin goes. What can't stay leaves with the last one.
    pub(super) fn release(&self, place: Place) {
        let fence = self.provider.fence();
        let leaving = {
            let mut state = self.lock();
            let over = state.resident > state.capacity();
            let (watermarked, frozen) = (state.policy == Policy::Watermark, state.frozen > 0);
            let Some(vbar) = state.vbar_mut(place.vbar) else { return };
            let unwanted = vbar.dead || (watermarked && place.unit >= vbar.watermark);
            let Some(unit) = vbar.units.get_mut(place.unit) else { return };
            debug_assert!(unit.pins > 0, "a unit released more often than acquired");
            unit.pins = unit.pins.saturating_sub(1);
            unit.fence = fence;
            if unit.pins > 0 || frozen || !(over || unwanted) {
                return;
            }
            state.evict(place)
        };
        self.finish(leaving.into_iter().collect());
        self.reap(place.vbar);
    }

    pub(super) fn pin(self: &Arc<Self>, place: Place) -> Pin<P> {
        let state = self.lock();
        let (region, at, bytes) = state
            .vbar(place.vbar)
            .and_then(|vbar| {
                vbar.units.get(place.unit).map(|unit| (vbar.region, unit.pages.start * state.page, unit.bytes))
            })
            .map_or((None, 0, 0), |(region, at, bytes)| (Some(region), at, bytes));
        drop(state);
        Pin::new(self.clone(), place, region.and_then(|r| self.provider.address(r, at)), bytes)
    }
}
