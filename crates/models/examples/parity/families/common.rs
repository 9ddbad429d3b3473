//! What the families' cases share: errors as their folders state them, tiny models, parameters, taps.

use burn::tensor::Tensor;
use kiln_memory::{Budget, KeyMap, TensorShapes};
use kiln_models::{ActivationTap, ModelWeights};
use serde_json::Value;

use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::nets::recipe::{names, source, values};

/// The names of a tiny model, with the prefix that the recipe hashes.
pub fn tiny_names(folder: &Folder, model: &str) -> Result<TensorShapes, Trouble> {
    listed(folder, "tiny_keys.json", model)
}

fn listed(folder: &Folder, list: &str, model: &str) -> Result<TensorShapes, Trouble> {
    names(folder.json(list)?.get(model).ok_or_else(|| format!("{list} has no `{model}`"))?)
}

/// A tiny model in its own names, made by the recipe.
pub fn tiny_weights(folder: &Folder, prefix: &str) -> Result<ModelWeights, Trouble> {
    tiny(folder, "tiny_keys.json", prefix, KeyMap::under)
}

/// A model of a list of tiny ones, made by the recipe: the keys that `keys` finds below `prefix`.
pub fn tiny(
    folder: &Folder,
    list: &str,
    prefix: &str,
    keys: impl Fn(&TensorShapes, &str) -> KeyMap,
) -> Result<ModelWeights, Trouble> {
    let names = listed(folder, list, prefix.trim_end_matches('.'))?;
    Ok(ModelWeights::new(source(&names, None), keys(&names, prefix), "tiny", &Budget::unlimited("parity")))
}

/// A text among the parameters.
pub fn text<'a>(params: &'a Value, key: &str) -> Result<&'a str, Trouble> {
    Ok(params.get(key).and_then(Value::as_str).ok_or_else(|| format!("`{key}` is missing among the parameters"))?)
}

/// Whole numbers.
pub fn sizes(value: &Value) -> Vec<usize> {
    value.as_array().into_iter().flatten().filter_map(|n| Some(n.as_u64()? as usize)).collect()
}

/// Runs `forward` with a tap and compares the activations that are stored below `prefix`, then says which of them no
/// module recorded.
pub fn tapped(
    tensors: &Tensors,
    prefix: &str,
    tolerance: f64,
    forward: impl FnOnce(ActivationTap<'_>) -> Result<Tensor<4>, Trouble>,
) -> Result<(Vec<CaseResult>, Tensor<4>), Trouble> {
    let results = std::cell::RefCell::new(Vec::new());
    let look = |name: &str, _: &[usize], x: Tensor<1>| {
        let name = format!("{prefix}{name}");
        if let (true, Ok(found)) = (tensors.has(&name), values(x))
            && let Ok(expected) = tensors.floats(&name)
        {
            results.borrow_mut().push(CaseResult::near(name, &found, &expected, tolerance));
        }
    };
    let output = forward(ActivationTap::new(&look))?;
    let mut results = results.into_inner();
    for name in tensors.names().into_iter().filter(|name| name.starts_with(prefix)) {
        if !results.iter().any(|result| result.name == name) {
            results.push(CaseResult::broken(name, "no module of this name ran"));
        }
    }
    Ok((results, output))
}
