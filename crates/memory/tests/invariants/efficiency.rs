//! Invariants 19 to 27: what is moved, by counters and without a clock.

use crate::{
    PAGE,
    support::{Dice, Model},
};
use kiln_memory::{Budget, Policy, Schedule, pager::Pager, provider::HostVm, provider::NullProvider, testing::Faulty};
use std::sync::Arc;

#[test]
fn i19_when_everything_fits_the_second_pass_moves_nothing_and_calls_nobody() {
    let calls = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = calls.clone();
    let provider = Faulty::new(HostVm::new(), move |_, _| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        false
    });
    let pager = Pager::new(provider, 1 << 30);
    let model = Model::new(&pager, &Budget::unlimited("host"), "m", 1, &[3 * PAGE; 30]);
    model.pass();
    let before = calls.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(model.pass(), 0);
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), before);
}

/// A model of `n` units of `size` bytes, planned only.
fn planned(pager: &Pager<NullProvider>, name: &str, n: usize, size: usize) -> Model<NullProvider> {
    let sizes: Vec<usize> = (0..n).map(|i| size + (i * 7919) % (size / 4)).collect();
    Model::new(pager, &Budget::unlimited("device"), name, 1, &sizes)
}

const UNIT: usize = 1 << 20;

fn size_of(model: &Model<NullProvider>, pager: &Pager<NullProvider>) -> u64 {
    pager.describe().rows.iter().find(|r| r.units.len() == model.units.len()).unwrap().total
}

#[test]
fn i20_a_loop_over_more_than_fits_moves_what_does_not_fit_and_the_ring() {
    for share in [0.25, 0.5, 0.8, 0.95] {
        let pager = Pager::new(NullProvider::default(), u64::MAX);
        let model = planned(&pager, "m", 60, UNIT);
        let size = size_of(&model, &pager);
        let limit = (size as f64 * share) as u64;
        pager.set_limit(limit);
        pager.set_schedule(Schedule::new().then("m", 20));
        (0..5).for_each(|_| _ = model.pass());
        let largest = (UNIT + UNIT / 4) as u64;
        assert!(model.pass() <= size - limit + 2 * largest + largest, "{share}");
    }
}

#[test]
fn i21_one_pass_moves_a_unit_at_most_once() {
    for policy in [Policy::Plan, Policy::Watermark, Policy::Lru, Policy::AllResident, Policy::None] {
        let pager = Pager::new(NullProvider::default(), 30 * UNIT as u64);
        pager.set_policy(policy);
        let model = planned(&pager, "m", 60, UNIT);
        for _ in 0..4 {
            let before = model.vbar.counters();
            model.pass();
            let after = model.vbar.counters();
            assert!(after.fills + after.streams - before.fills - before.streams <= 60);
        }
    }
}

/// A few random models under a random schedule; bytes moved over three prompts.
fn prompt_bytes(seed: u64, limit_units: usize, policy: Policy) -> u64 {
    let mut dice = Dice(seed);
    let pager = Pager::new(NullProvider::default(), (limit_units * UNIT) as u64);
    pager.set_policy(policy);
    pager.set_slots(0);
    let names = ["a", "b", "c", "d"];
    let models: Vec<_> = (0..2 + dice.below(3))
        .map(|i| (names[i], planned(&pager, names[i], 5 + dice.below(40), UNIT), 1 + dice.below(6) as u32))
        .collect();
    let schedule = models.iter().fold(Schedule::new(), |s, (name, _, passes)| s.then(*name, *passes)).repeating();
    pager.set_schedule(schedule);
    for _ in 0..3 {
        for (_, model, passes) in &models {
            (0..*passes).for_each(|_| _ = model.pass());
        }
    }
    pager.counters().moved()
}

#[test]
fn i22_the_plan_never_moves_more_than_the_watermark_but_for_a_unit() {
    for seed in 1..=200 {
        let limit = 10 + (seed as usize * 13) % 60;
        let (plan, watermark) = (prompt_bytes(seed, limit, Policy::Plan), prompt_bytes(seed, limit, Policy::Watermark));
        // Both without staging slots.
        let unit = (UNIT + UNIT / 4) as u64;
        assert!(plan <= watermark + unit, "seed {seed}: {} for {}", plan >> 20, watermark >> 20);
    }
}

