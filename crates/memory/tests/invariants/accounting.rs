//! Invariants 1 to 5: the books agree with the memory.

use crate::{
    PAGE,
    life::{Checks, Counted, Life, PAGES, live, on_every_provider},
    support::{Dice, Model},
};
use kiln_memory::{
    Budget, Schedule,
    pager::Pager,
    process_memory,
    provider::NullProvider,
    provider::{Arena, HostSegments, HostVm},
    testing::Delayed,
};
use std::sync::Arc;

struct OneNumber;

impl Checks for OneNumber {
    fn check<P: Counted>(&self, life: &Life<P>) {
        let committed = life.pager.provider().committed_bytes();
        assert_eq!((committed, life.budget.used()), (life.pager.resident(), life.pager.resident()));
    }
}

#[test]
fn i01_committed_bytes_and_resident_bytes_and_the_providers_count_are_one_number() {
    on_every_provider(12, OneNumber);
}

struct WithinLimits;

impl Checks for WithinLimits {
    fn check<P: Counted>(&self, life: &Life<P>) {
        let (pager, budget) = (&life.pager, &life.budget);
        let allowed = pager.limit().min(budget.limit());
        assert!(pager.resident() <= allowed || pager.resident() == pager.pinned(), "above the limit only by pins");
        assert!(pager.provider().committed_bytes() <= (PAGES as u64 + 8) * PAGE as u64);
    }
}

#[test]
fn i02_no_more_is_resident_than_the_limit_but_for_what_is_pinned() {
    on_every_provider(12, WithinLimits);
}

struct Nothing;

impl Checks for Nothing {
    fn check<P: Counted>(&self, _: &Life<P>) {}
}

#[test]
fn i03_when_every_model_and_guard_is_dropped_nothing_is_committed_reserved_or_counted() {
    for seed in 1..=20 {
        let vm = Arc::new(HostVm::new());
        let arena = || Arena::with_segments(HostSegments::new(vm.clone()), 40 * PAGE, 8 * PAGE);
        let (pager, budget) = live(seed, 1200, Delayed::new(arena()), &Nothing);
        assert_eq!((pager.resident(), pager.provider().committed_bytes(), pager.provider().ranges()), (0, 0, 0));
        assert_eq!((budget.used(), pager.describe().rows.len(), pager.audit()), (0, 0, vec![]));
        pager.set_limit(0);
        assert_eq!((vm.committed(), vm.regions()), (0, 0), "and empty segments go back when the limit sinks");
    }
}

#[test]
fn i04_evictable_and_pinned_and_free_add_up_to_the_limit() {
    let budget = Budget::unlimited("host");
    let pager = Pager::new(HostVm::new(), 16 * PAGE as u64);
    let model = Model::new(&pager, &budget, "m", 1, &[PAGE; 10]);
    let _pin = model.acquire(0, 0);
    drop(model.acquire(1, 0));
    let map = pager.describe();
    let evictable = map.rows[0].resident - map.rows[0].pinned;
    assert_eq!((evictable, map.rows[0].pinned, map.limit - map.resident), (4096, 4096, 14 * 4096));
}

#[test]
fn eviction_really_gives_memory_back_to_the_system() {
    if process_memory().is_none() {
        return;
    }
    let pager = Pager::new(HostVm::new(), 1 << 30);
    let model = Model::new(&pager, &Budget::unlimited("host"), "m", 1, &[8 << 20; 8]);
    let base = process_memory().unwrap().anonymous;
    model.pass();
    let full = process_memory().unwrap().anonymous;
    pager.set_limit(0);
    let empty = process_memory().unwrap().anonymous;
    assert!(full - base > 48 << 20 && full - empty > 48 << 20, "{base} {full} {empty}");
}

struct Recount;

impl Checks for Recount {
    fn check<P: Counted>(&self, life: &Life<P>) {
        assert_eq!(life.pager.audit(), Vec::<String>::new());
        let report = life.budget.report();
        assert_eq!(report.used, report.rows.iter().map(|row| row.used).sum::<u64>());
    }
}

#[test]
fn i05_the_report_is_what_a_recount_from_scratch_gives() {
    on_every_provider(12, Recount);
}

#[test]
fn i05_a_million_operations_make_no_drift() {
    let budget = Budget::new("device", 40 << 20);
    let pager = Pager::new(NullProvider::default(), u64::MAX);
    pager.set_schedule(Schedule::new().then("a", 3).then("b", 1).repeating());
    let models = [("a", 1), ("b", 2)].map(|(name, id)| Model::new(&pager, &budget, name, id, &[1 << 20; 30]));
    let (mut dice, mut held) = (Dice(7), Vec::new());
    for i in 0..1_000_000u64 {
        held.extend(models[dice.below(2)].acquire(dice.below(30), u64::from(dice.one_in(50))));
        if held.len() > 6 {
            held.clear();
        }
        if i % 100_000 == 0 {
            assert_eq!(pager.audit(), Vec::<String>::new());
        }
    }
    drop(held);
    assert_eq!(
        (pager.audit(), budget.used(), pager.provider().committed() as u64),
        (vec![], pager.resident(), pager.resident())
    );
    drop(models);
    assert_eq!((budget.used(), pager.provider().committed()), (0, 0));
}

#[test]
fn a_thousand_lives_leave_nothing_behind() {
    let pager = Pager::new(HostVm::new(), 10 * PAGE as u64);
    let budget = Budget::new("host", 10 * PAGE as u64);
    for i in 0..1000 {
        let model = Model::new(&pager, &budget, "m", i, &[PAGE; 14]);
        model.pass();
        let held = model.acquire((i % 14) as usize, 0);
        drop(model);
        drop(held);
    }
    assert_eq!((pager.provider().regions(), pager.provider().committed(), budget.used()), (0, 0, 0));
    assert_eq!(pager.describe().rows.len(), 0);
}
