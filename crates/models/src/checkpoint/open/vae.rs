//! An autoencoder, alone in a file or among the parts of a checkpoint.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, TensorShapes, TensorSource};

use crate::{
    checkpoint::{
        detect::{self, Found},
        recognise::{not_there, recognised},
    },
    error::ModelError,
    nets::vae::{Vae, VaeConfig},
    weights::{ModelWeights, open, owner},
};

impl Vae {
    /// Opens an autoencoder that lies alone in a file, or the one of a checkpoint.
    ///
    /// # Errors
    /// As [`Checkpoint::open`](crate::Checkpoint::open).
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let found = recognised(path, "VAE", &names, detect::vae(&names, &["", "first_stage_model.", "vae."]))?;
        let vae = found.ok_or_else(|| not_there(path, "VAE", &names, "`decoder.conv_in.weight`"))?;
        let owner = owner("vae", &*source);
        vae.config.init(&ModelWeights::new(source, vae.map, &owner, budget))
    }
}

/// The autoencoder that was found in a source.
pub(in crate::checkpoint) fn over(
    source: &Arc<dyn TensorSource>,
    vae: &Found<VaeConfig>,
    budget: &Arc<Budget>,
) -> Result<Arc<Vae>, ModelError> {
    let weights = ModelWeights::new(source.clone(), vae.map.clone(), &owner("vae", &**source), budget);
    Ok(Arc::new(vae.config.init(&weights)?))
}
