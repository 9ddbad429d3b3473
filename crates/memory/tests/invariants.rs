//! The pager's invariants, by number as in ARCHITECTURE's memory section, each as a sentence.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use kiln_memory::{
    Budget, Call, ContentKey, Delayed, Faulty, HostVm, Kind, Lease, Pager, Pin, Policy, Provider, Schedule, Tally,
    process_memory,
};
use std::{collections::HashMap, sync::Arc};
use support::{Dice, Model};

const PAGE: usize = 4096;

fn page_count(pager: &Pager<impl Provider>) -> u64 {
    pager.provider().page_size() as u64
}

/// Random registrations, acquisitions, releases, limits, policies and drops; the books are audited after each.
fn random_life<P: Provider>(seed: u64, provider: P, committed: impl Fn(&P) -> usize, regions: impl Fn(&P) -> usize) {
    let mut dice = Dice(seed);
    let budget = Budget::new("host", 24 * PAGE as u64);
    let pager = Pager::new(provider, 24 * PAGE as u64);
    budget.add_reclaimer(Arc::downgrade(&pager.reclaimer()));
    let mut models: Vec<Model<P>> = Vec::new();
    let mut pins: Vec<Pin<P>> = Vec::new();
    let mut version: HashMap<(u64, usize), u64> = HashMap::new();
    let mut next = 0;
    for _ in 0..1500 {
        match dice.below(14) {
            0 if models.len() < 4 => {
                let sizes: Vec<usize> = (0..=dice.below(12)).map(|_| 1 + dice.below(3 * PAGE)).collect();
                next += 1;
                models.push(Model::new(&pager, &budget, &format!("m{}", next % 5), next, &sizes));
            }
            1 if models.len() > 1 && dice.one_in(8) => drop(models.swap_remove(dice.below(models.len()))),
            2 => pager.set_limit((dice.below(30) * PAGE) as u64),
            3 if dice.one_in(4) => {
                let all = [Policy::Plan, Policy::Watermark, Policy::Lru, Policy::AllResident, Policy::None];
                pager.set_policy(all[dice.below(5)]);
            }
            4 if dice.one_in(4) => {
                let runs = (0..dice.below(5))
                    .fold(Schedule::new(), |s, _| s.then(format!("m{}", dice.below(5)), 1 + dice.below(3) as u32));
                pager.set_schedule(if dice.one_in(2) { runs.repeating() } else { runs });
            }
            5 if dice.one_in(8) => budget.set_limit((8 + dice.below(20) as u64) * PAGE as u64),
            6..=10 if !models.is_empty() => {
                let model = &models[dice.below(models.len())];
                let unit = dice.below(model.units.len());
                let v = version.entry((model.id, unit)).or_default();
                *v += u64::from(dice.one_in(6));
                pins.extend(model.acquire(unit, *v));
            }
            _ if !pins.is_empty() => drop(pins.swap_remove(dice.below(pins.len()))),
            _ => {}
        }
        assert_eq!(pager.audit(), Vec::<String>::new());
        assert_eq!(
            committed(pager.provider()) as u64,
            pager.resident(),
            "1: committed = resident = the provider's count"
        );
        assert_eq!(budget.used(), pager.resident());
        let allowed = pager.limit().min(budget.limit());
        assert!(pager.resident() <= allowed || pager.resident() == pager.pinned(), "2: above the limit only by pins");
    }
    drop(pins);
    drop(models);
    assert_eq!(
        (pager.resident(), committed(pager.provider()), regions(pager.provider()), budget.used()),
        (0, 0, 0, 0),
        "3"
    );
}

#[test]
fn i01_i02_i03_i05_i06_i07_i08_hold_over_random_lives() {
    for seed in 1..=40 {
        random_life(seed, HostVm::with_capacity(24 * PAGE), HostVm::committed, HostVm::regions);
    }
}

