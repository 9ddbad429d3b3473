//! A T2I-Adapter's file.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, TensorShapes};

use crate::{
    checkpoint::recognise::not_there,
    error::ModelError,
    nets::t2i::{self, Adapter, AdapterConfig},
    weights::{ModelWeights, open, owner},
};

impl Adapter {
    /// Whether a file holds a T2I-Adapter. Reads its header.
    ///
    /// # Errors
    /// Of the file; `ModelError::Unrecognised` when it starts like one but its shapes make no sense.
    pub fn is_in(path: &Path) -> Result<bool, ModelError> {
        let names = TensorShapes::of(&*open(path)?);
        Ok(AdapterConfig::from_names(&t2i::canonical(&names).names())?.is_some())
    }

    /// Opens a T2I-Adapter's file by pointer.
    ///
    /// # Errors
    /// Of the file; `ModelError::NotThere` when it holds no T2I-Adapter.
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let map = t2i::canonical(&names);
        let config = AdapterConfig::from_names(&map.names())?;
        let missing = "`conv_in.weight` and `body.0.block1.weight`, or `body.0.out_conv.weight`";
        let config = config.ok_or_else(|| not_there(path, "T2I-Adapter", &names, missing))?;
        let owner = owner("controlnet", &*source);
        config.init(&ModelWeights::new(source, map, &owner, budget))
    }
}
