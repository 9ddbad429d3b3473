//! Errors of files that hold something else than what was asked for: they say what the file looks like.

use std::path::Path;

use kiln_memory::TensorShapes;

use crate::checkpoint::detect::describe;
use crate::error::ModelError;

/// Puts the file and what it looks like into the error of a failed detection.
pub(crate) fn recognised<T>(
    path: &Path,
    wanted: &'static str,
    names: &TensorShapes,
    result: Result<T, ModelError>,
) -> Result<T, ModelError> {
    result.map_err(|error| match error {
        ModelError::Unrecognised { what, detail } => ModelError::NotThere {
            path: path.to_path_buf(),
            wanted,
            recognised: describe(names),
            missing: format!("{what} that makes sense: {detail}"),
        },
        other => other,
    })
}

/// `ModelError::NotThere` for a file that lacks what was asked for.
pub(crate) fn not_there(path: &Path, wanted: &'static str, names: &TensorShapes, missing: &str) -> ModelError {
    ModelError::NotThere { path: path.to_path_buf(), wanted, recognised: describe(names), missing: missing.to_owned() }
}
