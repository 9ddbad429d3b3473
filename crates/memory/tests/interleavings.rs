//! The concurrent parts under every kind of schedule: `cargo test -p kiln-memory --features shuttle --test interleavings`.
#![cfg(feature = "shuttle")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use kiln_memory::{
    Budget, Kind, ProviderError, Schedule,
    pager::Pager,
    provider::{Arena, HostSegments, HostVm},
    testing::{Call, Faulty, ReadAhead},
};
use shuttle::thread;
use std::sync::Arc;
use support::{Dice, Model};

const PAGE: usize = 4096;

fn explore(test: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(test, 1500);
}

#[test]
fn threads_on_shared_models_read_what_they_asked_for_and_leave_the_books_right() {
    explore(|| {
        let budget = Budget::new("host", 3 * PAGE as u64);
        let pager = Pager::new(HostVm::with_capacity(3 * PAGE), u64::MAX);
        pager.set_schedule(Schedule::new().then("a", 2).then("b", 2));
        let models =
            Arc::new([1, 2].map(|id| Model::new(&pager, &budget, ["a", "b"][id as usize - 1], id, &[PAGE; 3])));
        let threads: Vec<_> = (0..3u64)
            .map(|t| {
                let models = models.clone();
                thread::spawn(move || {
                    let mut dice = Dice(t + 1);
                    let mut held = None;
                    for _ in 0..6 {
                        let model = &models[dice.below(2)];
                        held = model.acquire(dice.below(3), u64::from(dice.one_in(4)));
                    }
                    drop(held);
                })
            })
            .collect();
        pager.reclaimer().reclaim(PAGE as u64);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((pager.audit(), pager.pinned()), (vec![], 0));
        assert!(pager.resident() <= budget.limit());
        drop(models);
        assert_eq!((pager.resident(), pager.provider().regions(), budget.used()), (0, 0, 0));
    });
}

#[test]
fn a_model_dropped_while_others_read_goes_exactly_once() {
    explore(|| {
        let budget = Budget::unlimited("host");
        let pager = Pager::new(HostVm::new(), 2 * PAGE as u64);
        let model = Arc::new(Model::new(&pager, &budget, "a", 1, &[PAGE; 3]));
        let readers: Vec<_> = (0..2)
            .map(|t| {
                let model = model.clone();
                thread::spawn(move || (0..3).filter_map(|u| model.acquire((u + t) % 3, 0)).reduce(|_, later| later))
            })
            .collect();
        drop(model);
        let pins: Vec<_> = readers.into_iter().filter_map(|r| r.join().unwrap()).collect();
        drop(pins);
        assert_eq!((pager.resident(), pager.provider().regions(), budget.used()), (0, 0, 0));
    });
}

#[test]
fn limits_and_activations_move_while_models_run() {
    explore(|| {
        let budget = Budget::new("host", 6 * PAGE as u64);
        let pager = Pager::new(HostVm::new(), u64::MAX);
        budget.add_reclaimer(Arc::downgrade(&pager.reclaimer()));
        let model = Arc::new(Model::new(&pager, &budget, "a", 1, &[PAGE; 4]));
        let runner = {
            let model = model.clone();
            thread::spawn(move || (0..2).for_each(|_| _ = model.pass()))
        };
        let claimed = budget.account("vae", Kind::Activations).claim(5 * PAGE as u64);
        pager.set_limit(PAGE as u64);
        runner.join().unwrap();
        drop(claimed);
        assert!(pager.resident() <= PAGE as u64);
        assert!(pager.audit().is_empty());
    });
}

#[test]
fn what_is_brought_ahead_is_what_was_asked_for_and_the_worker_always_ends() {
    explore(|| {
        let ahead = ReadAhead::new(2, |job: &u32| (!job.is_multiple_of(3)).then_some(job * 10)).unwrap();
        ahead.set_order([1, 2, 3, 4, 5], true);
        for pass in 0..2 {
            for job in [1, 2, 3, 4, 5] {
                if let Some(got) = ahead.take(&job) {
                    assert_eq!(got, job * 10);
                }
            }
            ahead.set_again(pass == 0);
        }
        ahead.set_order([7, 8], false);
        assert!(ahead.take(&8).is_none_or(|got| got == 80));
    });
}

#[test]
fn reservations_never_exceed_the_limit_and_the_books_of_a_budget_balance() {
    explore(|| {
        let budget = Budget::new("host", 10);
        let threads: Vec<_> = (0..3u64)
            .map(|t| {
                let budget = budget.clone();
                thread::spawn(move || {
                    let account = budget.account(["a", "b"][(t % 2) as usize], Kind::Outputs);
                    for bytes in [4, 5, 3] {
                        let mut held = account.try_reserve(bytes);
                        assert!(budget.used() <= 10);
                        if let Some(held) = &mut held {
                            held.shrink_to(bytes - 1);
                        }
                        drop(account.claim(2));
                    }
                })
            })
            .collect();
        assert!(budget.report().used <= 10);
        for thread in threads {
            thread.join().unwrap();
        }
        let report = budget.report();
        assert_eq!((budget.used(), report.rows.iter().map(|row| row.used).sum::<u64>()), (0, 0));
        assert!(budget.peak() <= 10 && budget.peak() > 0);
    });
}

#[test]
fn a_device_lost_in_the_middle_comes_back_empty_for_every_thread() {
    explore(|| {
        let budget = Budget::unlimited("device");
        // The fourth copy finds the device gone; it is back the second time it is asked for.
        let rule = |n: u64, call| match call {
            Call::Upload if n == 7 => Some(ProviderError::DeviceLost),
            Call::Recover => n.is_multiple_of(2).then_some(ProviderError::DeviceLost),
            _ => None,
        };
        let vm = Arc::new(HostVm::new());
        let pager = Pager::new(Faulty::with(vm.clone(), rule), 1 << 20);
        let model = Arc::new(Model::new(&pager, &budget, "a", 1, &[PAGE; 3]));
        let threads: Vec<_> = (0..2)
            .map(|t| {
                let model = model.clone();
                thread::spawn(move || {
                    let held = model.acquire(t, 0);
                    (0..4).for_each(|u| drop(model.acquire((u + t) % 3, 0)));
                    drop(held);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(pager.audit().is_empty() && pager.pinned() == 0);
        drop(model);
        assert_eq!((pager.resident(), vm.regions(), vm.committed(), budget.used()), (0, 0, 0, 0));
    });
}

#[test]
fn while_one_thread_captures_others_change_limits_and_drop_models_and_nothing_moves_until_it_ends() {
    explore(|| {
        let budget = Budget::unlimited("device");
        let vm = Arc::new(HostVm::new());
        let arena = Arena::with_segments(HostSegments::new(vm.clone()), 1 << 20, 2 * PAGE);
        let pager = Pager::new(arena, 1 << 20);
        let model = Model::new(&pager, &budget, "a", 1, &[PAGE; 3]);
        model.pass();
        let capture = pager.freeze();
        let other = {
            let pager = pager.clone();
            thread::spawn(move || {
                pager.set_limit(PAGE as u64);
                pager.reclaimer().reclaim(2 * PAGE as u64);
            })
        };
        drop(model);
        assert_eq!(pager.resident(), 3 * PAGE as u64);
        drop(capture);
        other.join().unwrap();
        assert_eq!((pager.resident(), pager.audit(), budget.used()), (0, vec![], 0));
        pager.set_limit(0);
        assert_eq!((vm.regions(), vm.committed()), (0, 0));
    });
}
