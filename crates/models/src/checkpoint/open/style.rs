//! A style adapter's file.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, TensorShapes};

use crate::{
    checkpoint::recognise::not_there,
    error::ModelError,
    nets::vision::{self, StyleConfig, StyleModel},
    weights::{ModelWeights, open, owner},
};

impl StyleModel {
    /// Opens a style adapter's file by pointer.
    ///
    /// # Errors
    /// Of the file; `ModelError::NotThere` when it holds no style adapter.
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let config = StyleConfig::from_names(&names);
        let missing = "`style_embedding` [1, words, width] and `proj`";
        let config = config.ok_or_else(|| not_there(path, "style adapter", &names, missing))?;
        let owner = owner("style", &*source);
        config.init(&ModelWeights::new(source, vision::style_keys(&names), &owner, budget))
    }
}
