//! What every provider must do, asked of each of them and of the doubles.
#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used)]

mod support;

use kiln_memory::{
    Budget, Kind, ProviderError, SourceError,
    pager::Pager,
    provider::NullProvider,
    provider::{Arena, HostSegments, HostVm, MemInfo, Provider, Segments, Ticket, Write},
    testing::{Delayed, Faulty, Throttled},
};
use std::{
    ptr::NonNull,
    sync::{Arc, Mutex, Weak},
};
use support::Model;

const PAGE: usize = 4096;

/// Fills, reads, gives back and takes again, in two regions at once.
fn conforms<P: Provider>(provider: &P, readable: bool) {
    let page = provider.page_size();
    let (a, b) = (provider.reserve(5 * page).unwrap(), provider.reserve(1).unwrap());
    provider.commit(a, 1..4).unwrap();
    provider.commit(b, 0..1).unwrap();
    for (round, stamp) in [3u8, 5].into_iter().enumerate() {
        for (region, at, len) in [(a, page, 3 * page), (b, 0, page.min(7))] {
            let mut write = |to: &mut [u8]| {
                to.fill(stamp);
                Ok(())
            };
            // SAFETY: the pages were committed above and nobody else knows them.
            let ticket = unsafe { provider.upload(region, at, len, &mut write) }.unwrap();
            provider.wait(ticket).unwrap();
            assert!(provider.is_done(ticket));
            assert_eq!(provider.address(region, at).is_some(), readable);
            if let Some(address) = provider.address(region, at) {
                // SAFETY: committed, filled, and not written while the slice lives.
                let seen = unsafe { std::slice::from_raw_parts(address.as_ptr(), len) };
                assert!(seen.iter().all(|byte| *byte == stamp), "round {round}");
            }
        }
        // SAFETY: the slices above are gone and every ticket is done.
        unsafe { provider.decommit(a, 1..4) };
        provider.commit(a, 1..4).unwrap();
    }
    let fence = provider.fence();
    provider.wait(fence).unwrap();
    // SAFETY: as above; nothing is committed at the release.
    unsafe {
        provider.decommit(a, 1..4);
        provider.decommit(b, 0..1);
        provider.release(a);
        provider.release(b);
    }
    assert!(provider.info().free <= provider.info().total);
    // Asked for at any time, with nothing to do.
    provider.trim();
    assert_eq!(provider.scattered(0), []);
    provider.recover().unwrap();
}

#[test]
fn the_hosts_memory_and_every_double_over_it_conform() {
    let vm = Arc::new(HostVm::new());
    conforms(&vm, true);
    conforms(&Faulty::new(vm.clone(), |_, _| false), true);
    conforms(&Delayed::new(vm.clone()), true);
    conforms(&Throttled::new(vm.clone(), 1e9), true);
    conforms(&Delayed::new(Throttled::new(vm.clone(), 1e9)), true);
    assert_eq!((vm.committed(), vm.regions()), (0, 0));
    let arena = Arc::new(Arena::with_segments(HostSegments::new(vm.clone()), 64 * PAGE, 4 * PAGE));
    conforms(&arena, true);
    conforms(&Faulty::new(arena.clone(), |_, _| false), true);
    conforms(&Delayed::new(arena.clone()), true);
    conforms(&Throttled::new(arena.clone(), 1e9), true);
    assert_eq!((arena.committed(), arena.regions()), (0, 0));
    drop(arena);
    assert_eq!((vm.committed(), vm.regions()), (0, 0), "the segments went with the arena");
    let tally = NullProvider::default();
    conforms(&tally, false);
    assert_eq!(tally.committed(), 0);
}

#[test]
fn a_full_host_says_out_of_memory_and_stays_as_it_was() {
    let vm = HostVm::with_capacity(2 * 4096);
    let page = vm.page_size();
    let region = vm.reserve(8 * page).unwrap();
    vm.commit(region, 0..(2 * 4096 / page).max(1)).unwrap();
    let before = vm.committed();
    assert!(matches!(vm.commit(region, 4..8), Err(ProviderError::OutOfMemory)));
    assert!(matches!(vm.commit(region, 7..9), Err(ProviderError::Refused(_))), "beyond the range");
    assert_eq!((vm.committed(), vm.info().free), (before, 0));
    // SAFETY: nobody reads these pages.
    unsafe {
        vm.decommit(region, 0..before / page);
        vm.release(region);
    }
}

#[test]
fn a_terabyte_of_addresses_costs_no_memory() {
    let vm = HostVm::new();
    let region = vm.reserve(1 << 40).unwrap();
    assert_eq!(vm.committed(), 0);
    // SAFETY: nothing of it was committed.
    unsafe { vm.release(region) };
}

#[test]
fn a_write_that_fails_is_the_uploads_error() {
    let vm = HostVm::new();
    let region = vm.reserve(1).unwrap();
    vm.commit(region, 0..1).unwrap();
    let mut write = |_: &mut [u8]| Err(SourceError::Other { tensor: "w".into(), what: "input/output error".into() });
    // SAFETY: committed, and nobody else knows it.
    let error = unsafe { vm.upload(region, 0, 8, &mut write) }.unwrap_err();
    assert_eq!(error.to_string(), "tensor `w`: input/output error");
    // SAFETY: nobody reads it.
    unsafe {
        vm.decommit(region, 0..1);
        vm.release(region);
    }
}

fn arena(capacity_pages: usize, segment_pages: usize) -> (Arc<HostVm>, Arena<HostSegments>) {
    let vm = Arc::new(HostVm::new());
    let arena = Arena::with_segments(HostSegments::new(vm.clone()), capacity_pages * PAGE, segment_pages * PAGE);
    (vm, arena)
}

