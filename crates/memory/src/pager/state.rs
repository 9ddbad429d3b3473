//! The pager's books: which units are where, who reads them, what they count. Knows no provider's work: it says what is
//! to be done, and is told when it is.

use super::{
    Counters, Policy,
    plan::{Begins, Distance, SMALL, Timeline, spread},
};
use crate::{Account, Reservation, provider::Ticket};
use std::ops::Range;

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
    /// Committed, being written by the holder of a `Vacant`.
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
}

#[derive(Debug)]
pub(super) struct Bar<R> {
    pub(super) name: String,
    pub(super) account: Account,
    pub(super) region: R,
    pub(super) reserved: usize,
    pub(super) units: Vec<Unit>,
    /// Units from here on are not tried (policy `watermark`).
    pub(super) watermark: usize,
    pub(super) dead: bool,
    /// The prompt it last went to the head of the list in.
    pub(super) prioritised: u64,
    pub(super) counters: Counters,
}

/// Names a unit on its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) bar: usize,
    pub(super) unit: usize,
}

#[derive(Debug)]
pub(super) struct State<R> {
    pub(super) bars: Vec<Option<Bar<R>>>,
    /// Lowest first.
    pub(super) priority: Vec<usize>,
    pub(super) page: usize,
    pub(super) limit: u64,
    pub(super) resident: u64,
    pub(super) clock: u64,
    pub(super) policy: Policy,
    pub(super) slots: u64,
    pub(super) timeline: Timeline,
}

/// Pages to take back, once what still uses them is done.
#[derive(Debug)]
pub(super) struct Leave<R> {
    pub(super) place: Place,
    pub(super) region: R,
    pub(super) pages: Range<usize>,
    pub(super) fence: Ticket,
}

impl<R: Copy> State<R> {
    pub(super) fn bar(&self, bar: usize) -> Option<&Bar<R>> {
        self.bars.get(bar).and_then(Option::as_ref)
    }

    pub(super) fn bar_mut(&mut self, bar: usize) -> Option<&mut Bar<R>> {
        self.bars.get_mut(bar).and_then(Option::as_mut)
    }

    pub(super) fn unit_mut(&mut self, place: Place) -> Option<&mut Unit> {
        self.bar_mut(place.bar)?.units.get_mut(place.unit)
    }

    pub(super) fn charge(&self, unit: &Unit) -> u64 {
        (unit.pages.len() * self.page) as u64
    }

    /// Every unit on the device.
    pub(super) fn units(&self) -> impl Iterator<Item = (Place, &Bar<R>, &Unit)> {
        let bars = self.bars.iter().enumerate().filter_map(|(i, bar)| bar.as_ref().map(|bar| (i, bar)));
        bars.flat_map(|(i, bar)| {
            bar.units.iter().enumerate().map(move |(u, unit)| (Place { bar: i, unit: u }, bar, unit))
        })
    }

    /// What weights may hold now: the pager's own limit, and what the budget has left beside its other holders.
    pub(super) fn capacity(&self) -> u64 {
        let budget = self.bars.iter().flatten().map(|bar| bar.account.budget()).next();
        let others = |used: u64| used.saturating_sub(self.resident);
        let left = budget.map_or(u64::MAX, |b| b.limit().saturating_sub(others(b.used())));
        self.limit.min(left)
    }

    /// `bar` acquires `unit`: keeps the timeline, and makes a new plan when a pass begins with it.
    pub(super) fn follow(&mut self, bar: usize, unit: usize) {
        self.clock += 1;
        let Some(name) = self.bars.get(bar).and_then(Option::as_ref).map(|b| b.name.as_str()) else { return };
        let begins = self.timeline.follow(name, unit);
        if begins == Begins::Run {
            self.prioritise(bar);
        }
        if begins != Begins::Nothing {
            self.plan(bar);
        }
    }

    /// To the head of the list, and the watermark back to the top: once per prompt.
    fn prioritise(&mut self, bar: usize) {
        let round = self.timeline.round;
        if self.bar(bar).is_none_or(|b| b.prioritised == round) {
            return;
        }
        self.priority.retain(|b| *b != bar);
        self.priority.push(bar);
        if let Some(bar) = self.bar_mut(bar) {
            bar.watermark = bar.units.len();
            bar.prioritised = round;
        }
    }

    /// Decides which units of `bar` stay while it runs.
    ///
    /// Room is what the models that are used sooner leave. Units that are resident already stay chosen (moving them
    /// costs more than an even spread brings); the rest is spread.
    pub(super) fn plan(&mut self, bar: usize) {
        let room = self.room_for(bar);
        let (page, slots) = (self.page, self.slots);
        let Some(bar) = self.bar_mut(bar) else { return };
        let charge = |unit: &Unit| (unit.pages.len() * page) as u64;
        let total: u64 = bar.units.iter().map(charge).sum();
        if total <= room {
            bar.units.iter_mut().for_each(|unit| unit.keep = true);
            return;
        }
        let largest = bar.units.iter().map(charge).max().unwrap_or(0);
        let mut room = room.saturating_sub(slots * largest);
        let mut rest = Vec::new();
        for (i, unit) in bar.units.iter_mut().enumerate() {
            let size = charge(unit);
            unit.keep = size <= room && (unit.status == Status::Resident || (unit.bytes as u64) < SMALL);
            if unit.keep {
                room -= size;
            } else {
                rest.push(i);
            }
        }
        let sizes: Vec<u64> = rest.iter().map(|i| charge(&bar.units[*i])).collect();
        for (i, keep) in rest.into_iter().zip(spread(&sizes, room)) {
            bar.units[i].keep = keep;
        }
    }

    /// What models that are used before `bar` is used again leave to it.
    fn room_for(&self, bar: usize) -> u64 {
        let mine = self.distance(bar);
        let protected: u64 = self
            .units()
            .filter(|(place, _, unit)| place.bar != bar && unit.status != Status::Absent)
            .filter(|(place, _, unit)| unit.pins > 0 || self.distance(place.bar) <= mine)
            .map(|(_, _, unit)| self.charge(unit))
            .sum();
        self.capacity().saturating_sub(protected)
    }

    pub(super) fn distance(&self, bar: usize) -> Distance {
        self.bar(bar).map_or(super::plan::NEVER, |b| self.timeline.next_use(&b.name))
    }

    /// Takes a resident, unread unit out of the books. Its reservation lives until the pages are gone.
    pub(super) fn leave(&mut self, place: Place) -> Option<Leave<R>> {
        let page = self.page as u64;
        let bar = self.bar_mut(place.bar)?;
        let region = bar.region;
        let unit = bar.units.get_mut(place.unit)?;
        if unit.status != Status::Resident || unit.pins > 0 {
            return None;
        }
        unit.status = Status::Leaving;
        unit.key = None;
        let (pages, fence) = (unit.pages.clone(), unit.fence);
        bar.counters.evictions += 1;
        self.resident -= pages.len() as u64 * page;
        Some(Leave { place, region, pages, fence })
    }
}
