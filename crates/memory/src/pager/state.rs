//! The pager's books: which units are where, who reads them, what they count. Knows no provider's work: it says what is
//! to be done, and is told when it is.

use super::{
    counters::Counters,
    plan::{Begins, Distance, SMALL, Timeline, spread},
    policy::Policy,
};
use crate::{
    budget::{Account, Kind, Reservation},
    format::Reading,
    provider::Ticket,
};
use std::{
    ops::Range,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

/// What the bytes of a unit are: equal keys, equal bytes. Made of everything the bytes depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentKey(pub u128);

impl ContentKey {
    /// A weight as its source has it.
    pub const UNPATCHED: Self = Self(0);
}

/// A unit of a model: what is moved at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnitId(pub(super) u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Absent,
    /// Committed, being written by the owner of a `Vacant`.
    Filling,
    Resident,
    /// On its way out; its pages are not to be touched.
    Leaving,
}

#[derive(Debug)]
pub(super) struct Unit {
    pub(super) pages: Range<usize>,
    /// What it needs; its pages may be more.
    pub(super) bytes: usize,
    pub(super) status: Status,
    pub(super) pins: u32,
    pub(super) key: Option<ContentKey>,
    pub(super) keep: bool,
    pub(super) used: u64,
    /// Done when the last reader that was submitted is done.
    pub(super) fence: Ticket,
    pub(super) held: Option<Reservation>,
    /// Its pages could not be had although there was memory: it is streamed from then on.
    pub(super) bad: bool,
}

impl Unit {
    pub(super) fn absent(pages: Range<usize>, bytes: usize) -> Self {
        let (status, fence) = (Status::Absent, Ticket::DONE);
        Self { pages, bytes, status, pins: 0, key: None, keep: true, used: 0, fence, held: None, bad: false }
    }
}

#[derive(Debug)]
pub(super) struct VbarState<R> {
    pub(super) name: String,
    pub(super) account: Account,
    pub(super) region: R,
    pub(super) reserved: usize,
    pub(super) units: Vec<Unit>,
    /// Units from here on are not tried (policy `watermark`).
    pub(super) watermark: usize,
    pub(super) dead: bool,
    /// Of how many units it was decided whether they stay.
    pub(super) planned: usize,
    /// The prompt it last went to the head of the list in.
    pub(super) prioritised: u64,
    pub(super) counters: Counters,
    /// Where its owner finds it: its index among the bars, also after it moved.
    pub(super) index: Arc<AtomicUsize>,
}

impl<R> VbarState<R> {
    pub(super) fn new(name: String, account: Account, region: R, reserved: usize, index: Arc<AtomicUsize>) -> Self {
        let (units, counters) = (Vec::new(), Counters::default());
        Self {
            name,
            account,
            region,
            reserved,
            units,
            watermark: 0,
            dead: false,
            planned: 0,
            prioritised: u64::MAX,
            counters,
            index,
        }
    }
}

/// Whether the device is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Device {
    Here,
    /// It was lost; whoever asks next tries to have it back.
    Lost,
    /// Someone is at that.
    Returning,
}

/// Names a unit on its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) vbar: usize,
    pub(super) unit: usize,
}

#[derive(Debug)]
pub(super) struct State<R> {
    pub(super) vbars: Vec<Option<VbarState<R>>>,
    /// Lowest first.
    pub(super) priority: Vec<usize>,
    pub(super) page: usize,
    pub(super) limit: u64,
    pub(super) resident: u64,
    pub(super) clock: u64,
    pub(super) policy: Policy,
    pub(super) slots: u64,
    /// How the files of models that come from now on are read.
    pub(super) reading: Reading,
    /// How long their disks may give nothing.
    pub(super) read_timeout: Option<Duration>,
    pub(super) timeline: Timeline,
    pub(super) device: Device,
    pub(super) losses: u64,
    /// How many captures are running: nothing moves while there is one.
    pub(super) frozen: usize,
    /// Units that were asked for while frozen and weren't here.
    pub(super) missed: u64,
}

