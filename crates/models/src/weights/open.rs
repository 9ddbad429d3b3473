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
///
/// A part of a model that lies in a folder, as the library diffusers writes it, is called as that folder:
///
/// ```
/// let file = "sets/tiny/unet/diffusion_pytorch_model.fp16.safetensors";
/// assert_eq!(kiln_models::component_label("unet", file), "unet of tiny");
/// assert_eq!(kiln_models::component_label("unet", "sets/tiny"), "unet of tiny");
/// ```
pub fn component_label(part: &str, file: &str) -> String {
    let file = file.strip_suffix(".index.json").unwrap_or(file);
    let named = folder_of_parts(Path::new(file)).unwrap_or(Path::new(file));
    let stem = named.file_stem().map_or_else(|| file.into(), std::ffi::OsStr::to_string_lossy);
    format!("{part} of {stem}")
}

/// The folder of the model that a file is a part of, if it is called as parts are.
fn folder_of_parts(file: &Path) -> Option<&Path> {
    const FILES: [&str; 6] = [
        "diffusion_pytorch_model",
        "diffusion_pytorch_model.fp16",
        "model",
        "model.fp16",
        "pytorch_model",
        "pytorch_model.fp16",
    ];
    const PARTS: [&str; 5] = ["unet", "transformer", "vae", "text_encoder", "text_encoder_2"];
    let folder = file.parent()?;
    let is_part = FILES.iter().any(|name| file.file_stem().is_some_and(|stem| stem == *name))
        && PARTS.iter().any(|name| folder.file_name().is_some_and(|folder| folder == *name));
    folder.parent().filter(|model| is_part && model.file_stem().is_some())
}

/// [`component_label`] of a part of a source.
pub(crate) fn owner(part: &str, source: &dyn TensorSource) -> String {
    component_label(part, &source.label())
}
