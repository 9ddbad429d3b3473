//! What cases of these families share: comparing, tiny models, files that were compressed.

use burn::tensor::Tensor;
use kiln_memory::{Budget, KeyMap, TensorShapes};
use kiln_models::{ModelWeights, flux::FluxConfig, zimage::ZImageConfig};
use serde_json::Value;

use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::nets::recipe;

/// The largest difference relative to the largest value, or to 1 where no value is larger.
pub fn near(name: impl Into<String>, found: &[f32], expected: &[f32], tolerance: f64) -> CaseResult {
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let result = CaseResult::compare(name, found, expected, tolerance);
    if largest == 0.0 || largest >= 1.0 || !result.note.is_empty() {
        return result;
    }
    let least = f64::from(largest);
    CaseResult::verdict(result.name, result.max_rel * least, result.rms_rel * least, tolerance)
}

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

/// A tiny model's names, with the prefix that the recipe hashes.
pub fn tiny_names(folder: &Folder, model: &str) -> Result<TensorShapes, Trouble> {
    let all = folder.json("tiny_keys.json")?;
    recipe::names(all.get(model).ok_or_else(|| format!("tiny_keys.json has no `{model}`"))?)
}

/// A tiny model by the recipe.
pub fn tiny_weights(folder: &Folder, prefix: &str) -> Result<ModelWeights, Trouble> {
    let names = tiny_names(folder, prefix.trim_end_matches('.'))?;
    let map = KeyMap::under(&names, prefix);
    Ok(ModelWeights::new(recipe::source(&names, None), map, "tiny", &Budget::unlimited("parity")))
}

/// A JSON file that was compressed.
pub fn unzipped(folder: &Folder, file: &str) -> Result<Value, Trouble> {
    let packed = std::fs::File::open(folder.path().join(file)).map_err(|error| format!("{file}: {error}"))?;
    Ok(serde_json::from_reader(flate2::read::GzDecoder::new(packed))?)
}

/// A stored tensor, if there is one of this name.
pub fn maybe<const D: usize>(tensors: &Tensors, name: &str) -> Result<Option<Tensor<D>>, Trouble> {
    tensors.has(name).then(|| recipe::stored(tensors, name)).transpose()
}
