//! What tells one state of a model file from another. Reads no file.

use std::path::PathBuf;

use kiln_exec::{ConstantInputs, Fingerprint, NodeError, json};

use crate::runtime::environment::Environment;

/// What tells the states of the models apart that these inputs name.
///
/// # Errors
/// When one of the files is not there.
pub fn file_fingerprint(known: &ConstantInputs<'_>, kind: &str, inputs: &[&str]) -> Result<Fingerprint, NodeError> {
    let environment = known.host::<Environment>()?;
    let names = inputs.iter().filter_map(|input| known.get_as::<String>(input));
    let files = names.map(|name| environment.folders().model(kind, &name)).collect::<Result<Vec<_>, _>>()?;
    stamps(&files)
}

/// Size and time of each of these files: a replaced file is another model.
///
/// # Errors
/// When one of the files is not there.
pub fn stamps(files: &[PathBuf]) -> Result<Fingerprint, NodeError> {
    let mut stamps = Vec::new();
    for file in files {
        let file = std::fs::metadata(file)?;
        let age = file.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        stamps.push(json!([file.len(), age.as_nanos() as u64]));
    }
    Ok(Fingerprint::Value(stamps.into()))
}
