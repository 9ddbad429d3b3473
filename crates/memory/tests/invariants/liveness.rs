//! Invariants 13 to 18: memory is never the reason to fail, and nothing waits forever.

use crate::{
    PAGE,
    support::{Dice, Model},
};
use kiln_memory::{
    Budget, Kind, Schedule,
    pager::{Acquisition, ContentKey, Pager},
    provider::HostVm,
    testing::{Call, Faulty},
};
use std::sync::Arc;

#[test]
fn i13_acquire_answers_stream_and_never_out_of_memory() {
    let budget = Budget::unlimited("host");
    for (pager_limit, provider) in [(0, HostVm::new()), (1 << 30, HostVm::with_capacity(0))] {
        let pager = Pager::new(provider, pager_limit);
        let model = Model::new(&pager, &budget, "m", 1, &[PAGE, 5 * PAGE]);
        assert!(matches!(model.vbar.acquire(model.units[1], ContentKey(1)), Acquisition::Stream));
    }
    let pager = Pager::new(HostVm::new(), 1 << 30);
    let model = Model::new(&pager, &Budget::new("host", 0), "m", 1, &[PAGE]);
    assert!(matches!(model.vbar.acquire(model.units[0], ContentKey(1)), Acquisition::Stream));
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
