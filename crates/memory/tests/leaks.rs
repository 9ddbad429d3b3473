//! A thousand random runs, and then everything is as it was: bytes, mappings, descriptors, threads, resident size. Alone
//! in its program: it counts what the process has.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use kiln_memory::{
    Budget, Dtype, Kind, MemoryError, Patch, PatchSet, PressureMonitor, Reading, Residency, Rounding, Schedule,
    WeightFile, Weights, process_memory,
};
use std::{path::PathBuf, sync::Arc};
use support::{Dice, files};

const TENSORS: usize = 12;
const ELEMENTS: usize = 8 << 10;

/// Adds a number; refuses one tensor in some runs.
struct Add(f32, bool);

impl Patch for Add {
    fn name(&self) -> String {
        "add".into()
    }
    fn key(&self) -> u128 {
        u128::from(self.0.to_bits()) << 1 | u128::from(self.1)
    }
    fn apply(&self, _: &[usize], values: &mut [f32]) -> Result<(), String> {
        if self.1 {
            return Err("refused".into());
        }
        for v in values {
            *v += self.0;
        }
        Ok(())
    }
}

/// Two models over one of the files, under random limits and options, for a few passes; it may stop anywhere.
fn run(dice: &mut Dice, files: &[PathBuf], budget: &Arc<Budget>) {
    let path = &files[dice.below(files.len())];
    let file = WeightFile::open(path).unwrap();
    file.set_reading([Reading::Auto, Reading::Cached, Reading::PastCache][dice.below(3)]);
    let model = |name: &str, dice: &mut Dice| {
        let weights = Weights::shared(file.clone(), name, budget);
        let weights = if dice.one_in(8) { weights.with_residency(Residency::Never) } else { weights };
        let weights = if dice.one_in(4) { weights.with_rounding(Rounding::F16) } else { weights };
        if dice.one_in(6) { weights.with_pinned_slots(1 << 16) } else { weights }
    };
    let (clip, unet) = (model("clip", dice), model("unet", dice));
    let passes = 1 + dice.below(4);
    unet.pager().set_slots(dice.below(4) as u64);
    unet.pager().set_schedule(Schedule::new().then("clip", 1).then("unet", passes as u32).repeating());
    budget.set_limit((dice.below(30) * ELEMENTS * 4 / 2) as u64);
    let mut set = PatchSet::new();
    let refusing = dice.one_in(10);
    set.add(dice.below(TENSORS).to_string(), Add(1.0, refusing));
    let patched = if dice.one_in(2) { unet.patched(set) } else { unet.clone() };
    let pressure_monitor = PressureMonitor::new(budget.clone(), 0);
    let stop = dice.below(TENSORS * (passes + 2));
    let mut held = Vec::new();
    let uses = std::iter::once(&clip).chain(std::iter::repeat_n(&patched, passes));
    for (n, (weights, i)) in uses.flat_map(|w| (0..TENSORS).map(move |i| (w, i))).enumerate() {
        if n == stop {
            break;
        }
        match weights.weight(&i.to_string()).unwrap().read() {
            Ok(values) => {
                let expected = files::value(i, 100);
                assert!(values[100] == expected || values[100] == expected + 1.0);
                held.push(values);
            }
            Err(error) => assert!(refusing && matches!(error, MemoryError::Patch { .. }), "{error}"),
        }
        if dice.one_in(3) {
            held.clear();
        }
        if dice.one_in(20) {
            drop(budget.account("vae", Kind::Activations).claim(budget.limit() / 2));
            pressure_monitor.adjust(u64::MAX / 2);
        }
    }
}

#[derive(Debug, PartialEq)]
struct Standing {
    mappings: usize,
    descriptors: usize,
    threads: String,
    anonymous: u64,
}

fn standing() -> Standing {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    Standing {
        mappings: std::fs::read_to_string("/proc/self/maps").unwrap().lines().count(),
        descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
        threads: status.lines().find(|l| l.starts_with("Threads:")).unwrap().to_owned(),
        anonymous: process_memory().unwrap().anonymous,
    }
}

#[test]
fn a_thousand_random_runs_leave_no_bytes_no_mappings_no_descriptors_and_no_threads() {
    let dir = files::folder();
    let kinds = [Dtype::F16, Dtype::F32];
    let files = kinds.map(|dtype| dir.path().join(format!("{dtype}.safetensors")));
    for (dtype, path) in kinds.into_iter().zip(&files) {
        files::write(path, dtype, TENSORS, ELEMENTS);
    }
    let (mut dice, budget) = (Dice(11), Budget::unlimited("host"));
    (0..100).for_each(|_| run(&mut dice, &files, &budget));
    let before = standing();
    for round in 0..1000 {
        run(&mut dice, &files, &budget);
        assert_eq!(budget.used(), 0, "round {round}: {}", budget.report());
    }
    let after = standing();
    assert_eq!((after.descriptors, &after.threads), (before.descriptors, &before.threads));
    // The allocator keeps and splits areas of its own; a leak of one mapping or page per run would be a thousand.
    assert!(after.mappings <= before.mappings + 20, "{before:?}\n{after:?}");
    assert!(after.anonymous <= before.anonymous + (2 << 20), "{before:?}\n{after:?}");
    assert_eq!(budget.report().rows.iter().map(|row| row.used).sum::<u64>(), 0);
}