#[test]
fn i01_to_i08_hold_when_commits_and_copies_fail() {
    for seed in 1..=30 {
        let vm = HostVm::with_capacity(24 * PAGE);
        let provider = Faulty::new(vm, move |n, call| call != Call::Reserve && (n * 7 + seed) % 5 == 0);
        random_life(seed, provider, |p| p.inner().committed(), |p| p.inner().regions());
    }
}

#[test]
fn i09_pages_go_only_after_the_last_readers_fence_and_the_last_writers_ticket() {
    for seed in 1..=30 {
        let provider = Delayed::new(HostVm::with_capacity(24 * PAGE));
        random_life(
            seed,
            provider,
            |p| {
                assert_eq!(p.violations(), 0);
                p.inner().committed()
            },
            |p| p.inner().regions(),
        );
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

#[test]
fn i13_acquire_answers_stream_and_never_out_of_memory() {
    let budget = Budget::unlimited("host");
    for (pager_limit, provider) in [(0, HostVm::new()), (1 << 30, HostVm::with_capacity(0))] {
        let pager = Pager::new(provider, pager_limit);
        let model = Model::new(&pager, &budget, "m", 1, &[PAGE, 5 * PAGE]);
        assert!(matches!(model.vbar.acquire(model.units[1], ContentKey(1)), Lease::Stream));
    }
    let pager = Pager::new(HostVm::new(), 1 << 30);
    let model = Model::new(&pager, &Budget::new("host", 0), "m", 1, &[PAGE]);
    assert!(matches!(model.vbar.acquire(model.units[0], ContentKey(1)), Lease::Stream));
}

#[test]
fn i15_a_failure_at_any_call_changes_where_bytes_are_and_not_what_they_are() {
    let run = |fail_at: u64| {
        let provider = Faulty::new(HostVm::new(), move |n, call| n == fail_at && call != Call::Reserve);
        let pager = Pager::new(provider, 6 * PAGE as u64);
        let model = Model::new(&pager, &Budget::unlimited("host"), "m", 1, &[PAGE; 9]);
        for _ in 0..3 {
            model.pass(); // checks every byte it sees
        }
        assert!(pager.audit().is_empty());
    };
    (0..40).for_each(run);
}

#[test]
fn i16_lowering_the_limit_converges_and_raising_it_grows_back_within_one_pass() {
    let budget = Budget::unlimited("host");
    let pager = Pager::new(HostVm::new(), 64 * PAGE as u64);
    pager.set_schedule(Schedule::new().then("m", 20));
    let model = Model::new(&pager, &budget, "m", 1, &[PAGE; 20]);
    model.pass();
    let pins: Vec<_> = (0..4).filter_map(|u| model.acquire(u, 0)).collect();
    pager.set_limit(2 * PAGE as u64);
    assert_eq!(pager.resident(), 4 * PAGE as u64, "only what is pinned");
    drop(pins);
    assert!(pager.resident() <= 2 * PAGE as u64);
    pager.set_limit(64 * PAGE as u64);
    model.pass();
    assert_eq!((pager.resident(), model.pass()), (20 * PAGE as u64, 0));
}

#[test]
fn i17_many_threads_on_few_bytes_neither_deadlock_nor_read_what_is_not_theirs() {
    let budget = Budget::new("host", 12 * PAGE as u64);
    let pager = Pager::new(HostVm::with_capacity(12 * PAGE), 12 * PAGE as u64);
    let models: Vec<_> = (0..3).map(|m| Model::new(&pager, &budget, &format!("m{m}"), m, &[PAGE; 8])).collect();
    std::thread::scope(|s| {
        for t in 0..4u64 {
            let (models, pager) = (&models, &pager);
            s.spawn(move || {
                let mut dice = Dice(t + 1);
                let mut pins = Vec::new();
                for i in 0..8_000 {
                    if dice.one_in(3) {
                        pins.clear();
                    }
                    let model = &models[dice.below(3)];
                    pins.extend(model.acquire(dice.below(8), u64::from(dice.one_in(9))));
                    if i % 500 == 0 {
                        pager.set_limit(((4 + dice.below(10)) * PAGE) as u64);
                    }
                }
            });
        }
    });
    assert_eq!((pager.audit(), pager.pinned()), (vec![], 0));
    drop(models);
    assert_eq!((pager.resident(), pager.provider().committed(), budget.used()), (0, 0, 0));
}

#[test]
fn i18_stopping_anywhere_leaves_the_books_right_and_the_next_prompt_unchanged() {
    let budget = Budget::unlimited("host");
    let pager = Pager::new(HostVm::new(), 6 * PAGE as u64);
    let model = Arc::new(Model::new(&pager, &budget, "m", 1, &[PAGE; 9]));
    for stop in 0..9 {
        let m = model.clone();
        let stopped = std::thread::spawn(move || {
            let _held: Vec<_> = (0..=stop).filter_map(|u| m.acquire(u, 0)).collect();
            std::panic::resume_unwind(Box::new("cancelled"));
        });
        assert!(stopped.join().is_err());
        assert_eq!((pager.audit(), pager.pinned()), (vec![], 0));
        model.pass();
    }
}

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
fn planned(pager: &Pager<Tally>, name: &str, n: usize, size: usize) -> Model<Tally> {
    let sizes: Vec<usize> = (0..n).map(|i| size + (i * 7919) % (size / 4)).collect();
    Model::new(pager, &Budget::unlimited("device"), name, 1, &sizes)
}

const UNIT: usize = 1 << 20;

fn size_of(model: &Model<Tally>, pager: &Pager<Tally>) -> u64 {
    pager.describe().rows.iter().find(|r| r.units.len() == model.units.len()).unwrap().total
}

#[test]
fn i20_a_loop_over_more_than_fits_moves_what_does_not_fit_and_the_ring() {
    for share in [0.25, 0.5, 0.8, 0.95] {
        let pager = Pager::new(Tally::default(), u64::MAX);
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
        let pager = Pager::new(Tally::default(), 30 * UNIT as u64);
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
    let pager = Pager::new(Tally::default(), (limit_units * UNIT) as u64);
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
    let pager = Pager::new(Tally::default(), 40 * UNIT as u64);
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
        let pager = Pager::new(Tally::default(), 20 * UNIT as u64);
        let model = planned(&pager, "m", 50, UNIT);
        (0..3).for_each(|_| _ = model.pass());
        pager.describe()
    };
    assert_eq!(map(0), map(1));
}

#[test]
fn i27_streamed_units_lie_evenly_between_those_that_stay() {
    let pager = Pager::new(Tally::default(), 32 * UNIT as u64);
    pager.set_schedule(Schedule::new().then("m", 20));
    let model = Model::new(&pager, &Budget::unlimited("device"), "m", 1, &[UNIT; 60]);
    (0..3).for_each(|_| _ = model.pass());
    let units = pager.describe().rows[0].units.clone();
    assert_eq!(units.matches('-').count(), 30, "{units}");
    assert!(!units.contains("--") && !units.contains("##"), "{units}");
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

#[test]
fn activations_take_what_weights_hold_and_residency_grows_back_after() {
    let budget = Budget::new("host", 20 * PAGE as u64);
    let pager = Pager::new(HostVm::new(), u64::MAX);
    budget.add_reclaimer(Arc::downgrade(&pager.reclaimer()));
    pager.set_schedule(Schedule::new().then("m", 20));
    let model = Model::new(&pager, &budget, "m", 1, &[PAGE; 16]);
    model.pass();
    let peak = budget.account("vae", Kind::Activations).claim(12 * PAGE as u64).unwrap();
    assert_eq!(pager.resident(), 8 * PAGE as u64);
    model.pass();
    assert!(budget.used() <= budget.limit());
    drop(peak);
    model.pass();
    assert_eq!((pager.resident(), model.pass()), (16 * PAGE as u64, 0));
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
    assert_eq!(page_count(&pager), PAGE as u64);
}