#[test]
fn i23_more_memory_never_moves_more_bytes() {
    for seed in 1..=25 {
        let mut last = u64::MAX;
        for limit in (8..130).step_by(8) {
            let bytes = prompt_bytes(seed, limit, Policy::Plan);
            assert!(
                bytes <= last.saturating_add(3 * UNIT as u64),
                "seed {seed}, {limit} MiB: {} after {}",
                bytes >> 20,
                last >> 20
            );
            last = bytes;
        }
    }
}

#[test]
fn i24_changing_the_contents_of_k_units_refills_exactly_those() {
    let pager = Pager::new(HostVm::new(), 1 << 30);
    let model = Model::new(&pager, &Budget::unlimited("host"), "m", 1, &[PAGE; 40]);
    model.pass();
    let before = model.vbar.counters();
    for unit in 0..40 {
        drop(model.acquire(unit, u64::from(unit % 13 == 0)));
    }
    let after = model.vbar.counters();
    assert_eq!((after.fills - before.fills, after.streams - before.streams, after.hits - before.hits), (4, 0, 36));
}

#[test]
fn i25_a_model_of_one_pass_evicts_nothing_of_one_with_passes_left() {
    let pager = Pager::new(NullProvider::default(), 40 * UNIT as u64);
    pager.set_schedule(Schedule::new().then("unet", 2).then("upscaler", 1).then("unet", 2).repeating());
    let (unet, upscaler) = (planned(&pager, "unet", 30, UNIT), planned(&pager, "upscaler", 30, UNIT));
    (0..2).for_each(|_| _ = unet.pass());
    let before = unet.vbar.counters().evictions;
    upscaler.pass();
    assert_eq!(unet.vbar.counters().evictions, before);
    assert_eq!((unet.pass(), unet.pass()), (0, 0));
}

#[test]
fn i26_the_same_history_makes_the_same_decisions() {
    for seed in 1..=10 {
        assert_eq!(prompt_bytes(seed, 30, Policy::Plan), prompt_bytes(seed, 30, Policy::Plan));
    }
    let map = |_| {
        let pager = Pager::new(NullProvider::default(), 20 * UNIT as u64);
        let model = planned(&pager, "m", 50, UNIT);
        (0..3).for_each(|_| _ = model.pass());
        pager.describe()
    };
    assert_eq!(map(0), map(1));
}

#[test]
fn i27_streamed_units_lie_evenly_between_those_that_stay() {
    let pager = Pager::new(NullProvider::default(), 32 * UNIT as u64);
    pager.set_schedule(Schedule::new().then("m", 20));
    let model = Model::new(&pager, &Budget::unlimited("device"), "m", 1, &[UNIT; 60]);
    (0..3).for_each(|_| _ = model.pass());
    let units = pager.describe().rows[0].units.clone();
    assert_eq!(units.matches('-').count(), 30, "{units}");
    assert!(!units.contains("--") && !units.contains("##"), "{units}");
}

#[test]
fn i27_what_came_first_moves_to_an_even_spread_without_an_extra_byte() {
    let pager = Pager::new(NullProvider::default(), 32 * UNIT as u64);
    pager.set_policy(Policy::AllResident);
    let model = Model::new(&pager, &Budget::unlimited("device"), "m", 1, &[UNIT; 60]);
    model.pass();
    let front = pager.describe().rows[0].units.clone();
    assert_eq!(front.trim_end_matches(['-', '+']), "#".repeat(32), "{front}");
    pager.set_policy(Policy::Plan);
    pager.set_schedule(Schedule::new().then("m", 20));
    let missing = 28 * UNIT as u64;
    let moved: Vec<u64> = (0..6).map(|_| model.pass()).collect();
    assert!(moved.iter().all(|bytes| *bytes <= missing + 2 * UNIT as u64), "{moved:?}");
    let units = pager.describe().rows[0].units.clone();
    // The room of the two slots, which nothing takes here, is still the front's.
    assert!(!units.contains("--") && !units[4..].contains("##"), "{units}");
}
