//! An image encoder's file.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, TensorShapes, TensorSource};

use crate::{
    checkpoint::{detect::Found, recognise::not_there},
    error::ModelError,
    nets::vision::{self, VisionConfig, VisionModel},
    weights::{ModelWeights, open, owner},
};

impl VisionModel {
    /// Opens an image encoder's file by pointer.
    ///
    /// # Errors
    /// Of the file; `ModelError::NotThere` when it holds no image encoder.
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let map = vision::canonical(&names);
        let config = VisionConfig::from_names(&map.names())?;
        let missing = "`vision_model.embeddings.patch_embedding.weight`, or `visual.conv1.weight`";
        let config = config.ok_or_else(|| not_there(path, "CLIP image encoder", &names, missing))?;
        let owner = owner("vision", &*source);
        config.init(&ModelWeights::new(source, map, &owner, budget))
    }
}

/// The image encoder that was found in a source.
pub(in crate::checkpoint) fn over(
    source: &Arc<dyn TensorSource>,
    vision: &Found<VisionConfig>,
    budget: &Arc<Budget>,
) -> Result<Arc<VisionModel>, ModelError> {
    let weights = ModelWeights::new(source.clone(), vision.map.clone(), &owner("vision", &**source), budget);
    Ok(Arc::new(vision.config.init(&weights)?))
}
