//! PyTorch's files: what they hold, and what becomes of those that are broken or mean harm.
//!
//! `tests/data/pickles.py` wrote the files; `torch_2*` are torch's own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/broken.rs"]
mod broken;
mod damage;
mod hostile;
mod reading;
mod writer;

use kiln_memory::{FormatError, WeightFile};
use std::{path::PathBuf, sync::Arc};

/// A file of `tests/data`.
fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).unwrap()
}

fn open(bytes: &[u8]) -> Result<Arc<WeightFile>, FormatError> {
    broken::open("model.pth", bytes)
}

fn complaint(bytes: &[u8]) -> String {
    broken::complaint("model.pth", bytes)
}
