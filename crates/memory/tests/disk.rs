//! The disk below the memory: what stays in the system's cache of a file after it was read, what stays here, and that
//! the bytes are the same whichever way they came.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, unsafe_code)]

mod support;

use kiln_memory::{Acquired, Budget, Dtype, Kind, Reading, Schedule, TensorSource, WeightFile, Weights};
use std::{path::Path, sync::Arc};
use support::files;

const MIB: u64 = 1 << 20;

/// Which share of the file the system's cache holds.
fn cached(path: &Path) -> f64 {
    let file = std::fs::File::open(path).unwrap();
    // SAFETY: a map that nothing is read through; `mincore` writes one byte per page into a buffer of that size.
    unsafe {
        let map = memmap2::Mmap::map(&file).unwrap();
        let mut pages = vec![0u8; map.len().div_ceil(rustix::param::page_size())];
        assert_eq!(libc::mincore(map.as_ptr().cast_mut().cast(), map.len(), pages.as_mut_ptr()), 0);
        pages.iter().filter(|page| **page & 1 == 1).count() as f64 / pages.len() as f64
    }
}

/// Puts the file out of the system's cache. Answers whether this file system lets it.
fn cool(path: &Path) -> bool {
    use rustix::fs::{Advice, fadvise};
    let file = std::fs::File::open(path).unwrap();
    file.sync_all().unwrap();
    _ = fadvise(&file, 0, None, Advice::DontNeed);
    let cold = cached(path) < 0.05;
    if !cold {
        eprintln!("this file system keeps what it holds: what the cache does is not looked at");
    }
    cold
}

const TENSORS: usize = 24;
const ELEMENTS: usize = 1 << 19;

fn pass(unet: &Weights) {
    for i in 0..TENSORS {
        let values = unet.weight(&i.to_string()).unwrap().read().unwrap();
        assert!([0, 1, 4095, 77_777, ELEMENTS - 1].iter().all(|k| values[*k] == files::value(i, *k)));
    }
}

fn open(path: &Path, reading: Reading, limit: u64) -> (Arc<Budget>, Weights) {
    let file = WeightFile::open(path).unwrap();
    file.set_reading(reading);
    let budget = Budget::new("host", limit);
    let unet = Weights::shared(file, "unet", &budget);
    unet.pager().set_schedule(Schedule::new().then("unet", 10));
    (budget, unet)
}

#[test]
fn weights_that_do_not_stay_are_read_past_the_systems_cache() {
    let dir = files::folder();
    let path = dir.path().join("unet.safetensors");
    for dtype in [Dtype::F16, Dtype::F32] {
        files::write(&path, dtype, TENSORS, ELEMENTS);
        let can_see = cool(&path);
        let (budget, unet) = open(&path, Reading::PastCache, 12 * 2 * MIB);
        (0..3).for_each(|_| pass(&unet));
        if can_see {
            assert!(cached(&path) < 0.1, "{dtype}: {:.0} % of it are in the cache", cached(&path) * 100.0);
        }
        let (kept, counters) = (budget.report().used_for(Kind::Weights), unet.pager().counters());
        assert!(kept >= 9 * 2 * MIB, "{dtype}: a chosen subset stays, {} MiB of it", kept / MIB);
        assert!(counters.streams > 20 && counters.hits > 15, "{dtype}: {counters:?}");
    }
}

#[test]
fn read_through_the_cache_the_cache_keeps_the_file_for_the_next_pass() {
    let dir = files::folder();
    let path = dir.path().join("unet.safetensors");
    files::write(&path, Dtype::F16, TENSORS, ELEMENTS);
    cool(&path);
    let (_, unet) = open(&path, Reading::Cached, 0);
    pass(&unet);
    assert!(cached(&path) > 0.95, "{:.0} %", cached(&path) * 100.0);
}

#[test]
fn a_single_that_is_read_past_the_cache_is_not_used_in_the_map() {
    let dir = files::folder();
    let path = dir.path().join("unet.safetensors");
    files::write(&path, Dtype::F32, 2, 1000);
    let how = |reading| {
        let (_, unet) = open(&path, reading, u64::MAX);
        let values = unet.weight("1").unwrap().read().unwrap();
        assert_eq!(values[..], files::values(1, 1000));
        values.how()
    };
    assert_eq!([how(Reading::Cached), how(Reading::PastCache)], [Acquired::Hit, Acquired::Fill]);
}

/// Every type and odd sizes, lengths that are no multiple of a piece or a block: the same numbers by map, by reading
/// and past the cache, whole and in part.
#[test]
fn every_way_of_reading_gives_the_same_numbers() {
    let dir = files::folder();
    let path = dir.path().join("m.safetensors");
    for (dtype, n, elements) in
        [(Dtype::F32, 3, 700_001), (Dtype::F16, 3, 1_050_003), (Dtype::BF16, 2, 4095), (Dtype::F16, 5, 1)]
    {
        files::write(&path, dtype, n, elements);
        let [cached, past] = [Reading::Cached, Reading::PastCache].map(|reading| {
            let file = WeightFile::open(&path).unwrap();
            file.set_reading(reading);
            file
        });
        for i in 0..n {
            let name = i.to_string();
            let mapped = cached.slice(&name).unwrap();
            let mut expected = vec![0.0; elements];
            kiln_memory::decode_f32(dtype, &mapped, &mut expected).unwrap();
            for file in [&cached, &past] {
                let mut out = vec![-1.0; elements];
                file.read_f32(&name, &mut out).unwrap();
                assert!(out == expected, "{dtype} {i}");
                let part = elements / 3..elements / 3 + elements / 2;
                let mut out = vec![-1.0; part.len()];
                file.read_part(&name, part.clone(), &mut out).unwrap();
                assert!(out == expected[part], "{dtype} {i}, in part");
            }
        }
        assert!(past.slice("0").is_none());
        assert!(past.read_part("0", 0..elements + 1, &mut vec![0.0; elements + 1]).is_err());
    }
}

#[test]
fn a_file_that_fits_beside_everything_else_is_read_through_the_cache() {
    let dir = files::folder();
    let path = dir.path().join("m.safetensors");
    files::write(&path, Dtype::F16, 1, 100);
    assert_eq!(WeightFile::open(&path).unwrap().reading(), Reading::Cached);
}

#[test]
fn a_pager_set_to_read_past_the_cache_reads_its_models_so() {
    let dir = files::folder();
    let path = dir.path().join("m.safetensors");
    files::write(&path, Dtype::F16, 1, 100);
    let file = WeightFile::open(&path).unwrap();
    let budget = Budget::unlimited("host");
    kiln_memory::HostPager::of(&budget).set_reading(Reading::PastCache);
    drop(Weights::shared(file.clone(), "unet", &budget));
    assert_eq!(file.reading(), Reading::Cached, "a pager that nobody keeps is forgotten, with its settings");
    let pager = kiln_memory::HostPager::of(&budget);
    pager.set_reading(Reading::PastCache);
    drop(Weights::shared(file.clone(), "unet", &budget));
    assert_eq!(file.reading(), Reading::PastCache);
}
