//! Invariants 6 to 9 and 12: what someone reads is what was asked for, and stays where it is.

use crate::{
    PAGE,
    life::{Checks, Counted, Life, live, on_every_provider},
    support::{self, Model},
};
use kiln_memory::{
    Budget,
    pager::Pager,
    provider::{Arena, HostSegments, HostVm, Provider},
    testing::Delayed,
};
use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

struct AnyStep;

impl Checks for AnyStep {
    fn check<P: Counted>(&self, _: &Life<P>) {}
}

#[test]
fn i09_pages_go_only_after_the_last_readers_fence_and_the_last_writers_ticket() {
    for seed in 1..=30 {
        let (pager, _) = live(seed, 1200, Delayed::new(HostVm::with_capacity(24 * PAGE)), &AnyStep);
        assert_eq!(pager.provider().violations(), 0);
    }
    // The fence that is taken at the release of the last pin is waited for before the pages go.
    let budget = Budget::unlimited("host");
    let pager = Pager::new(Delayed::new(HostVm::new()), 4 * PAGE as u64);
    let model = Model::new(&pager, &budget, "m", 1, &[PAGE]);
    drop(model.acquire(0, 0));
    assert_eq!(pager.provider().outstanding(), 1, "the reader's fence");
    pager.set_limit(0);
    assert_eq!((pager.provider().outstanding(), pager.resident()), (0, 0));
}

#[test]
fn i06_a_pinned_unit_is_neither_evicted_nor_refilled() {
    let budget = Budget::unlimited("host");
    let pager = Pager::new(HostVm::new(), 2 * PAGE as u64);
    let model = Model::new(&pager, &budget, "m", 1, &[PAGE; 2]);
    let old = model.acquire(0, 0).unwrap();
    assert!(model.acquire(0, 1).is_none(), "other contents while someone reads: streamed");
    pager.set_limit(0);
    assert_eq!((pager.resident(), old[0]), (PAGE as u64, support::stamp(model.key(0, 0))));
    drop(old);
    assert_eq!(pager.resident(), 0);
}

#[test]
fn i12_a_pinned_unit_keeps_its_address_and_so_does_a_resident_one() {
    let budget = Budget::unlimited("host");
    let pager = Pager::new(HostVm::new(), 8 * PAGE as u64);
    let model = Model::new(&pager, &budget, "m", 1, &[PAGE; 3]);
    let first = model.acquire(1, 0).unwrap();
    let address = first.as_ptr();
    drop((model.acquire(0, 0), first));
    assert_eq!(model.acquire(1, 0).unwrap().as_ptr(), address);
}

/// Remembers the bytes that were seen through each pin. One step ends at most one pin, so an address that is read
/// before and after it was pinned all along.
#[derive(Default)]
struct PinsHold(RefCell<BTreeMap<usize, u8>>);

impl Checks for PinsHold {
    fn check<P: Counted>(&self, life: &Life<P>) {
        let now: BTreeMap<usize, u8> = life.pins.iter().map(|pin| (pin.as_ptr().addr(), pin[0])).collect();
        for (address, byte) in self.0.borrow().iter() {
            assert!(now.get(address).is_none_or(|after| after == byte), "moved or refilled under a pin");
        }
        *self.0.borrow_mut() = now;
    }
}

#[test]
fn i06_what_is_pinned_keeps_its_place_and_its_bytes_through_random_lives() {
    for seed in 1..=8 {
        live(seed, 3000, HostVm::with_capacity(24 * PAGE), &PinsHold::default());
    }
    on_every_provider(8, PinsHold::default());
}

struct RightBytes;

impl Checks for RightBytes {
    fn check<P: Counted>(&self, life: &Life<P>) {
        // `Model::acquire` compares every byte with its key when it comes; here again, while it is held.
        assert!(life.pins.iter().all(|pin| pin.iter().all(|byte| *byte == pin[0] && *byte != 0xff)));
    }
}

#[test]
fn i07_the_bytes_behind_a_guard_are_those_of_the_key_that_was_asked_for() {
    on_every_provider(12, RightBytes);
}

struct Disjoint;

impl Checks for Disjoint {
    fn check<P: Counted>(&self, life: &Life<P>) {
        let mut ranges: Vec<(usize, usize)> =
            life.pins.iter().map(|pin| (pin.as_ptr().addr(), pin.as_ptr().addr() + pin.len())).collect();
        ranges.sort_unstable();
        ranges.dedup();
        assert!(ranges.windows(2).all(|two| two[0].1 <= two[1].0), "{ranges:?}");
    }
}

#[test]
fn i08_two_units_never_overlap() {
    on_every_provider(12, Disjoint);
}

#[test]
fn i08_a_unit_lies_in_one_segment_of_the_arena() {
    let budget = Budget::unlimited("host");
    let arena = Arena::with_segments(HostSegments::new(Arc::new(HostVm::new())), 64 * PAGE, 8 * PAGE);
    let pager = Pager::new(arena, u64::MAX);
    let model = Model::new(&pager, &budget, "m", 1, &[3 * PAGE, 5 * PAGE, 7 * PAGE, 2 * PAGE, 12 * PAGE, PAGE]);
    let pins: Vec<_> = (0..6).map(|unit| model.acquire(unit, 0).unwrap()).collect();
    assert!(pins.iter().all(|pin| !pin.is_empty()));
    // 3 + 5 fill one segment; 7 and 1 the next; 2 and 12 (a segment of its own) the others.
    assert_eq!(pager.provider().held(), (8 + 8 + 8 + 12) * PAGE);
    assert_eq!(pager.provider().info().free, 28 * PAGE as u64);
}
