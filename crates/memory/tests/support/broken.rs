//! Weight files given as bytes, good or broken, and what is said of the broken ones.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

use kiln_memory::{FormatError, WeightFile};
use std::sync::Arc;

/// Opens `bytes` as a file of that name.
pub fn open(name: &str, bytes: &[u8]) -> Result<Arc<WeightFile>, FormatError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    WeightFile::open(path)
}

/// The message without the folder and the name.
pub fn complaint(name: &str, bytes: &[u8]) -> String {
    let error = open(name, bytes).expect_err("this file is broken");
    let text = error.to_string();
    assert!(text.starts_with(&error.path.display().to_string()), "names the file: {text}");
    text.rsplit_once(&format!("{name}: ")).unwrap().1.to_owned()
}
