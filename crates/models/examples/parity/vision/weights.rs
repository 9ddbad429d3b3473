//! Weights by the recipe with this kind of folder's exceptions, and text features.

use std::{collections::HashMap, sync::Arc};

use burn::tensor::Tensor;
use kiln_memory::{Budget, ComputedSource, KeyMap, TensorShapes, fill_uniform, hash_uniform};
use kiln_models::{
    ModelWeights,
    detector::{Detector, DetectorConfig},
    segmenter::{Segmenter, SegmenterConfig},
};
use serde_json::Value;

use crate::case::{CaseResult, Folder, Trouble};
use crate::nets::recipe::{det, names};

/// `yolo_bn_stats`: an input of the others.
pub fn statistics(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let tensors = folder.tensors(file)?;
    for name in tensors.names() {
        tensors.note(name);
    }
    Ok(vec![CaseResult::exact("read", !tensors.names().is_empty(), "it holds nothing")])
}

pub fn text<'v>(params: &'v Value, key: &str) -> Result<&'v str, Trouble> {
    Ok(params.get(key).and_then(Value::as_str).ok_or_else(|| format!("a case names its `{key}`"))?)
}

pub fn number(params: &Value, key: &str) -> Result<f64, Trouble> {
    Ok(params.get(key).and_then(Value::as_f64).ok_or_else(|| format!("a case gives its `{key}`"))?)
}

/// A source of tensors `prefix + name`, by the rules of the folder's README.
fn source(names: &TensorShapes, prefix: &str, params: &Value, measured: HashMap<String, Vec<f32>>) -> ComputedSource {
    let shapes: Vec<(String, Vec<usize>)> = names.iter().map(|(n, s)| (format!("{prefix}{n}"), s.to_vec())).collect();
    let constant = |key: &str| params.get(key).and_then(Value::as_f64).unwrap_or(0.0) as f32;
    let (scale, bias) = (constant("logit_scale"), constant("cls_bias"));
    ComputedSource::new("reference weights", shapes, move |name, shape, out| {
        if let Some(values) = measured.get(name).filter(|values| values.len() == out.len()) {
            out.copy_from_slice(values);
        } else if name.ends_with("logit_scale") {
            out.fill(scale);
        } else if name.contains(".cv4.") && name.rsplit('.').next() == Some("bias") && !name.contains(".norm.") {
            out.fill(bias);
        } else if name.ends_with("positional_encoding_gaussian_matrix") {
            fill_uniform(name, 0.0, 1.0, out);
        } else if name.ends_with("pos_embed") {
            fill_uniform(name, 0.0, 0.5, out);
        } else {
            hash_uniform(name, shape, out);
        }
    })
}

fn weights(source: ComputedSource, prefix: &str, keep: impl Fn(&str) -> bool) -> ModelWeights {
    let map = KeyMap::under(&TensorShapes::of(&source), prefix);
    let map = map.renamed(|key| keep(key).then(|| key.to_owned()));
    ModelWeights::new(Arc::new(source), map, "reference", &Budget::unlimited("parity"))
}

/// The detector of a case: its names are listed under `v1_s` and the like.
pub fn detector(folder: &Folder, params: &Value) -> Result<Detector, Trouble> {
    let model = format!("v{}_{}", number(params, "version")?, text(params, "scale")?);
    let all = folder.json("keys_yolo_world.json")?;
    let names = names(all.get(&model).ok_or_else(|| format!("keys_yolo_world.json has no `{model}`"))?)?;
    let prefix = text(params, "prefix")?;
    let statistics = folder.tensors(text(params, "bn_stats")?)?;
    let mut measured = HashMap::new();
    for name in statistics.names().into_iter().filter(|name| name.starts_with(prefix)) {
        measured.insert(name.to_owned(), statistics.floats(name)?);
    }
    let source = source(&names, prefix, params, measured);
    let constant = |key: &str| key.ends_with("num_batches_tracked") || key.ends_with("dfl.conv.weight");
    let weights = weights(source, prefix, |key| !constant(key));
    let config = DetectorConfig::from_names(&weights.map().names())?.ok_or("no detector was recognised")?;
    Ok(config.init(&weights)?)
}

/// The segmenter of a case, in the sizes that names don't say.
pub fn segmenter(keys: &Value, prefix: &str, sizes: &Value) -> Result<Segmenter, Trouble> {
    let names = names(keys)?;
    let weights = weights(source(&names, prefix, &Value::Null, HashMap::new()), prefix, |_| true);
    let mut config = SegmenterConfig::from_names(&weights.map().names())?.ok_or("no segmenter was recognised")?;
    let size = |key: &str| sizes.get(key).and_then(Value::as_u64).map(|n| n as usize);
    config.image = size("img_size").unwrap_or(config.image);
    config.heads = size("heads").unwrap_or(config.heads);
    config.decoder_heads = size("dec_heads").unwrap_or(config.decoder_heads);
    Ok(config.checked()?.init(&weights)?)
}

/// Features of a case's classes: random directions.
pub fn features(params: &Value, classes: usize) -> Result<Tensor<2>, Trouble> {
    let text = det(text(params, "text")?, [classes, 512], 1.0, 0.0);
    Ok(text.clone() / text.square().sum_dim(1).sqrt())
}
