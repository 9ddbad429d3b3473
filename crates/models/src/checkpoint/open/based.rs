//! ControlNets that are kept as differences from a base model's UNet.

use std::sync::Arc;

use kiln_memory::{Budget, TensorShapes, TensorSource};

use crate::nets::controlnet::{self, ControlNet, ControlNetConfig};
use crate::{
    checkpoint::diffusion::DiffusionModel,
    error::ModelError,
    weights::{ModelWeights, owner},
};

/// Every weight that the base model has too is the base's plus the file's.
pub(super) fn difference(
    source: Arc<dyn TensorSource>,
    names: &TensorShapes,
    base: &DiffusionModel,
    budget: &Arc<Budget>,
) -> Result<Option<ControlNet>, ModelError> {
    let map = controlnet::canonical(names);
    let Some(config) = ControlNetConfig::from_names(&map.names())? else { return Ok(None) };
    let owner = owner("controlnet", &*source);
    let weights = ModelWeights::new(source, map, &owner, budget).merged(&base.weights, |_| (1.0, 1.0));
    config.init(&weights).map(Some)
}
