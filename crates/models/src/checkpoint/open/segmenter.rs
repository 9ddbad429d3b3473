//! A segmenter's file.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, TensorShapes};

use crate::{
    checkpoint::recognise::{not_there, recognised},
    error::ModelError,
    nets::segmenter::{self, Segmenter, SegmenterConfig},
    weights::{ModelWeights, component_label, open},
};

impl Segmenter {
    /// Opens a segmenter's file by pointer. Its weights are held under `segmenter of` the name `holder`.
    ///
    /// # Errors
    /// Of the file; `ModelError::NotThere` when it holds no segmenter that is known, with the name of what it holds.
    pub fn open(path: &Path, holder: &str, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let map = segmenter::canonical(&names);
        let found = SegmenterConfig::from_names(&map.names());
        let Some(config) = recognised(path, "segmenter", &names, found)? else {
            let missing = "`image_encoder.pos_embed` and `prompt_encoder.bbox_top_left_embeddings.weight`";
            return Err(not_there(path, "segmenter", &names, missing));
        };
        let owner = component_label("segmenter", holder);
        config.init(&ModelWeights::new(source, map, &owner, budget))
    }

    /// The sizes of the segmenter in a file, if it holds one. Only its header is read.
    pub fn peek(path: &Path) -> Option<SegmenterConfig> {
        let names = TensorShapes::of(&*open(path).ok()?);
        SegmenterConfig::from_names(&segmenter::canonical(&names).names()).ok().flatten()
    }
}
