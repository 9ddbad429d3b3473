//! What the paging tests share: a small generator, and models with bytes that tell who they are.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, unreachable_pub)]

pub mod child;
pub mod files;

use kiln_memory::{
    Budget, Kind,
    pager::{Acquisition, ContentKey, Pager, Pin, UnitId, Vbar},
    provider::Provider,
};
use std::sync::Arc;

/// A linear congruential generator: the same numbers everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A registered model and its units in order of use.
pub struct Model<P: Provider> {
    pub vbar: Vbar<P>,
    pub units: Vec<UnitId>,
    pub id: u64,
}

impl<P: Provider> Model<P> {
    pub fn new(pager: &Pager<P>, budget: &Arc<Budget>, name: &str, id: u64, sizes: &[usize]) -> Self {
        let page = pager.provider().page_size();
        let total = sizes.iter().map(|s| s.next_multiple_of(page)).sum();
        let vbar = pager.register(budget.account(name, Kind::Weights), total).unwrap();
        let units = sizes.iter().map(|s| vbar.add_unit(*s).unwrap()).collect();
        Self { vbar, units, id }
    }

    /// The contents of a unit in a version.
    pub fn key(&self, unit: usize, version: u64) -> ContentKey {
        ContentKey(u128::from(self.id) << 80 | (unit as u128) << 40 | u128::from(version))
    }

    /// Acquires and, if there is room, fills with bytes that follow from the key; checks what it reads.
    pub fn acquire(&self, unit: usize, version: u64) -> Option<Pin<P>> {
        let key = self.key(unit, version);
        let pin = match self.vbar.acquire(self.units[unit], key) {
            Acquisition::Hit(pin) => pin,
            Acquisition::Fill(vacant) => {
                let fill = |to: &mut [u8]| {
                    to.fill(stamp(key));
                    Ok(())
                };
                vacant.fill(&mut { fill }).ok()?
            }
            Acquisition::Stream => return None,
        };
        assert!(pin.iter().all(|b| *b == stamp(key)), "stale bytes behind a pin");
        Some(pin)
    }

    /// One pass over all units; answers how many bytes it moved.
    pub fn pass(&self) -> u64 {
        let before = self.vbar.counters().moved();
        for unit in 0..self.units.len() {
            drop(self.acquire(unit, 0));
        }
        self.vbar.counters().moved() - before
    }
}

/// The byte that a unit of this key is full of; never the 0xFF of a poisoned range.
pub fn stamp(key: ContentKey) -> u8 {
    let folded = key.0 ^ (key.0 >> 40) ^ (key.0 >> 80);
    (folded % 251) as u8
}
