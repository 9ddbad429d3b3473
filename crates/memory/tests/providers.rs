//! What every provider must do, asked of each of them and of the doubles.
#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used)]

use kiln_memory::{Delayed, Faulty, HostVm, Provider, ProviderError, SourceError, Tally, Throttled};
use std::sync::Arc;

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
    let tally = Tally::default();
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
