//! Models made from the recipe: weights that are a function of name and shape, read off lists of keys.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_memory::{Budget, ComputedSource, Rounding, TensorShapes, TensorSource, fill_uniform, hash_uniform};
use kiln_models::{ModelWeights, clip};
use serde_json::Value;

use crate::case::{Folder, Tensors, Trouble};

/// Where everything is computed.
pub fn device() -> Device {
    Device::flex()
}

/// A JSON object `{name: shape}` as names.
pub fn names(list: &Value) -> Result<TensorShapes, Trouble> {
    let list = list.as_object().ok_or("a list of keys should be an object")?;
    let shape = |sides: &Value| -> Option<Vec<usize>> {
        sides.as_array()?.iter().map(|side| side.as_u64().map(|side| side as usize)).collect()
    };
    let pair =
        |(name, sides): (&String, &Value)| Ok((name.clone(), shape(sides).ok_or("a shape is a list of numbers")?));
    list.iter().map(pair).collect::<Result<TensorShapes, Trouble>>()
}

/// The keys of one tiny model: those of `tiny_keys.json` below `prefix`.
pub fn tiny(folder: &Folder, prefix: &str) -> Result<ModelWeights, Trouble> {
    let all = folder.json("tiny_keys.json")?;
    let model = all.as_object().and_then(|models| models.get(prefix.trim_end_matches('.')));
    let names = names(model.ok_or_else(|| format!("tiny_keys.json has no `{prefix}`"))?)?;
    // Text encoders are listed without their `text_model.`, which this puts in; other models' keys it leaves alone.
    let map = clip::hugging_face(&names, prefix);
    Ok(ModelWeights::new(source(&names, None), map, "tiny", &Budget::unlimited("parity")))
}

/// Weights by the recipe for these names, rounded to f16 where a case says that its file holds f16.
pub fn source(names: &TensorShapes, rounding: Option<Rounding>) -> Arc<dyn TensorSource> {
    let shapes: Vec<(String, Vec<usize>)> =
        names.iter().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect();
    Arc::new(ComputedSource::new("hash-uniform weights", shapes, move |name, shape, out| {
        hash_uniform(name, shape, out);
        if rounding == Some(Rounding::F16) {
            for v in out {
                *v = half::f16::from_f32(*v).to_f32();
            }
        }
    }))
}

/// A deterministic input: the recipe's stream of `name`, `scale · u + base`.
pub fn det<const D: usize>(name: &str, shape: [usize; D], scale: f32, base: f32) -> Tensor<D> {
    let mut values = vec![0.0; shape.iter().product()];
    fill_uniform(name, base, scale, &mut values);
    Tensor::from_data(TensorData::new(values, shape), &device())
}

/// A stored tensor.
pub fn stored<const D: usize>(tensors: &Tensors, name: &str) -> Result<Tensor<D>, Trouble> {
    let shape: [usize; D] =
        tensors.shape(name)?.try_into().map_err(|shape| format!("`{name}` should have {D} sides, found {shape:?}"))?;
    Ok(Tensor::from_data(TensorData::new(tensors.floats(name)?, shape), &device()))
}

/// Values on the host.
pub fn values<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>, Trouble> {
    Ok(x.into_data().convert::<f32>().try_to_vec::<f32>().map_err(|error| format!("{error:?}"))?)
}
