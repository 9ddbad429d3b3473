//! The file of a tiny autoencoder, or of one half of it.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, TensorShapes};

use crate::{
    checkpoint::recognise::not_there,
    error::ModelError,
    nets::taesd::{self, Taesd, TaesdConfig},
    weights::{ModelWeights, open, owner},
};

impl Taesd {
    /// Opens a file with one half (bare names) or both (`taesd_encoder.`, `taesd_decoder.`).
    ///
    /// # Errors
    /// Of the file, or `ModelError::NotThere` when it holds no tiny autoencoder.
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let map = taesd::canonical(&names);
        let config = TaesdConfig::from_names(&map.names())
            .ok_or_else(|| not_there(path, "tiny autoencoder", &names, "`taesd_decoder.1.weight` or `1.weight`"))?;
        let owner = owner("taesd", &*source);
        config.init(&ModelWeights::new(source, map, &owner, budget))
    }
}
