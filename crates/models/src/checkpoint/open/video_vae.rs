//! The file of an autoencoder of clips.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, TensorShapes};

use crate::{
    checkpoint::{
        detect::{self, Found},
        recognise::recognised,
    },
    error::ModelError,
    nets::vae3d::VideoVae,
    weights::{ModelWeights, open, owner},
};

impl VideoVae {
    /// Opens an autoencoder of clips that lies alone in a file, or the one of a checkpoint; `None` when it is another kind
    /// of file.
    ///
    /// # Errors
    /// Of the file, and of an autoencoder that is not whole or of a relative that is not supported.
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Option<Self>, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let found = recognised(path, "VAE", &names, detect::video_vae(&names, &["", "vae.", "first_stage_model."]))?;
        let Some(Found { config, map }) = found else { return Ok(None) };
        let owner = owner("vae", &*source);
        config.init(&ModelWeights::new(source, map, &owner, budget)).map(Some)
    }
}
