//! What a device's driver can do to us: 2, 9, 16 and 18, played by doubles.

use crate::{
    PAGE,
    support::{self, Model},
};
use kiln_memory::{
    Budget, Dtype, Kind, MemorySource, ProviderError, Weights,
    pager::{Acquisition, Pager},
    provider::{HostVm, Provider},
    testing::{Call, Faulty, Throttled},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

#[test]
fn f02_a_mapping_that_is_not_ready_is_tried_again_after_waiting() {
    let asked = Arc::new(AtomicU64::new(0));
    let counter = asked.clone();
    let not_ready = move |_: u64, call| {
        let again = call == Call::Commit && counter.fetch_add(1, Relaxed) < 2;
        again.then_some(ProviderError::NotReady)
    };
    let pager = Pager::new(Faulty::with(HostVm::new(), not_ready), 1 << 30);
    let model = Model::new(&pager, &Budget::unlimited("device"), "unet", 1, &[PAGE; 3]);
    assert!(model.acquire(0, 0).is_some(), "the third time it was");
    assert_eq!((asked.load(Relaxed), model.vbar.counters().fills), (3, 1));
}

#[test]
fn f02_a_mapping_that_is_never_ready_is_marked_and_its_unit_streamed_from_then_on() {
    let asked = Arc::new(AtomicU64::new(0));
    let counter = asked.clone();
    let never = move |_: u64, call| {
        let first_four = call == Call::Commit && counter.fetch_add(1, Relaxed) < 4;
        first_four.then_some(ProviderError::NotReady)
    };
    let pager = Pager::new(Faulty::with(HostVm::new(), never), 1 << 30);
    let budget = Budget::unlimited("device");
    let model = Model::new(&pager, &budget, "unet", 1, &[PAGE; 3]);
    model.pass();
    model.pass();
    assert_eq!(asked.load(Relaxed), 4 + 2, "four times for the first unit and never again; once for the others");
    assert_eq!((pager.describe().rows[0].units.as_str(), model.vbar.counters().streams), ("!##", 2));
    assert_eq!((pager.audit(), budget.used()), (vec![], 2 * PAGE as u64));
}

/// A device that can be switched off and back on.
fn losable() -> (Arc<AtomicBool>, Faulty<Arc<HostVm>>, Arc<HostVm>) {
    let (gone, vm) = (Arc::new(AtomicBool::new(false)), Arc::new(HostVm::new()));
    let lost = gone.clone();
    let provider = Faulty::with(vm.clone(), move |_, _| lost.load(Relaxed).then_some(ProviderError::DeviceLost));
    (gone, provider, vm)
}

#[test]
fn f09_a_lost_device_fails_what_runs_once_and_then_everything_is_brought_again() {
    let (gone, provider, vm) = losable();
    let pager = Pager::new(provider, 1 << 30);
    let budget = Budget::unlimited("device");
    let model = Model::new(&pager, &budget, "unet", 1, &[PAGE; 4]);
    model.acquire(0, 0);
    model.acquire(1, 0);
    gone.store(true, Relaxed);
    let Acquisition::Fill(vacant) = model.vbar.acquire(model.units[2], model.key(2, 0)) else {
        panic!("told by the fill")
    };
    let error = vacant.fill(&mut |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("the device was lost"), "{error}");
    assert!(model.acquire(0, 0).is_none(), "what was resident isn't any more, and the device is still away");
    assert_eq!(pager.losses(), 1);

    gone.store(false, Relaxed);
    model.pass();
    assert_eq!((pager.losses(), pager.describe().rows[0].units.as_str()), (1, "####"));
    assert_eq!((model.pass(), pager.audit(), vm.regions()), (0, vec![], 1), "one range, the new one");
    drop(model);
    assert_eq!((vm.committed(), vm.regions(), budget.used()), (0, 0, 0));
}

#[test]
fn f09_what_is_pinned_on_a_lost_device_keeps_its_range_until_it_is_released() {
    let (gone, provider, vm) = losable();
    let pager = Pager::new(provider, 1 << 30);
    let budget = Budget::unlimited("device");
    let model = Model::new(&pager, &budget, "unet", 1, &[PAGE; 4]);
    let held = model.acquire(1, 0).unwrap();
    gone.store(true, Relaxed);
    assert!(model.acquire(2, 0).is_none());
    gone.store(false, Relaxed);
    let again = model.acquire(1, 0).unwrap();
    assert_ne!(again.as_ptr(), held.as_ptr());
    assert_eq!((vm.regions(), held[0]), (2, support::stamp(model.key(1, 0))));
    drop(held);
    assert_eq!((vm.regions(), pager.resident()), (1, PAGE as u64));
}

#[test]
fn f09_the_ram_tier_survives_a_lost_device() {
    let host = Budget::unlimited("host");
    let mut source = MemorySource::new("unet");
    source.insert("w", Dtype::U8, &[4096], vec![7; 4096]).unwrap();
    let in_ram = Weights::new(source, "unet", &host);
    drop(in_ram.weight("w").unwrap().read().unwrap());
    let before = host.report().used_for(Kind::Weights);

    let (gone, provider, _) = losable();
    let device = Pager::new(provider, 1 << 30);
    let model = Model::new(&device, &Budget::unlimited("device"), "unet", 1, &[PAGE]);
    model.pass();
    gone.store(true, Relaxed);
    model.acquire(0, 1);
    assert_eq!((device.losses(), host.report().used_for(Kind::Weights)), (1, before));
    assert_eq!(in_ram.weight("w").unwrap().read().unwrap().how(), kiln_memory::Acquired::Hit);
}

#[test]
fn f16_while_a_graph_is_captured_an_acquisition_is_a_hit_or_the_capture_is_refused() {
    let pager = Pager::new(HostVm::new(), 4 * PAGE as u64);
    let budget = Budget::new("device", 4 * PAGE as u64);
    let reclaimer = pager.reclaimer();
    budget.add_reclaimer(Arc::downgrade(&reclaimer));
    let model = Model::new(&pager, &budget, "unet", 1, &[PAGE; 4]);
    model.acquire(0, 0);
    model.acquire(1, 0);

    let capture = pager.freeze();
    assert!(model.acquire(0, 0).is_some() && model.acquire(1, 0).is_some());
    assert_eq!(capture.finish(), Ok(()));

    let capture = pager.freeze();
    let address = model.acquire(0, 0).unwrap().as_ptr();
    assert!(model.acquire(2, 0).is_none(), "streamed, though there is room");
    assert!(model.acquire(1, 9).is_none(), "no refill in place");
    pager.set_limit(0);
    assert!(budget.account("vae", Kind::Activations).claim(4 * PAGE as u64).is_err(), "nothing is evicted");
    assert_eq!((pager.resident(), model.acquire(0, 0).unwrap().as_ptr()), (2 * PAGE as u64, address));
    let refused = capture.finish().unwrap_err();
    assert_eq!(refused.to_string(), "the capture is refused: 2 units were not in place while it ran");
    assert_eq!((pager.resident(), pager.audit()), (0, vec![]), "and then the limit holds");
}

#[test]
fn f16_a_model_that_is_dropped_while_a_graph_is_captured_goes_afterwards() {
    let pager = Pager::new(HostVm::new(), 1 << 30);
    let model = Model::new(&pager, &Budget::unlimited("device"), "unet", 1, &[PAGE; 4]);
    model.pass();
    let capture = pager.freeze();
    drop(model);
    assert_eq!(pager.resident(), 4 * PAGE as u64, "a captured graph may name its addresses");
    drop(capture);
    assert_eq!((pager.resident(), pager.provider().regions()), (0, 0));
}

#[test]
fn f18_on_unified_memory_the_limit_is_what_the_machine_has_and_an_upload_is_no_copy() {
    let vm = HostVm::new();
    if let Some(available) = kiln_memory::available_memory() {
        assert!(vm.info().free <= available + (1 << 30), "{:?}, {available} available", vm.info());
    }
    // What fills a unit writes to the very bytes that are read later, through any wrapper.
    let pager = Pager::new(Throttled::new(vm, 1e12), 1 << 30);
    let model = Model::new(&pager, &Budget::unlimited("host"), "unet", 1, &[PAGE]);
    let Acquisition::Fill(vacant) = model.vbar.acquire(model.units[0], model.key(0, 0)) else {
        panic!("there is room")
    };
    let mut target = std::ptr::null();
    let pin = vacant
        .fill(&mut |to| {
            target = to.as_ptr();
            to.fill(1);
            Ok(())
        })
        .unwrap();
    assert_eq!(pin.as_ptr(), target);
}
