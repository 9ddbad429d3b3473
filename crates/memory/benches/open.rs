//! What opening a checkpoint costs: `cargo bench -p kiln-memory --bench open`.
//!
//! Opens the bundled model and a file of 4 GB that it makes itself (sparse, so that it needs no disk), prints time and
//! memory, and fails when a figure is beyond its bound.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use kiln_memory::{Budget, ProcessMemory, WeightFile, Weights, human_bytes, process_memory};
use std::{fmt::Write as _, fs, path::Path, time::Instant};

/// How often each file is opened; the fastest counts, so that a busy machine doesn't.
const TRIES: usize = 5;
/// Milliseconds and bytes of anonymous memory that opening may take.
const BOUND: (f64, u64) = (30.0, 20 << 20);

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let big = dir.path().join("4gb.safetensors");
    make(&big, 1200, 4 << 30);
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/fluent-tiny.safetensors");
    println!("{:28} {:>10} {:>8} {:>9} {:>10} {:>10}", "file", "size", "tensors", "open ms", "anonymous", "file");
    let ok = [("bundled model", &bundled), ("4 GB of tensors", &big)].map(|(name, path)| measure(name, path));
    assert!(ok.iter().all(|ok| *ok), "opening is slower or larger than {BOUND:?}");
}

fn measure(name: &str, path: &Path) -> bool {
    let before = process_memory().unwrap_or_default();
    let open = || {
        let started = Instant::now();
        let file = WeightFile::open(path).unwrap();
        let weights = Weights::shared(file.clone(), "unet", &Budget::unlimited("host"));
        let handles: Vec<_> = file.names().map(|name| weights.weight(name).unwrap()).collect();
        (started.elapsed().as_secs_f64() * 1e3, handles)
    };
    let (first, handles) = open();
    let (anonymous, file_backed) = grown(before);
    let ms = (1..TRIES).map(|_| open().0).fold(first, f64::min);
    let size = fs::metadata(path).unwrap().len();
    println!(
        "{name:28} {:>10} {:>8} {ms:>9.2} {:>10} {:>10}",
        human_bytes(size),
        handles.len(),
        human_bytes(anonymous),
        human_bytes(file_backed)
    );
    ms <= BOUND.0 && anonymous <= BOUND.1
}

fn grown(before: ProcessMemory) -> (u64, u64) {
    let now = process_memory().unwrap_or_default();
    (now.anonymous.saturating_sub(before.anonymous), now.file_backed.saturating_sub(before.file_backed))
}

/// A file of `n` equal f16 tensors, `bytes` in all.
fn make(path: &Path, n: u64, bytes: u64) {
    let each = bytes / n / 2 * 2;
    let mut header = String::from("{");
    for i in 0..n {
        let (start, end, comma) = (i * each, (i + 1) * each, if i > 0 { "," } else { "" });
        _ = write!(
            header,
            r#"{comma}"model.diffusion_model.blocks.{i}.weight":{{"dtype":"F16","shape":[{}],"data_offsets":[{start},{end}]}}"#,
            each / 2
        );
    }
    header.push('}');
    let mut head = (header.len() as u64).to_le_bytes().to_vec();
    head.extend(header.bytes());
    fs::write(path, &head).unwrap();
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(head.len() as u64 + n * each).unwrap();
}
