//! A weight file opened by its path, and the label under which weights of a file are held.
//!
//! Knows files and sources. Knows nothing of what their tensors make up.

use std::{path::Path, sync::Arc};

use kiln_memory::{SourceError, TensorSource, apply_scales, open_weights};

use crate::error::ModelError;

/// A file of weights, or the index of one in pieces.
pub(crate) fn open(path: &Path) -> Result<Arc<dyn TensorSource>, ModelError> {
    let file = open_weights(path).map_err(SourceError::from)?;
    Ok(apply_scales(file))
}

/// The name under which the weights of a part (`unet`, `clip`, `vae`, `controlnet`, `upscaler`) of a file are held: reports
/// and schedules distinguish the parts of different files by it.
///
/// ```
/// assert_eq!(kiln_models::component_label("unet", "sd/v1-5.safetensors"), "unet of v1-5");
/// ```
pub fn component_label(part: &str, file: &str) -> String {
    let file = file.strip_suffix(".index.json").unwrap_or(file);
    let stem = Path::new(file).file_stem().map_or_else(|| file.into(), std::ffi::OsStr::to_string_lossy);
    format!("{part} of {stem}")
}

/// [`component_label`] of a part of a source.
pub(crate) fn owner(part: &str, source: &dyn TensorSource) -> String {
    component_label(part, &source.label())
}
