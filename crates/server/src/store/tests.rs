//! What is kept, and what is left of it after the end of a process.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::bounds::Bounds;
use super::change::{Change, Ended, Waiting};
use super::file::{self, JOURNALS};
use super::handle::Store;
use super::pending::Pending;
use super::snapshot::{Page, Row};

fn ended(id: &str, size: usize) -> Change {
    Change::End(Box::new(Ended {
        place: 0,
        id: id.into(),
        entry: "x".repeat(size),
        status: "failed".into(),
        created: 7,
        duration: None,
        workflow: Some("w".into()),
        job: format!("job {id}"),
    }))
}

fn ids(store: &Store, offset: Option<usize>, most: Option<usize>) -> String {
    let page = store.snapshot().unwrap().page(Page { offset, most }).unwrap();
    page.iter().map(|(id, _)| &**id).collect()
}

#[test]
fn pages_count_from_the_oldest_or_hold_the_newest() {
    let store = Store::open(None, Bounds { entries: 4, bytes: 1000 }).unwrap();
    for id in ["a", "b", "c", "d", "e"] {
        store.keep(ended(id, 2)).unwrap();
    }
    assert_eq!(ids(&store, None, None), "bcde", "the oldest has gone");
    assert_eq!(ids(&store, Some(0), None), "bcde");
    assert_eq!(ids(&store, None, Some(2)), "de");
    assert_eq!(ids(&store, Some(1), Some(2)), "cd");
    assert_eq!(ids(&store, Some(3), Some(5)), "e");
    assert_eq!(ids(&store, Some(4), None), "");
    assert_eq!(ids(&store, Some(100), Some(2)), "");
    assert_eq!(ids(&store, None, Some(0)), "");
}

#[test]
fn the_history_is_bounded_by_bytes_and_keeps_the_newest() {
    let store = Store::open(None, Bounds { entries: 100, bytes: 100 }).unwrap();
    for (id, size, left) in [("a", 40, "a"), ("b", 40, "ab"), ("c", 40, "bc"), ("b", 50, "cb"), ("d", 500, "d")] {
        store.keep(ended(id, size)).unwrap();
        assert_eq!(ids(&store, None, None), left);
    }
    assert_eq!(store.snapshot().unwrap().size().unwrap(), (1, 500));
    store.keep(Change::Forget(None)).unwrap();
    assert_eq!(store.snapshot().unwrap().size().unwrap(), (0, 0));
}

#[test]
fn a_closed_file_has_everything_and_a_second_server_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = Bounds { entries: 9, bytes: 900 };
    let store = Store::open(Some(folder.path()), bounds).unwrap();
    for place in 0..3 {
        let waiting = Waiting { place, text: place.to_string() };
        store.keep(Change::Put { waiting, next_number: place + 5 }).unwrap();
    }
    store.keep(Change::Begin(1)).unwrap();
    store.keep(Change::Remove(vec![0])).unwrap();
    store.keep(ended("a", 3)).unwrap();
    store.keep(Change::Pause(true)).unwrap();
    drop(store);
    let again = Store::open(Some(folder.path()), bounds).unwrap().snapshot().unwrap();
    assert_eq!(again.waiting().unwrap(), [(1, b"1".to_vec(), 1), (2, b"2".to_vec(), 0)]);
    assert_eq!((again.next_number().unwrap(), again.is_paused().unwrap()), (7, true));
    assert_eq!(again.entry("a").unwrap().as_deref(), Some("xxx"));
    assert_eq!(again.job("a").unwrap().as_deref(), Some("job a"));
    let row = Row { serial: 0, status: "failed", created: 7, duration: None, workflow: Some("w".into()) };
    assert_eq!(again.rows().unwrap(), [row]);
}

#[test]
fn what_the_disks_database_has_not_yet_is_found_in_the_journal() {
    let (folder, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bounds = Bounds { entries: 9, bytes: 900 };
    let database = file::open(Some(folder.path())).unwrap();
    let journal = file::journal(folder.path(), &database).unwrap();
    let pending = Pending::new(database, bounds, Some(journal)).unwrap();
    let put = |place: u64| {
        let waiting = Waiting { place, text: place.to_string() };
        Change::Put { waiting, next_number: place + 1 }
    };
    let keep = |changes: Vec<Change>| changes.into_iter().for_each(|change| _ = pending.keep(change).unwrap());
    keep(vec![put(0), put(1)]);
    pending.settle().unwrap();
    keep(vec![put(2), Change::Begin(1)]);
    // Whoever reads sees it, and the disk's database still has it not.
    assert_eq!(pending.snapshot().unwrap().waiting().unwrap().len(), 3);
    keep(vec![ended("a", 3)]);
    let empty = |folder: &Path| JOURNALS.iter().all(|file| folder.join(file).metadata().unwrap().len() == 0);
    assert!(!empty(folder.path()));
    for file in ["kiln.redb", JOURNALS[0], JOURNALS[1]] {
        std::fs::copy(folder.path().join(file), killed.path().join(file)).unwrap();
    }
    let after = Store::open(Some(killed.path()), bounds).unwrap().snapshot().unwrap();
    assert_eq!(after.waiting().unwrap(), [(1, b"1".to_vec(), 1), (2, b"2".to_vec(), 0)]);
    assert_eq!((after.entry("a").unwrap().as_deref(), after.next_number().unwrap()), (Some("xxx"), 3));
    assert!(empty(killed.path()));
}

#[test]
fn rows_before_a_place_are_those_that_were_there_then() {
    let store = Store::open(None, Bounds { entries: 9, bytes: 900 }).unwrap();
    store.keep(ended("a", 3)).unwrap();
    let then = store.next_entry();
    store.keep(ended("b", 3)).unwrap();
    let rows = |snapshot: super::Snapshot| snapshot.rows().unwrap().len();
    assert_eq!(rows(store.snapshot().unwrap().before(then)), 1);
    assert_eq!(rows(store.snapshot().unwrap()), 2);
}
