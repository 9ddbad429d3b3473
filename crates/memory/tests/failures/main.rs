//! What goes wrong around the weights, and what happens then: the failure modes by number, `f01_…` to `f18_…`.
//! A device's part is played by the doubles.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod device;
mod files;
mod host;

use bytes::Bytes;
use kiln_memory::{
    Acquired, Budget, Dtype, Kind, MemoryError, MemorySource, PressureMonitor, Schedule, SourceError, TensorInfo,
    TensorSource, Weights,
    pager::Pager,
    provider::HostVm,
    testing::{Call, Faulty},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};
use support::Model;

const PAGE: usize = 4096;
const MIB: u64 = 1 << 20;

#[test]
fn f01_when_commits_are_refused_weights_stream_and_come_back_once_there_is_memory() {
    let refuse = Arc::new(AtomicBool::new(true));
    let refused = refuse.clone();
    let provider = Faulty::new(HostVm::new(), move |_, call| call == Call::Commit && refused.load(Relaxed));
    let pager = Pager::new(provider, 1 << 30);
    let budget = Budget::unlimited("device");
    let model = Model::new(&pager, &budget, "unet", 1, &[PAGE; 12]);
    model.pass();
    assert_eq!((model.vbar.counters().streams, pager.resident(), budget.used()), (12, 0, 0));
    refuse.store(false, Relaxed);
    model.pass();
    assert_eq!((model.vbar.counters().fills, model.pass(), pager.audit()), (12, 0, vec![]));
}

/// Twenty weights of 1 MiB, decoded, under 32 MiB.
fn crowded() -> (Arc<Budget>, Weights) {
    let mut source = MemorySource::new("unet");
    for i in 0..20 {
        source.insert(format!("{i}"), Dtype::U8, &[1 << 18], vec![i as u8; 1 << 18]).unwrap();
    }
    let budget = Budget::new("host", 32 * MIB);
    let weights = Weights::new(source, "unet", &budget);
    pass(&weights);
    (budget, weights)
}

fn pass(weights: &Weights) {
    for i in 0..20u8 {
        let values = weights.weight(&i.to_string()).unwrap().read().unwrap();
        assert!(values.iter().all(|v| *v == f32::from(i)));
    }
}

#[test]
fn f03_a_computation_that_runs_short_gets_what_weights_hold_and_then_an_error_that_names_the_owners() {
    let (budget, weights) = crowded();
    let vae = budget.account("VAEDecode \"8\"", Kind::Activations);
    let held = vae.claim(30 * MIB).unwrap();
    assert_eq!(budget.report().used_for(Kind::Weights), 2 * MIB);
    let error = vae.claim(10 * MIB).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("held by VAEDecode \"8\" (activations, 30.0 MiB)"), "{text}");
    pass(&weights);
    drop(held);
    pass(&weights);
    pass(&weights);
    assert_eq!(budget.report().used_for(Kind::Weights), 20 * MIB, "residency has grown back");
}

#[test]
fn f04_f08_memory_that_others_take_is_given_back_and_returns_when_they_are_done() {
    let budget = Budget::new("host", 2048 * MIB);
    let mut source = MemorySource::new("unet");
    for i in 0..20 {
        source.insert(format!("{i}"), Dtype::U8, &[1 << 18], vec![i as u8; 1 << 18]).unwrap();
    }
    let weights = Weights::new(source, "unet", &budget);
    pass(&weights);
    let _others = budget.account("images", Kind::Outputs).take(600 * MIB);
    let pressure_monitor = PressureMonitor::new(budget.clone(), 512 * MIB);
    pressure_monitor.adjust(8 << 30);
    assert_eq!(budget.limit(), 2048 * MIB, "plenty");
    pressure_monitor.adjust(400 * MIB);
    assert_eq!(budget.limit(), 448 * MIB, "620 held + 400 available - 512, in steps of 64");
    assert_eq!(budget.report().used_for(Kind::Weights), 0, "weights give way");
    pass(&weights);
    pressure_monitor.adjust(500 * MIB);
    assert_eq!(budget.limit(), 448 * MIB, "a little more is no reason to move");
    pressure_monitor.adjust(8 << 30);
    pass(&weights);
    assert_eq!((budget.limit(), budget.report().used_for(Kind::Weights)), (2048 * MIB, 20 * MIB));
}

/// Fails every third read.
struct Flaky(MemorySource, AtomicU64);

impl TensorSource for Flaky {
    fn inner(&self) -> &[Arc<dyn TensorSource>] {
        &[]
    }
    fn label(&self) -> String {
        self.0.label()
    }
    fn names(&self) -> Vec<&str> {
        self.0.names()
    }
    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.0.info(name)
    }
    fn slice(&self, _: &str) -> Option<Bytes> {
        None
    }
    fn read_f32(&self, name: &str, out: &mut [f32]) -> Result<(), SourceError> {
        if self.1.fetch_add(1, Relaxed).is_multiple_of(3) {
            return Err(SourceError::Other { tensor: name.to_owned(), what: "input/output error".to_owned() });
        }
        self.0.read_f32(name, out)
    }
}

