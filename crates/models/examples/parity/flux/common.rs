//! What cases of these families share: configurations and stored tensors.

use burn::tensor::Tensor;
use kiln_memory::TensorShapes;
use kiln_models::{flux::FluxConfig, zimage::ZImageConfig};
use serde_json::Value;

use crate::case::{Tensors, Trouble};
use crate::nets::recipe;

/// `params.config.KEY` of a file as numbers.
pub fn numbers(config: &Value, key: &str) -> Option<Vec<usize>> {
    config.get(key)?.as_array()?.iter().map(|n| n.as_u64().map(|n| n as usize)).collect()
}

/// The network of these names with the positions of `params.config`.
pub fn flux_config(names: &TensorShapes, config: &Value) -> Result<FluxConfig, Trouble> {
    let found = FluxConfig::from_names(names)?;
    Ok(match (numbers(config, "axes_dim"), config.get("theta").and_then(Value::as_f64)) {
        (Some(axes), Some(theta)) => found.with_positions(axes, theta),
        _ => found,
    })
}

pub fn zimage_config(names: &TensorShapes, config: &Value) -> Result<ZImageConfig, Trouble> {
    let found = ZImageConfig::from_names(names)?;
    Ok(match (numbers(config, "axes_dims"), config.get("rope_theta").and_then(Value::as_f64)) {
        (Some(axes), Some(theta)) => found.with_positions(axes, theta),
        _ => found,
    })
}

/// A stored tensor, if there is one of this name.
pub fn maybe<const D: usize>(tensors: &Tensors, name: &str) -> Result<Option<Tensor<D>>, Trouble> {
    tensors.has(name).then(|| recipe::stored(tensors, name)).transpose()
}