/// Pages to take back, once what still uses them is done.
#[derive(Debug)]
pub(super) struct Eviction<R> {
    pub(super) place: Place,
    pub(super) region: R,
    pub(super) pages: Range<usize>,
    pub(super) fence: Ticket,
}

impl<R: Copy> State<R> {
    pub(super) fn vbar(&self, vbar: usize) -> Option<&VbarState<R>> {
        self.vbars.get(vbar).and_then(Option::as_ref)
    }

    pub(super) fn vbar_mut(&mut self, vbar: usize) -> Option<&mut VbarState<R>> {
        self.vbars.get_mut(vbar).and_then(Option::as_mut)
    }

    /// Gives a range its index, and its owner with it.
    pub(super) fn insert(&mut self, vbar: VbarState<R>) -> usize {
        let free = self.vbars.iter().position(Option::is_none);
        let id = free.unwrap_or(self.vbars.len());
        if free.is_none() {
            self.vbars.push(None);
        }
        vbar.index.store(id, std::sync::atomic::Ordering::Relaxed);
        self.vbars[id] = Some(vbar);
        id
    }

    /// What has to go because the limit or the budget sank, and a new plan for who runs. While frozen, nothing goes.
    pub(super) fn evict_excess(&mut self) -> Vec<Eviction<R>> {
        if self.frozen > 0 {
            return Vec::new();
        }
        let over = self.resident.saturating_sub(self.capacity());
        let going = self.give_up(over);
        let last = self.priority.last().copied();
        let leaving = going.into_iter().filter_map(|p| self.evict(p)).collect();
        if let Some(running) = last {
            self.plan(running);
        }
        leaving
    }

    pub(super) fn unit_mut(&mut self, place: Place) -> Option<&mut Unit> {
        self.vbar_mut(place.vbar)?.units.get_mut(place.unit)
    }

    pub(super) fn charge(&self, unit: &Unit) -> u64 {
        (unit.pages.len() * self.page) as u64
    }

    /// Every unit on the device.
    pub(super) fn units(&self) -> impl Iterator<Item = (Place, &VbarState<R>, &Unit)> {
        let vbars = self.vbars.iter().enumerate().filter_map(|(i, vbar)| vbar.as_ref().map(|vbar| (i, vbar)));
        vbars.flat_map(|(i, vbar)| {
            vbar.units.iter().enumerate().map(move |(u, unit)| (Place { vbar: i, unit: u }, vbar, unit))
        })
    }

    /// What weights may hold now: the pager's own limit, and what the budget has left beside its other owners.
    pub(super) fn capacity(&self) -> u64 {
        let budget = self.vbars.iter().flatten().map(|vbar| vbar.account.budget()).next();
        let others = |used: u64| used.saturating_sub(self.resident);
        let left = budget.map_or(u64::MAX, |b| b.limit().saturating_sub(others(b.used())));
        self.limit.min(left)
    }

    /// `vbar` acquires `unit`: keeps the timeline, and makes a new plan when a pass begins with it.
    pub(super) fn follow(&mut self, vbar: usize, unit: usize) {
        self.clock += 1;
        let Some(name) = self.vbars.get(vbar).and_then(Option::as_ref).map(|b| b.name.as_str()) else { return };
        let begins = self.timeline.follow(name, unit);
        if begins == Begins::Run {
            self.prioritise(vbar);
        }
        if begins != Begins::Nothing {
            self.plan(vbar);
        }
    }

    /// To the head of the list, and the watermark back to the top: once per prompt.
    fn prioritise(&mut self, vbar: usize) {
        let round = self.timeline.round;
        if self.vbar(vbar).is_none_or(|b| b.prioritised == round) {
            return;
        }
        self.priority.retain(|b| *b != vbar);
        self.priority.push(vbar);
        if let Some(vbar) = self.vbar_mut(vbar) {
            vbar.watermark = vbar.units.len();
            vbar.prioritised = round;
        }
    }

