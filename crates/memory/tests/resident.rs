//! What the operating system sees while a model runs in a quarter of its size. Alone in its program: it measures it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln_memory::{Budget, Schedule, WeightFile, Weights, process_memory};
use std::{fmt::Write as _, path::Path};

const MIB: u64 = 1 << 20;

/// `n` halves of 2 MiB each, of zeros that take no disk.
fn make(path: &Path, n: u64) {
    let mut header = String::from("{");
    for i in 0..n {
        let comma = if i > 0 { "," } else { "" };
        _ = write!(
            header,
            r#"{comma}"{i}":{{"dtype":"F16","shape":[1048576],"data_offsets":[{},{}]}}"#,
            i * 2 * MIB,
            (i + 1) * 2 * MIB
        );
    }
    header.push('}');
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    std::fs::write(path, &bytes).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(bytes.len() as u64 + n * 2 * MIB).unwrap();
}

#[test]
fn a_model_of_four_times_the_limit_runs_within_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("unet.safetensors");
    make(&path, 64);
    let budget = Budget::new("host", 64 * MIB);
    let before = process_memory().unwrap();
    let unet = Weights::shared(WeightFile::open(&path).unwrap(), "unet", &budget);
    unet.pager().set_schedule(Schedule::new().then("unet", 3));
    for _ in 0..3 {
        for i in 0..64 {
            assert!(unet.weight(&i.to_string()).unwrap().read().unwrap().iter().all(|v| *v == 0.0));
            let now = process_memory().unwrap();
            let (anonymous, file) =
                (now.anonymous - before.anonymous, now.file_backed.saturating_sub(before.file_backed));
            assert!(anonymous < 64 * MIB + 16 * MIB, "{} MiB anonymous", anonymous / MIB);
            assert!(file < 16 * MIB, "{} MiB of the file", file / MIB);
        }
    }
    let moved = unet.pager().counters().moved();
    let optimum = (256 + 2 * (256 - 64)) * MIB;
    assert!(moved <= optimum + 2 * (2 + 2) * 4 * MIB, "{} MiB moved, {} at best", moved / MIB, optimum / MIB);
}
