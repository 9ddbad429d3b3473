//! Weight files for tests: halves whose values tell who they are.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use kiln_memory::{Dtype, encode_f32};
use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
};

/// The value at `k` of tensor `i`; exact as a half.
pub fn value(i: usize, k: usize) -> f32 {
    ((i * 31 + k * 7) % 1000) as f32
}

pub fn values(i: usize, elements: usize) -> Vec<f32> {
    (0..elements).map(|k| value(i, k)).collect()
}

/// A safetensors file of tensors `0` to `n - 1`, `elements` numbers each.
pub fn write(path: &Path, dtype: Dtype, n: usize, elements: usize) {
    let each = dtype.bytes_for(elements).unwrap();
    let mut header = String::from("{");
    for i in 0..n {
        let (start, end, comma) = (i * each, (i + 1) * each, if i > 0 { "," } else { "" });
        let name = dtype.name();
        _ = write!(header, r#"{comma}"{i}":{{"dtype":"{name}","shape":[{elements}],"data_offsets":[{start},{end}]}}"#);
    }
    header.push('}');
    let padded = (header.len() + 8).next_multiple_of(4096) - 8;
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    file.write_all(&(padded as u64).to_le_bytes()).unwrap();
    file.write_all(format!("{header:padded$}").as_bytes()).unwrap();
    for i in 0..n {
        file.write_all(&encode_f32(dtype, &values(i, elements)).unwrap()).unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
}

/// A folder on a disk rather than in memory, where there is one.
pub fn folder() -> tempfile::TempDir {
    let on_disk = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&on_disk).and_then(|()| tempfile::tempdir_in(on_disk)).unwrap()
}