    /// Decides which units of `vbar` stay while it runs: all if there is room for all, else the small ones and a spread
    /// choice of the others.
    ///
    /// Room is what the models that are used sooner leave. What is resident and not chosen goes when a chosen unit comes
    /// that is used later in the pass, which costs no bytes: that one is moved in this pass in any case, and the other
    /// not before the next.
    pub(super) fn plan(&mut self, vbar: usize) {
        let room = self.room_for(vbar);
        let (page, slots) = (self.page, self.slots);
        let Some(vbar) = self.vbar_mut(vbar) else { return };
        let decided = std::mem::replace(&mut vbar.planned, vbar.units.len()) == vbar.units.len();
        // Slots that are there already have been left out of the room.
        let slots_held = vbar.account.budget().used_for(Kind::Staging);
        let charge = |unit: &Unit| (unit.pages.len() * page) as u64;
        let total: u64 = vbar.units.iter().map(charge).sum();
        if total <= room {
            vbar.units.iter_mut().for_each(|unit| unit.keep = true);
            return;
        }
        let largest = vbar.units.iter().map(charge).max().unwrap_or(0);
        let mut room = room.saturating_sub((slots * largest).saturating_sub(slots_held));
        // A little more room is no reason to choose anew: the other choice would have to come first.
        let kept: u64 = vbar.units.iter().filter(|unit| unit.keep).map(charge).sum();
        if decided && kept <= room && room - kept < 2 * largest {
            return;
        }
        let mut rest = Vec::new();
        for (i, unit) in vbar.units.iter_mut().enumerate() {
            let size = charge(unit);
            unit.keep = size <= room && (unit.bytes as u64) < SMALL;
            if unit.keep {
                room -= size;
            } else {
                rest.push(i);
            }
        }
        let sizes: Vec<u64> = rest.iter().map(|i| charge(&vbar.units[*i])).collect();
        for (i, keep) in rest.into_iter().zip(spread(&sizes, room)) {
            vbar.units[i].keep = keep;
        }
    }

    /// What models that are used before `vbar` is used again leave to it.
    fn room_for(&self, vbar: usize) -> u64 {
        let mine = self.distance(vbar);
        let protected: u64 = self
            .units()
            .filter(|(place, _, unit)| place.vbar != vbar && unit.status != Status::Absent)
            .filter(|(place, _, unit)| unit.pins > 0 || self.distance(place.vbar) <= mine)
            .map(|(_, _, unit)| self.charge(unit))
            .sum();
        self.capacity().saturating_sub(protected)
    }

    pub(super) fn distance(&self, vbar: usize) -> Distance {
        self.vbar(vbar).map_or(super::plan::NEVER, |b| self.timeline.next_use(&b.name))
    }

    /// What of a dead model can leave at once. While frozen nothing does: a captured graph may name its addresses.
    pub(super) fn evict_all(&mut self, vbar: usize) -> Vec<Eviction<R>> {
        let units = self.vbar(vbar).filter(|_| self.frozen == 0).map_or(0, |vbar| vbar.units.len());
        (0..units).filter_map(|unit| self.evict(Place { vbar, unit })).collect()
    }

    /// Takes a resident, unread unit out of the books. Its reservation lives until the pages are gone.
    pub(super) fn evict(&mut self, place: Place) -> Option<Eviction<R>> {
        let page = self.page as u64;
        let vbar = self.vbar_mut(place.vbar)?;
        let region = vbar.region;
        let unit = vbar.units.get_mut(place.unit)?;
        if unit.status != Status::Resident || unit.pins > 0 {
            return None;
        }
        unit.status = Status::Leaving;
        unit.key = None;
        let (pages, fence) = (unit.pages.clone(), unit.fence);
        vbar.counters.evictions += 1;
        self.resident -= pages.len() as u64 * page;
        Some(Eviction { place, region, pages, fence })
    }
}
