//! A disk that stalls: a read is given up after a time, says where, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use kiln_memory::{Budget, Dtype, Kind, MemoryError, Reading, TensorSource, WeightFile, Weights, testing::SlowDisk};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};
use support::files;

const TENSORS: usize = 12;
const ELEMENTS: usize = 1 << 18;
const TIMEOUT: Duration = Duration::from_millis(300);

/// Holds up whoever passes while it is shut.
#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }

    fn pass(&self) {
        drop(self.opened.wait_while(self.shut.lock().unwrap(), |shut| *shut).unwrap());
    }
}

/// A file on a disk that stalls at tensor 7 while the gate is shut.
struct Stalling {
    dir: tempfile::TempDir,
    gate: Arc<Gate>,
    _disk: SlowDisk,
}

impl Stalling {
    fn new(dtype: Dtype) -> Self {
        let (dir, gate) = (files::folder(), Arc::new(Gate::default()));
        let path = path_in(&dir);
        files::write(&path, dtype, TENSORS, ELEMENTS);
        let seventh = WeightFile::open(&path).unwrap().get("7").unwrap().range.clone();
        let at_seventh = gate.clone();
        let disk = SlowDisk::under(&path, move |range| {
            if range.start < seventh.end && seventh.start < range.end {
                at_seventh.pass();
            }
        });
        gate.set(true);
        Self { dir, gate, _disk: disk }
    }

    fn weights(&self, reading: Reading, budget: &Arc<Budget>) -> Weights {
        let file = WeightFile::open(path_in(&self.dir)).unwrap();
        file.set_reading(reading);
        let weights = Weights::shared(file, "unet", budget);
        weights.source().set_read_timeout(Some(TIMEOUT));
        weights
    }
}

fn path_in(dir: &tempfile::TempDir) -> PathBuf {
    Path::new(dir.path()).join("unet.safetensors")
}

fn read(weights: &Weights, i: usize) -> Result<(), MemoryError> {
    let values = weights.weight(&i.to_string()).unwrap().read()?;
    assert!([0, 1, ELEMENTS - 1].iter().all(|k| values[*k] == files::value(i, *k)));
    Ok(())
}

#[test]
fn a_stalled_read_is_given_up_with_an_error_that_names_file_tensor_and_time() {
    let halves = [Reading::Cached, Reading::PastCache].map(|reading| (Dtype::F16, reading));
    for (dtype, reading) in halves.into_iter().chain([(Dtype::F32, Reading::PastCache)]) {
        let (disk, budget) = (Stalling::new(dtype), Budget::unlimited("host"));
        let weights = disk.weights(reading, &budget);
        (0..7).for_each(|i| read(&weights, i).unwrap());
        let started = Instant::now();
        let error = read(&weights, 7).unwrap_err().to_string();
        assert!(started.elapsed() >= TIMEOUT, "{error}");
        for part in ["unet.safetensors", "tensor `7`", "0.3 s", "--read-timeout"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(weights.pager().audit().is_empty() && weights.pager().pinned() == 0);
        drop(weights);
        assert_eq!(budget.used(), 0, "{dtype}, {reading:?}: {}", budget.report());
        disk.gate.set(false);
    }
}

/// The file has just been written, so the system's cache has it: it is put out of there first, where that can be.
#[test]
#[cfg(target_os = "linux")]
fn weights_that_are_used_in_the_map_are_not_waited_for_without_end_either() {
    use rustix::fs::{Advice, fadvise};
    let (disk, budget) = (Stalling::new(Dtype::F32), Budget::unlimited("host"));
    let file = std::fs::File::open(path_in(&disk.dir)).unwrap();
    file.sync_all().unwrap();
    _ = fadvise(&file, 0, None, Advice::DontNeed);
    let weights = disk.weights(Reading::Cached, &budget);
    match read(&weights, 7) {
        Err(error) => assert!(error.to_string().contains("tensor `7`: the disk gave nothing for 0.3 s"), "{error}"),
        Ok(()) => assert_eq!(budget.used(), 0, "this file system keeps what it holds"),
    }
    disk.gate.set(false);
}

#[test]
fn while_a_read_is_stuck_no_other_of_that_file_is_waited_for_and_when_it_is_back_all_is_well() {
    let (disk, budget) = (Stalling::new(Dtype::F16), Budget::unlimited("host"));
    let weights = disk.weights(Reading::PastCache, &budget);
    read(&weights, 7).unwrap_err();
    let started = Instant::now();
    let error = read(&weights, 8).unwrap_err().to_string();
    assert!(started.elapsed() < TIMEOUT && error.contains("tensor `8`"), "{:?}: {error}", started.elapsed());
    disk.gate.set(false);
    while (0..TENSORS).try_for_each(|i| read(&weights, i)).is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(budget.used_for(Kind::Weights), (TENSORS * ELEMENTS * 4) as u64);
}

#[test]
fn a_disk_that_is_slow_but_gives_something_is_waited_for() {
    const LONG: usize = 8 << 20;
    let (dir, slow) = (files::folder(), Arc::new(AtomicBool::new(false)));
    let path = path_in(&dir);
    files::write(&path, Dtype::F16, 1, LONG);
    let delays = slow.clone();
    let _disk = SlowDisk::under(&path, move |_| {
        if delays.load(SeqCst) {
            thread::sleep(TIMEOUT / 6);
        }
    });
    let file = WeightFile::open(&path).unwrap();
    file.set_reading(Reading::PastCache);
    file.set_read_timeout(Some(TIMEOUT));
    slow.store(true, SeqCst);
    let (mut values, started) = (vec![0.0; LONG], Instant::now());
    file.read_f32("0", &mut values).unwrap();
    assert!(started.elapsed() > TIMEOUT * 2, "16 pieces, {:?}", started.elapsed());
    assert_eq!(values, files::values(0, LONG));
}

#[test]
fn a_stall_while_weights_are_brought_ahead_ends_the_pass_and_leaves_nothing() {
    let (disk, budget) = (Stalling::new(Dtype::F16), Budget::new("host", (4 * ELEMENTS * 4) as u64));
    disk.gate.set(false);
    let weights = disk.weights(Reading::PastCache, &budget);
    for _ in 0..3 {
        (0..TENSORS).for_each(|i| read(&weights, i).unwrap());
    }
    assert!(weights.pager().counters().streams > 0, "from here on a worker is ahead");
    disk.gate.set(true);
    let started = Instant::now();
    let error = (0..2 * TENSORS).find_map(|i| read(&weights, i % TENSORS).err()).unwrap().to_string();
    assert!(started.elapsed() < TIMEOUT * 10 && error.contains("0.3 s"), "{:?}: {error}", started.elapsed());
    assert!(weights.pager().audit().is_empty());
    drop(weights);
    assert_eq!(budget.used(), 0, "{}", budget.report());
    disk.gate.set(false);
}

#[test]
fn without_a_timeout_a_read_waits_as_long_as_it_takes() {
    let (disk, budget) = (Stalling::new(Dtype::F16), Budget::unlimited("host"));
    let weights = disk.weights(Reading::PastCache, &budget);
    weights.source().set_read_timeout(None);
    let gate = disk.gate.clone();
    let opener = thread::spawn(move || {
        thread::sleep(TIMEOUT * 2);
        gate.set(false);
    });
    let started = Instant::now();
    read(&weights, 7).unwrap();
    assert!(started.elapsed() >= TIMEOUT * 2);
    opener.join().unwrap();
}
