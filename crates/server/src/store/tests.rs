//! What is kept, and what is left of it after the end of a process.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::bounds::Bounds;
use super::change::{Change, Ended, Waiting};
use super::file;
use super::handle::Store;
use super::snapshot::{Page, Row};
use super::writer::Writer;

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

#[tokio::test]
async fn pages_count_from_the_oldest_or_hold_the_newest() {
    let store = Store::open(None, Bounds { entries: 4, bytes: 1000 }).unwrap();
    for id in ["a", "b", "c", "d", "e"] {
        store.keep(ended(id, 2)).await.unwrap();
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

#[tokio::test]
async fn the_history_is_bounded_by_bytes_and_keeps_the_newest() {
    let store = Store::open(None, Bounds { entries: 100, bytes: 100 }).unwrap();
    for (id, size, left) in [("a", 40, "a"), ("b", 40, "ab"), ("c", 40, "bc"), ("b", 50, "cb"), ("d", 500, "d")] {
        store.keep(ended(id, size)).await.unwrap();
        assert_eq!(ids(&store, None, None), left);
    }
    assert_eq!(store.snapshot().unwrap().size().unwrap(), (1, 500));
    store.keep(Change::Forget(None)).await.unwrap();
    assert_eq!(store.snapshot().unwrap().size().unwrap(), (0, 0));
}

#[tokio::test]
async fn a_closed_file_has_everything_and_a_second_server_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = Bounds { entries: 9, bytes: 900 };
    let store = Store::open(Some(folder.path()), bounds).unwrap();
    for place in 0..3 {
        let waiting = Waiting { place, text: place.to_string() };
        store.keep(Change::Put { waiting, next_number: place + 5 }).await.unwrap();
    }
    store.keep(Change::Begin(1)).await.unwrap();
    store.keep(Change::Remove(vec![0])).await.unwrap();
    store.keep(ended("a", 3)).await.unwrap();
    store.keep(Change::Pause(true)).await.unwrap();
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
    let database = Arc::new(file::open(Some(folder.path())).unwrap());
    let (journal, _) = file::journal(folder.path(), &database).unwrap();
    let mut writer = Writer { database, journal: Some(journal), bounds, since: None };
    let put = |place: u64| {
        let waiting = Waiting { place, text: place.to_string() };
        Change::Put { waiting, next_number: place + 1 }
    };
    writer.commit([put(0), put(1)].iter()).unwrap();
    writer.settle();
    writer.commit([put(2), Change::Begin(1), ended("a", 3)].iter()).unwrap();
    for file in ["kiln.redb", "kiln.journal"] {
        std::fs::copy(folder.path().join(file), killed.path().join(file)).unwrap();
    }
    let after = Store::open(Some(killed.path()), bounds).unwrap().snapshot().unwrap();
    assert_eq!(after.waiting().unwrap(), [(1, b"1".to_vec(), 1), (2, b"2".to_vec(), 0)]);
    assert_eq!((after.entry("a").unwrap().as_deref(), after.next_number().unwrap()), (Some("xxx"), 3));
    assert_eq!(std::fs::metadata(killed.path().join("kiln.journal")).unwrap().len(), 0);
}
