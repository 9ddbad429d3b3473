//! A GLIGEN's file.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, TensorShapes};

use crate::{
    checkpoint::recognise::{not_there, recognised},
    error::ModelError,
    nets::gligen::{self, Gligen, GligenConfig},
    weights::{ModelWeights, open, owner},
};

impl Gligen {
    /// Opens a GLIGEN's file by pointer.
    ///
    /// # Errors
    /// Of the file; `ModelError::NotThere` when it holds no GLIGEN.
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let map = gligen::canonical(&names);
        let config = recognised(path, "GLIGEN", &names, GligenConfig::from_names(&map.names()))?;
        let missing = "`position_net.null_positive_feature` and `input_blocks.*.fuser.linear.weight`";
        let config = config.ok_or_else(|| not_there(path, "GLIGEN", &names, missing))?;
        let owner = owner("gligen", &*source);
        config.init(&ModelWeights::new(source, map, &owner, budget))
    }
}
