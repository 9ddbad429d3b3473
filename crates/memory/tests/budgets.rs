//! Who holds what, who gives way, and what a refusal says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln_memory::{Budget, Kind, Reclaim, Reservation, human_bytes};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

const MIB: u64 = 1 << 20;

#[test]
fn a_dropped_reservation_gives_its_bytes_back() {
    let budget = Budget::new("host", 10 * MIB);
    let account = budget.account("unet", Kind::Weights);
    let mut a = account.try_reserve(6 * MIB).unwrap();
    assert!(account.try_reserve(5 * MIB).is_none());
    a.shrink_to(2 * MIB);
    let b = account.try_reserve(8 * MIB).unwrap();
    assert_eq!((budget.used(), budget.free()), (10 * MIB, 0));
    drop((a, b));
    assert_eq!((budget.used(), budget.peak()), (0, 10 * MIB));
}

#[test]
fn running_out_names_the_top_owners_and_what_would_free_them() {
    let budget = Budget::new("host memory", 8 * MIB);
    let _w = budget.account("unet", Kind::Weights).try_reserve(5 * MIB).unwrap();
    let _o = budget.account("VAEDecode \"8\"", Kind::Outputs).try_reserve(2 * MIB).unwrap();
    let error = budget.account("KSampler \"3\"", Kind::Activations).claim(4 * MIB).unwrap_err();
    assert_eq!(
        error.to_string(),
        "host memory: KSampler \"3\" asked for 4.0 MiB of activations, 1.0 MiB of 8.0 MiB are free; \
         held by unet (weights, 5.0 MiB), VAEDecode \"8\" (outputs, 2.0 MiB); \
         to free some: a layer's end (these weights are in use), fewer results kept at once"
    );
}

#[test]
fn the_report_is_a_table_with_peaks() {
    let budget = Budget::new("host", 1 << 30);
    let a = budget.account("unet", Kind::Weights).try_reserve(3 * MIB).unwrap();
    let _b = budget.account("clip", Kind::Weights).try_reserve(MIB).unwrap();
    drop(a);
    assert_eq!(
        budget.report().to_string(),
        "host                        now        peak\n\
         clip    weights         1.0 MiB     1.0 MiB\n\
         unet    weights             0 B     3.0 MiB\n\
         total                   1.0 MiB     4.0 MiB  of 1.0 GiB"
    );
    budget.reset_peaks();
    assert_eq!((budget.peak(), budget.report().rows.len()), (MIB, 1));
}

/// Holds reservations and drops them when asked.
struct Holds(Kind, Mutex<Vec<Reservation>>, AtomicU64);

impl Reclaim for Holds {
    fn kind(&self) -> Kind {
        self.0
    }
    fn reclaim(&self, bytes: u64) -> u64 {
        self.2.fetch_add(1, Ordering::Relaxed);
        let (mut freed, mut held) = (0, self.1.lock().unwrap());
        while freed < bytes
            && let Some(r) = held.pop()
        {
            freed += r.bytes();
        }
        freed
    }
}

fn owner(budget: &Arc<Budget>, kind: Kind, pieces: u64) -> Arc<Holds> {
    let account = budget.account("owner", kind);
    let held = (0..pieces).map(|_| account.try_reserve(MIB).unwrap()).collect();
    let holds = Arc::new(Holds(kind, Mutex::new(held), AtomicU64::new(0)));
    let weak: std::sync::Weak<Holds> = Arc::downgrade(&holds);
    budget.add_reclaimer(weak);
    holds
}

#[test]
fn activations_win_over_weights_and_caches_go_first() {
    let budget = Budget::new("host", 10 * MIB);
    let weights = owner(&budget, Kind::Weights, 6);
    let cache = owner(&budget, Kind::Cache, 2);
    let activations = budget.account("vae", Kind::Activations);
    let first = activations.claim(4 * MIB).unwrap();
    assert_eq!((cache.1.lock().unwrap().len(), weights.1.lock().unwrap().len()), (0, 6));
    let second = activations.claim(5 * MIB).unwrap();
    assert_eq!(weights.1.lock().unwrap().len(), 1);
    assert!(activations.claim(2 * MIB).is_err());
    drop((first, second));
}

#[test]
fn a_weight_asking_for_room_evicts_nobody() {
    let budget = Budget::new("host", 4 * MIB);
    let weights = owner(&budget, Kind::Weights, 4);
    assert!(budget.account("other", Kind::Weights).try_reserve(MIB).is_none());
    assert!(budget.account("other", Kind::Weights).claim(MIB).is_err());
    assert_eq!(weights.2.load(Ordering::Relaxed), 0);
}

#[test]
fn lowering_the_limit_asks_for_bytes_back() {
    let budget = Budget::new("host", 10 * MIB);
    let weights = owner(&budget, Kind::Weights, 8);
    budget.set_limit(3 * MIB);
    assert_eq!((budget.used(), weights.1.lock().unwrap().len()), (3 * MIB, 3));
}

#[test]
fn what_is_there_already_is_counted_even_beyond_the_limit() {
    let budget = Budget::new("host", MIB);
    let r = budget.account("image", Kind::Outputs).take(3 * MIB);
    assert_eq!((budget.used(), budget.free()), (3 * MIB, 0));
    drop(r);
    assert_eq!(budget.used(), 0);
}

#[test]
fn counting_from_many_threads_neither_drifts_nor_exceeds_the_limit() {
    let budget = Budget::new("host", 100);
    std::thread::scope(|s| {
        for t in 0..4u64 {
            let budget = budget.clone();
            s.spawn(move || {
                let account = budget.account(&format!("t{}", t % 2), Kind::Weights);
                for i in 0..20_000u64 {
                    let r = account.try_reserve(1 + (i * 7 + t) % 60);
                    assert!(budget.used() <= 100);
                    drop(r);
                }
            });
        }
    });
    assert_eq!(budget.used(), 0);
    assert!(budget.peak() <= 100);
    assert!(budget.report().rows.iter().all(|r| r.used == 0));
}

#[test]
fn owners_that_come_and_go_by_the_thousand_are_not_remembered_forever() {
    let budget = Budget::unlimited("host");
    for i in 0..10_000 {
        drop(budget.account(&format!("node {i}"), Kind::Outputs).try_reserve(8));
    }
    assert!(budget.report().rows.len() <= 512);
}

#[test]
fn sizes_read_as_people_write_them() {
    assert_eq!([0, 1023, 1536, 3 << 30].map(human_bytes), ["0 B", "1023 B", "1.5 KiB", "3.0 GiB"]);
}
