//! A limit on the whole process: what it holds beside the budget is taken from what weights may keep. Alone in its program,
//! for its memory is what is measured.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use kiln_memory::{Budget, ComputedSource, Kind, PressureMonitor, Schedule, Weights, process_memory};

const MIB: u64 = 1 << 20;
const TENSORS: usize = 24;
/// Of each tensor as f32.
const BYTES: u64 = 8 * MIB;

fn pass(weights: &Weights) {
    for i in 0..TENSORS {
        assert_eq!(weights.weight(&i.to_string()).unwrap().read().unwrap()[7], 1.0);
    }
}

#[test]
fn what_the_process_holds_beside_the_budget_is_taken_from_what_weights_keep() {
    let limit = 200 * MIB;
    let budget = Budget::new("host", limit);
    let monitor = PressureMonitor::new(budget.clone(), 0).counting_the_process();
    let shapes = (0..TENSORS).map(|i| (i.to_string(), vec![(BYTES / 4) as usize]));
    let weights = Weights::new(ComputedSource::new("ones", shapes, |_, _, out| out.fill(1.0)), "unet", &budget);
    weights.pager().set_slots(0);
    weights.pager().set_schedule(Schedule::new().then("unet", 100));
    let settle = || {
        monitor.count_the_process();
        (0..3).for_each(|_| pass(&weights));
        monitor.count_the_process();
        let own = process_memory().unwrap().anonymous;
        assert!(own <= limit + 2 * BYTES, "{} MiB in the process", own / MIB);
        weights.pager().resident()
    };

    let alone = settle();
    assert!(alone > 100 * MIB && alone < limit, "{} MiB", alone / MIB);
    let ballast = vec![1u8; (64 * MIB) as usize];
    let beside = settle();
    let given = alone - beside;
    assert!((64 * MIB).abs_diff(given) <= 2 * BYTES, "{} MiB gave way to 64", given / MIB);
    assert!(budget.report().rows.iter().any(|row| &*row.owner == "the rest of the process" && row.used > 64 * MIB));

    // A cache has that much less, too.
    assert!(budget.account("results", Kind::Cache).try_reserve(limit - beside - 32 * MIB).is_none());

    assert_eq!(std::hint::black_box(&ballast)[12345], 1);
    drop(ballast);
    let again = settle();
    assert!(alone.abs_diff(again) <= 2 * BYTES, "{} MiB before, {} after", alone / MIB, again / MIB);

    // More than the limit beside it: nothing stays, and every weight can be used all the same.
    let ballast = vec![1u8; (220 * MIB) as usize];
    monitor.count_the_process();
    pass(&weights);
    assert_eq!(weights.pager().resident(), 0);
    assert_eq!(std::hint::black_box(&ballast)[12345], 1);
}

#[test]
fn room_that_a_computation_has_not_filled_yet_is_not_taken_for_the_rest_of_the_process() {
    let budget = Budget::new("host", 1000 * MIB);
    let monitor = PressureMonitor::new(budget.clone(), 0).counting_the_process();
    monitor.measure(100 * MIB);
    assert_eq!(budget.used(), 100 * MIB);
    let room = budget.account("sampling", Kind::Activations).claim(500 * MIB).unwrap();
    monitor.measure(150 * MIB);
    assert_eq!(budget.used(), 600 * MIB, "50 of its 500 are filled");
    monitor.measure(650 * MIB);
    assert_eq!(budget.used(), 650 * MIB, "it took more than it said");
    drop(room);
    monitor.measure(120 * MIB);
    assert_eq!(budget.used(), 120 * MIB);
}
