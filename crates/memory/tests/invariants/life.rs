//! A random life of a pager: registrations, acquisitions, releases, limits, policies, schedules, captures and drops.

use crate::{
    PAGE,
    support::{Dice, Model},
};
use kiln_memory::{
    Budget, Policy, ProviderError, Schedule,
    pager::{Pager, Pin},
    provider::NullProvider,
    provider::{Arena, HostSegments, HostVm, Provider},
    testing::{Call, Delayed, Faulty},
};
use std::{collections::HashMap, sync::Arc};

pub(crate) const PAGES: usize = 24;

/// A provider whose own count of bytes and ranges can be asked for.
pub(crate) trait Counted: Provider {
    fn committed_bytes(&self) -> u64;
    fn ranges(&self) -> usize;
}

macro_rules! counted {
    ($(($($generic:tt)*) $type:ty => $below:expr;)*) => { $(impl<$($generic)*> Counted for $type {
        fn committed_bytes(&self) -> u64 {
            let below: fn(&Self) -> _ = $below;
            below(self).0 as u64
        }
        fn ranges(&self) -> usize {
            let below: fn(&Self) -> _ = $below;
            below(self).1
        }
    })* };
}
counted! {
    () HostVm => |p| (p.committed(), p.regions());
    () Arena<HostSegments> => |p| (p.committed(), p.regions());
    (P: Counted) Faulty<P> => |p| (p.inner().committed_bytes(), p.inner().ranges());
    (P: Counted) Delayed<P> => |p| (p.inner().committed_bytes(), p.inner().ranges());
    () NullProvider => |p| (p.committed(), 0);
}

pub(crate) struct Life<P: Provider> {
    pub(crate) pager: Pager<P>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) models: Vec<Model<P>>,
    pub(crate) pins: Vec<Pin<P>>,
    version: HashMap<(u64, usize), u64>,
    named: u64,
}

/// What providers a life is lived on: the host's memory, the arena, and both with failures and delays.
pub(crate) fn on_every_provider(seeds: u64, check: impl Checks) {
    let vm = || HostVm::with_capacity(PAGES * PAGE);
    let arena = || Arena::with_segments(HostSegments::new(Arc::new(HostVm::new())), (PAGES + 8) * PAGE, 8 * PAGE);
    for seed in 1..=seeds {
        live(seed, 1200, vm(), &check);
        live(seed, 1200, arena(), &check);
        let fails = move |n: u64, call| call != Call::Reserve && (n * 7 + seed).is_multiple_of(5);
        live(seed, 1200, Faulty::new(vm(), fails), &check);
        live(seed, 1200, Faulty::new(arena(), fails), &check);
        live(seed, 1200, Delayed::new(arena()), &check);
        live(seed, 1200, Faulty::with(vm(), move |n, call| loses(n + seed, call)), &check);
    }
}

/// The device is lost now and then, and isn't back at once.
fn loses(n: u64, call: Call) -> Option<ProviderError> {
    let lost = match call {
        Call::Commit | Call::Upload => n.is_multiple_of(61),
        Call::Recover => !n.is_multiple_of(3),
        Call::Reserve | Call::Wait => false,
    };
    lost.then_some(ProviderError::DeviceLost)
}

/// Something that holds after every step, on any provider.
pub(crate) trait Checks {
    fn check<P: Counted>(&self, life: &Life<P>);
}

/// Lives `steps` steps and drops everything; answers the pager and the budget that are left.
pub(crate) fn live<P: Counted>(seed: u64, steps: usize, provider: P, checks: &impl Checks) -> (Pager<P>, Arc<Budget>) {
    let budget = Budget::new("host", (PAGES * PAGE) as u64);
    let pager = Pager::new(provider, (PAGES * PAGE) as u64);
    let reclaimer = pager.reclaimer();
    budget.add_reclaimer(Arc::downgrade(&reclaimer));
    let mut life = Life { pager, budget, models: Vec::new(), pins: Vec::new(), version: HashMap::new(), named: 0 };
    let mut dice = Dice(seed);
    for _ in 0..steps {
        life.step(&mut dice);
        checks.check(&life);
    }
    (life.pager, life.budget)
}

impl<P: Provider> Life<P> {
    fn step(&mut self, dice: &mut Dice) {
        match dice.below(15) {
            0 if self.models.len() < 4 => self.register(dice),
            1 if self.models.len() > 1 && dice.one_in(8) => {
                drop(self.models.swap_remove(dice.below(self.models.len())));
            }
            2 => self.pager.set_limit((dice.below(30) * PAGE) as u64),
            3 if dice.one_in(4) => {
                let all = [Policy::Plan, Policy::Watermark, Policy::Lru, Policy::AllResident, Policy::None];
                self.pager.set_policy(all[dice.below(5)]);
            }
            4 if dice.one_in(4) => {
                let runs = (0..dice.below(5))
                    .fold(Schedule::new(), |s, _| s.then(format!("m{}", dice.below(5)), 1 + dice.below(3) as u32));
                self.pager.set_schedule(if dice.one_in(2) { runs.repeating() } else { runs });
            }
            5 if dice.one_in(8) => self.budget.set_limit(((8 + dice.below(20)) * PAGE) as u64),
            6..=10 if !self.models.is_empty() => self.acquire(dice),
            11 if dice.one_in(6) && !self.models.is_empty() => {
                let frozen = self.pager.freeze();
                (0..4).for_each(|_| self.acquire(dice));
                _ = frozen.finish();
            }
            _ if !self.pins.is_empty() => drop(self.pins.swap_remove(dice.below(self.pins.len()))),
            _ => {}
        }
    }

    fn register(&mut self, dice: &mut Dice) {
        let sizes: Vec<usize> = (0..=dice.below(12)).map(|_| 1 + dice.below(3 * PAGE)).collect();
        self.named += 1;
        self.models.push(Model::new(&self.pager, &self.budget, &format!("m{}", self.named % 5), self.named, &sizes));
    }

    fn acquire(&mut self, dice: &mut Dice) {
        let model = &self.models[dice.below(self.models.len())];
        let unit = dice.below(model.units.len());
        let version = self.version.entry((model.id, unit)).or_default();
        *version += u64::from(dice.one_in(6));
        self.pins.extend(model.acquire(unit, *version));
    }
}
