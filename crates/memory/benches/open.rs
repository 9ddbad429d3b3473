//! What opening a checkpoint costs: `cargo bench -p kiln-memory --bench open`.
//!
//! Opens the bundled model, a file of 2 GB and a set of shards of 30 GB that it makes itself (sparse, so that they need no
//! disk), prints time and memory beside the target of each, and fails when one is missed.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use kiln_memory::{Budget, ProcessMemory, TensorInfo, Weights, human_bytes, open_weights, process_memory};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

/// How often each is opened; the fastest counts, so that a busy machine doesn't.
const TRIES: usize = 25;
const MIB: u64 = 1 << 20;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let two = dir.path().join("2gb.safetensors");
    make(&two, "model.diffusion_model.blocks", 1131, 2 << 30);
    let thirty = shards(dir.path(), 6, 700, 5 << 30);
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/fluent-tiny.safetensors");
    println!("{:24} {:>10} {:>8} {:>9} {:>10} {:>10}", "file", "size", "tensors", "open ms", "anonymous", "file");
    // Anonymous memory is names and shapes: what "none of the weights" comes to.
    let rows = [
        ("bundled model", &bundled, 2.0, MIB),
        ("2 GB, 1131 tensors", &two, 1.0, MIB),
        ("30 GB in 6 shards", &thirty, 10.0, 4 * MIB),
    ];
    let met = rows.map(|(name, path, ms, anonymous)| measure(name, path, ms, anonymous));
    assert!(met.iter().all(|met| *met), "a target is missed");
}

fn measure(name: &str, path: &Path, most_ms: f64, most_anonymous: u64) -> bool {
    let before = process_memory().unwrap_or_default();
    let open = || {
        let started = Instant::now();
        let file = open_weights(path).unwrap();
        let ms = started.elapsed().as_secs_f64() * 1e3;
        (ms, Weights::shared(file, "unet", &Budget::unlimited("host")))
    };
    let (first, weights) = open();
    let (anonymous, file_backed) = grown(before);
    let names = weights.names();
    let size: usize = names.iter().filter_map(|name| weights.info(name)).map(TensorInfo::bytes).sum();
    let ms = (1..TRIES).map(|_| open().0).fold(first, f64::min);
    let met = ms <= most_ms && anonymous <= most_anonymous;
    println!(
        "{name:24} {:>10} {:>8} {ms:>9.2} {:>10} {:>10}  {} (at most {most_ms} ms, {} anonymous)",
        human_bytes(size as u64),
        names.len(),
        human_bytes(anonymous),
        human_bytes(file_backed),
        if met { "met" } else { "MISSED" },
        human_bytes(most_anonymous)
    );
    met
}

/// A sharded checkpoint; answers its index.
fn shards(dir: &Path, shards: u64, tensors: u64, bytes: u64) -> PathBuf {
    let mut index = String::from(r#"{"weight_map":{"#);
    for shard in 0..shards {
        let (file, prefix) = (format!("shard-{shard}.safetensors"), format!("blocks.{shard}"));
        make(&dir.join(&file), &prefix, tensors, bytes);
        for i in 0..tensors {
            let comma = if shard + i > 0 { "," } else { "" };
            _ = write!(index, r#"{comma}"{prefix}.{i}.weight":"{file}""#);
        }
    }
    index += "}}";
    let path = dir.join("30gb.safetensors.index.json");
    fs::write(&path, index).unwrap();
    path
}

fn grown(before: ProcessMemory) -> (u64, u64) {
    let now = process_memory().unwrap_or_default();
    (now.anonymous.saturating_sub(before.anonymous), now.file_backed.saturating_sub(before.file_backed))
}

/// A file of `n` equal f16 tensors, `bytes` in all.
fn make(path: &Path, prefix: &str, n: u64, bytes: u64) {
    let each = bytes / n / 2 * 2;
    let mut header = String::from("{");
    for i in 0..n {
        let (start, end, comma) = (i * each, (i + 1) * each, if i > 0 { "," } else { "" });
        _ = write!(
            header,
            r#"{comma}"{prefix}.{i}.weight":{{"dtype":"F16","shape":[{}],"data_offsets":[{start},{end}]}}"#,
            each / 2
        );
    }
    header.push('}');
    let mut head = (header.len() as u64).to_le_bytes().to_vec();
    head.extend(header.bytes());
    fs::write(path, &head).unwrap();
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(head.len() as u64 + n * each).unwrap();
}