#[test]
fn an_arena_hands_an_evicted_units_range_to_the_next_unit_without_asking_the_backend() {
    let (vm, arena) = arena(8, 8);
    let pager = Pager::new(arena, u64::MAX);
    let budget = Budget::unlimited("device");
    let (a, b) =
        (Model::new(&pager, &budget, "a", 1, &[2 * PAGE; 4]), Model::new(&pager, &budget, "b", 2, &[4 * PAGE; 2]));
    a.pass();
    assert_eq!((vm.committed(), pager.provider().held()), (8 * PAGE, 8 * PAGE));
    pager.set_limit(8 * PAGE as u64);
    b.pass();
    b.pass();
    assert_eq!((vm.committed(), vm.regions(), pager.provider().committed()), (8 * PAGE, 1, 8 * PAGE));
    assert_eq!(pager.audit(), Vec::<String>::new());
}

#[test]
fn a_full_or_fragmented_arena_is_a_stream_and_never_an_error() {
    let (_, arena) = arena(8, 4);
    let pager = Pager::new(arena, u64::MAX);
    // 3 + 3 leave a page in each of the two segments: 2 together are not to be had.
    let model = Model::new(&pager, &Budget::unlimited("device"), "m", 1, &[3 * PAGE, 3 * PAGE, 2 * PAGE, PAGE, PAGE]);
    model.pass();
    assert_eq!((model.vbar.counters().fills, model.vbar.counters().streams), (4, 1));
    assert_eq!((pager.provider().committed(), pager.audit()), (8 * PAGE, vec![]));
}

#[test]
fn a_sinking_limit_empties_whole_segments_and_gives_them_back() {
    let (vm, arena) = arena(64, 8);
    let pager = Pager::new(arena, u64::MAX);
    let model = Model::new(&pager, &Budget::unlimited("device"), "m", 1, &[PAGE; 32]);
    model.pass();
    assert_eq!(vm.committed(), 32 * PAGE);
    let held = model.acquire(5, 0);
    pager.set_limit(16 * PAGE as u64);
    assert!(pager.resident() <= 16 * PAGE as u64 && vm.committed() <= 24 * PAGE, "{} held", vm.committed() / PAGE);
    drop(held);
    pager.set_limit(0);
    assert_eq!((pager.resident(), vm.committed(), vm.regions()), (0, 0, 0));
}

#[test]
fn activations_get_whole_segments_back() {
    let (vm, arena) = arena(64, 8);
    let pager = Pager::new(arena, u64::MAX);
    let budget = Budget::new("device", 64 * PAGE as u64);
    let reclaimer = pager.reclaimer();
    budget.add_reclaimer(Arc::downgrade(&reclaimer));
    let model = Model::new(&pager, &budget, "m", 1, &[PAGE; 64]);
    model.pass();
    let _peak = budget.account("vae", Kind::Activations).claim(40 * PAGE as u64).unwrap();
    assert!(vm.committed() <= 24 * PAGE, "{} pages are still held", vm.committed() / PAGE);
    assert_eq!(pager.audit(), Vec::<String>::new());
}

/// A backend that tells how many owners its segments have.
struct Owned {
    host: HostSegments,
    seen: Arc<Mutex<Vec<Weak<()>>>>,
}

type OwnedHandle = (<HostSegments as Segments>::Handle, Arc<()>);

impl Segments for Owned {
    type Handle = OwnedHandle;
    fn allocate(&self, bytes: usize) -> Result<OwnedHandle, ProviderError> {
        let token = Arc::new(());
        self.seen.lock().unwrap().push(Arc::downgrade(&token));
        Ok((self.host.allocate(bytes)?, token))
    }
    unsafe fn copy_in(&self, to: &OwnedHandle, at: usize, n: usize, w: Write<'_>) -> Result<Ticket, ProviderError> {
        // SAFETY: the caller's promises are those of the backend below.
        unsafe { self.host.copy_in(&to.0, at, n, w) }
    }
    fn address(&self, segment: &OwnedHandle, at: usize) -> Option<NonNull<u8>> {
        self.host.address(&segment.0, at)
    }
    fn is_done(&self, ticket: Ticket) -> bool {
        self.host.is_done(ticket)
    }
    fn wait(&self, ticket: Ticket) -> Result<(), ProviderError> {
        self.host.wait(ticket)
    }
    fn fence(&self) -> Ticket {
        self.host.fence()
    }
    fn info(&self) -> MemInfo {
        self.host.info()
    }
}

/// cubecl computes in place when a handle has at most two owners, its pool being one: with a tensor's own handle there
/// are never fewer than three.
#[test]
fn an_arena_keeps_two_handles_of_every_segment_as_long_as_it_has_it() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let backend = Owned { host: HostSegments::new(Arc::new(HostVm::new())), seen: seen.clone() };
    let pager = Pager::new(Arena::with_segments(backend, 64 * PAGE, 4 * PAGE), u64::MAX);
    let model = Model::new(&pager, &Budget::unlimited("device"), "m", 1, &[PAGE; 10]);
    let owners = || seen.lock().unwrap().iter().map(Weak::strong_count).collect::<Vec<_>>();
    for unit in 0..10 {
        drop(model.acquire(unit, 0));
        assert!(owners().iter().all(|n| *n == 2));
    }
    pager.set_limit(4 * PAGE as u64);
    assert!(owners().iter().all(|n| *n == 2 || *n == 0), "{:?}", owners());
    drop(model);
    pager.set_limit(0);
    assert_eq!(owners().iter().sum::<usize>(), 0);
}
