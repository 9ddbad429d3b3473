//! PyTorch's files: what they hold, and what becomes of those that are broken or mean harm.
//!
//! `tests/data/pickles.py` wrote the files; `torch_2*` are torch's own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

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
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.pth");
    std::fs::write(&path, bytes).unwrap();
    WeightFile::open(path)
}

/// The message without the folder.
fn complaint(bytes: &[u8]) -> String {
    let error = open(bytes).expect_err("this file is broken");
    let text = error.to_string();
    assert!(text.starts_with(&error.path.display().to_string()), "names the file: {text}");
    text.rsplit_once("model.pth: ").unwrap().1.to_owned()
}