#[test]
fn f06_a_read_that_fails_is_an_error_of_that_weight_and_nothing_stays_half_filled() {
    for limit in [u64::MAX, 10 * PAGE as u64, 0] {
        let mut source = MemorySource::new("unet");
        for i in 0..20 {
            source.insert(format!("{i}"), Dtype::U8, &[1024], vec![i as u8; 1024]).unwrap();
        }
        let budget = Budget::new("host", limit);
        let weights = Weights::new(Flaky(source, AtomicU64::new(0)), "unet", &budget);
        let mut errors = 0;
        for round in 0..200 {
            let name = (round % 20).to_string();
            match weights.weight(&name).unwrap().read() {
                Ok(values) => assert!(values.iter().all(|v| *v == (round % 20) as f32)),
                Err(MemoryError::Source(error)) => {
                    assert_eq!(error.to_string(), format!("tensor `{name}`: input/output error"));
                    errors += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert!(errors > 0 && weights.pager().audit().is_empty());
        drop(weights);
        assert_eq!(budget.used(), 0);
    }
}

#[test]
fn f10_a_model_dropped_while_someone_reads_it_goes_with_the_last_reader() {
    let budget = Budget::unlimited("host");
    let pager = Pager::new(HostVm::new(), 1 << 30);
    let model = Model::new(&pager, &budget, "unet", 1, &[PAGE; 4]);
    let (a, b) = (model.acquire(0, 0).unwrap(), model.acquire(3, 0).unwrap());
    let expected = support::stamp(model.key(3, 0));
    drop(model);
    drop(a);
    assert_eq!((pager.provider().regions(), pager.resident(), b[0]), (1, PAGE as u64, expected));
    drop(b);
    assert_eq!((pager.provider().regions(), pager.resident(), budget.used()), (0, 0, 0));
}

#[test]
fn f11_two_threads_on_one_model_share_what_is_here() {
    let (budget, weights) = crowded();
    std::thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| (0..20).for_each(|_| pass(&weights)));
        }
    });
    assert_eq!((weights.pager().counters().fills, budget.report().used_for(Kind::Weights)), (20, 20 * MIB));
}

#[test]
fn f13_a_panic_while_a_weight_is_in_use_or_being_filled_leaves_nothing_behind() {
    let (budget, weights) = crowded();
    let w = weights.clone();
    let panicked = std::thread::spawn(move || {
        let _held = w.weight("3").unwrap().read().unwrap();
        std::panic::resume_unwind(Box::new("in a node"));
    });
    assert!(panicked.join().is_err());
    budget.set_limit(0);
    assert_eq!((budget.used(), weights.pager().audit()), (0, vec![]));

    let source = kiln_memory::ComputedSource::new("m", [("w", vec![8])], |_, _, _| {
        std::panic::resume_unwind(Box::new("in a fill"))
    });
    let budget = Budget::unlimited("host");
    let weights = Weights::new(source, "unet", &budget);
    let weight = weights.weight("w").unwrap();
    assert!(std::thread::spawn(move || drop(weight.read())).join().is_err());
    assert_eq!((budget.used(), weights.pager().audit()), (0, vec![]));
}

#[test]
fn a_thousand_models_leave_no_bytes_no_mappings_and_no_descriptors() {
    let count = |dir: &str| std::fs::read_dir(dir).map_or(0, Iterator::count);
    let maps = || std::fs::read_to_string("/proc/self/maps").map_or(0, |m| m.lines().count());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    let header = br#"{"w":{"dtype":"U8","shape":[100],"data_offsets":[0,100]}}"#;
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header, &[1; 100]].concat()).unwrap();
    let budget = Budget::new("host", 64 * MIB);
    let life = || {
        let weights = Weights::shared(kiln_memory::WeightFile::open(&path).unwrap(), "unet", &budget);
        weights.pager().set_schedule(Schedule::new().then("unet", 2));
        let weight = weights.weight("w").unwrap();
        assert_eq!([weight.read().unwrap().how(), weight.read().unwrap().how()], [Acquired::Fill, Acquired::Hit]);
    };
    life();
    let before = (count("/proc/self/fd"), maps());
    (0..1000).for_each(|_| life());
    let after = (count("/proc/self/fd"), maps());
    assert!(after.0 <= before.0 + 8 && after.1 <= before.1 + 40, "{before:?} {after:?}");
    assert_eq!(budget.used(), 0);
}
