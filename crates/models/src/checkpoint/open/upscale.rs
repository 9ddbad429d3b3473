//! An upscaler's file.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, TensorShapes};

use crate::{
    checkpoint::recognise::not_there,
    error::ModelError,
    nets::upscale::{self, UpscaleConfig, Upscaler},
    weights::{ModelWeights, open, owner},
};

impl Upscaler {
    /// Opens an upscaler's file by pointer.
    ///
    /// # Errors
    /// Of the file, or `ModelError::NotThere` when it holds no upscaler that is known.
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let map = upscale::canonical(&names);
        let Some(config) = UpscaleConfig::from_names(&map.names())? else {
            return Err(not_there(path, "upscaler", &names, "`conv_first.weight` or `body.0.weight`"));
        };
        let owner = owner("upscaler", &*source);
        config.init(&ModelWeights::new(source, map, &owner, budget))
    }
}
