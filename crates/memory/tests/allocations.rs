//! What allocates and what doesn't, counted by the allocator itself. Alone in its program: it is the allocator.
#![allow(clippy::unwrap_used, clippy::expect_used, unsafe_code)]

mod support;

use kiln_memory::{
    Acquired, Budget, MemorySource, Schedule, Weights,
    pager::Pager,
    provider::{Arena, HostSegments, HostVm, Provider},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
};
use support::Model;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: passed on.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `work` allocates.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

fn hits_allocate_nothing<P: Provider>(provider: P) {
    let pager = Pager::new(provider, u64::MAX);
    pager.set_schedule(Schedule::new().then("unet", 100));
    let model = Model::new(&pager, &Budget::unlimited("host"), "unet", 1, &[4096; 32]);
    model.pass();
    let hits = || {
        for _ in 0..50 {
            model.pass();
        }
    };
    hits();
    assert_eq!(allocations(hits), 0);
}

#[test]
fn i19_an_acquisition_that_hits_allocates_nothing() {
    hits_allocate_nothing(HostVm::new());
    hits_allocate_nothing(Arena::new(HostSegments::new(Arc::new(HostVm::new())), 1 << 30));
}

#[test]
fn reading_a_weight_that_is_here_allocates_nothing() {
    let mut source = MemorySource::new("m");
    (0..16).for_each(|i| source.insert(i.to_string(), kiln_memory::Dtype::I8, &[512], vec![i as u8; 512]).unwrap());
    let unet = Weights::new(source, "unet", &Budget::unlimited("host"));
    let handles: Vec<_> = (0..16).map(|i| unet.weight(&i.to_string()).unwrap()).collect();
    let pass = |how| handles.iter().for_each(|w| assert_eq!(w.read().unwrap().how(), how));
    pass(Acquired::Fill);
    assert_eq!(allocations(|| (0..50).for_each(|_| pass(Acquired::Hit))), 0);
}

#[test]
fn streaming_in_a_steady_loop_takes_slots_that_were_used_before() {
    let mut source = MemorySource::new("m");
    let values = vec![1u8; 1 << 16];
    (0..16).for_each(|i| source.insert(i.to_string(), kiln_memory::Dtype::U8, &[1 << 16], values.clone()).unwrap());
    let unet = Weights::new(source, "unet", &Budget::new("host", 0));
    unet.reserve_slots().unwrap();
    unet.pager().set_slots(0); // in this thread, where it is counted
    let pass = || (0..16).for_each(|i| drop(unet.weight(&i.to_string()).unwrap().read().unwrap()));
    pass();
    let per_pass = allocations(pass);
    assert!(per_pass <= 16 * 4, "{per_pass} allocations in 16 uses: names and owners, and no slot");
    assert_eq!(unet.budget().peak(), 2 << 18, "the two slots that were reserved, and no third");
}
