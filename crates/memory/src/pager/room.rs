//! Who goes when a unit wants to come in: by plan, by last use, by watermarks. Knows the books; moves nothing.

use super::{
    policy::Policy,
    state::{Place, State, Status, Unit, VbarState},
};

/// Whether a unit may come in, and what goes for it.
pub(super) struct Room {
    pub(super) evict: Vec<Place>,
    pub(super) admit: bool,
}

impl Room {
    const REFUSED: Self = Self { evict: Vec::new(), admit: false };
}

impl<R: Copy> State<R> {
    /// What to evict so that `place` can come in, and whether it may.
    pub(super) fn make_room(&mut self, place: Place) -> Room {
        let Some((need, keep)) = self
            .vbar(place.vbar)
            .and_then(|vbar| vbar.units.get(place.unit))
            .filter(|unit| !unit.bad)
            .map(|unit| ((self.resident + self.charge(unit)).saturating_sub(self.capacity()), unit.keep))
        else {
            return Room::REFUSED;
        };
        match self.policy {
            Policy::None => Room::REFUSED,
            Policy::AllResident => Room { evict: Vec::new(), admit: need == 0 },
            Policy::Plan if !keep => Room::REFUSED,
            Policy::Plan => self.take(need, self.later_than(place)),
            Policy::Lru => self.take(need, self.least_recent()),
            Policy::Watermark => self.sink_for(place, need),
        }
    }

    /// The units that go when `need` bytes must go whatever it costs, as far as nobody reads them.
    pub(super) fn give_up(&mut self, need: u64) -> Vec<Place> {
        match self.policy {
            Policy::Watermark => {
                // Units above a watermark that sank while they were pinned are found last: by their order, not by it.
                let mut gone = self.sink(need, None);
                let freed: u64 = gone.iter().map(|p| self.charge_of(*p)).sum();
                let rest = self.latest().into_iter().filter(|p| !gone.contains(p)).collect();
                gone.extend(self.some_of(need.saturating_sub(freed), rest));
                gone
            }
            Policy::Lru => self.some_of(need, self.least_recent()),
            _ => self.some_of(need, self.latest()),
        }
    }

    /// From the front of `order`, as many as it takes; nothing if all together are not enough.
    fn take(&self, need: u64, order: Vec<Place>) -> Room {
        let evict = if need == 0 { Vec::new() } else { self.some_of(need, order) };
        let freed: u64 = evict.iter().map(|p| self.charge_of(*p)).sum();
        if freed >= need { Room { evict, admit: true } } else { Room::REFUSED }
    }

    fn some_of(&self, need: u64, order: Vec<Place>) -> Vec<Place> {
        let mut freed = 0;
        let enough = |p: &Place| {
            let go_on = freed < need;
            freed += self.charge_of(*p);
            go_on
        };
        order.into_iter().take_while(enough).collect()
    }

    fn charge_of(&self, place: Place) -> u64 {
        self.vbar(place.vbar).and_then(|b| b.units.get(place.unit)).map_or(0, |unit| self.charge(unit))
    }

    fn evictable(&self) -> impl Iterator<Item = (Place, &VbarState<R>, &Unit)> {
        self.units().filter(|(_, _, unit)| unit.status == Status::Resident && unit.pins == 0)
    }

    /// Evictable units that are used later than `place`: of other models, and those of its own that are not to stay and
    /// have been used before it in this pass.
    fn later_than(&self, place: Place) -> Vec<Place> {
        let mine = self.distance(place.vbar);
        let mut order: Vec<_> =
            self.evictable()
                .filter(|(p, _, unit)| {
                    if p.vbar == place.vbar { !unit.keep && p.unit < place.unit } else { self.distance(p.vbar) > mine }
                })
                .map(|(p, _, _)| (self.distance(p.vbar), p))
                .collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        order.into_iter().map(|(_, p)| p).collect()
    }

    /// Evictable units, the one that is used last first; of one model, those that are not to stay first.
    fn latest(&self) -> Vec<Place> {
        let mut order: Vec<_> = self.evictable().map(|(p, _, unit)| (self.distance(p.vbar), !unit.keep, p)).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        order.into_iter().map(|(_, _, p)| p).collect()
    }

    fn least_recent(&self) -> Vec<Place> {
        let mut order: Vec<_> = self.evictable().map(|(p, _, unit)| (unit.used, p)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, p)| p).collect()
    }

    /// The watermark's rule: above it nothing is tried; room comes from lower priorities first, then from the top of
    /// the own range, which may sink below the unit that asked. What was freed is free either way.
    fn sink_for(&mut self, place: Place, need: u64) -> Room {
        let below = |state: &Self| state.vbar(place.vbar).is_some_and(|vbar| place.unit < vbar.watermark);
        if !below(self) {
            return Room::REFUSED;
        }
        let evict = self.sink(need, Some(place.vbar));
        let freed: u64 = evict.iter().map(|p| self.charge_of(*p)).sum();
        Room { admit: below(self) && freed >= need, evict }
    }

    /// Lowers watermarks from the lowest priority upwards until `need` bytes are found, `last` being the last to give.
    fn sink(&mut self, need: u64, last: Option<usize>) -> Vec<Place> {
        let (mut freed, mut gone) = (0, Vec::new());
        for b in self.priority.clone() {
            while freed < need {
                let Some(vbar) = self.vbar_mut(b) else { break };
                let Some(top) = vbar.watermark.checked_sub(1) else { break };
                vbar.watermark = top;
                let place = Place { vbar: b, unit: top };
                let Some(unit) = vbar.units.get(top) else { continue };
                if unit.status == Status::Resident && unit.pins == 0 {
                    freed += self.charge_of(place);
                    gone.push(place);
                }
            }
            if last == Some(b) {
                break;
            }
        }
        gone
    }
}
