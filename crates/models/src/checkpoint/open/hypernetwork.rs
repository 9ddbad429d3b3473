//! A hypernetwork's file: PyTorch's, since only such a file says how its layers are joined.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, SourceError, TensorShapes, WeightFile};

use crate::{
    checkpoint::recognise::{not_there, recognised},
    error::ModelError,
    nets::hypernetwork::{Hypernetwork, HypernetworkConfig},
    weights::{ModelWeights, owner},
};

impl Hypernetwork {
    /// Opens a hypernetwork's file by pointer.
    ///
    /// # Errors
    /// Of the file; `ModelError::NotThere` when it holds no hypernetwork, or one with an unknown function.
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let file = WeightFile::open(path).map_err(SourceError::from)?;
        let names = TensorShapes::of(&*file);
        let found = HypernetworkConfig::from_names(&names, file.metadata());
        let config = recognised(path, "hypernetwork", &names, found)?;
        let missing = "layers by width, as `768.0.linear.0.weight`";
        let config = config.ok_or_else(|| not_there(path, "hypernetwork", &names, missing))?;
        let label = owner("hypernetwork", &*file);
        // Others than its layers (an optimizer's) are none of its weights.
        let wanted = config.tensors()?;
        let map = kiln_memory::KeyMap::under(&names, "").renamed(|key| wanted.has(key).then(|| key.to_owned()));
        config.init(&ModelWeights::new(file, map, &label, budget))
    }
}
