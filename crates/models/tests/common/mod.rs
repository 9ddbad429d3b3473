//! Lists of keys and small models for the tests of the networks.
#![allow(dead_code, clippy::unwrap_used)]

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, ComputedSource, KeyMap, TensorShapes};
use kiln_models::ModelWeights;

/// A compact list of keys: see the head of `data/keys_*.txt`.
pub(crate) fn keys(text: &str) -> TensorShapes {
    let (mut names, mut modules) = (TensorShapes::default(), vec![String::new()]);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(list) = line.strip_prefix("@ ") {
            modules = list.split(' ').map(|module| format!("{module}.")).collect();
            continue;
        }
        let mut parts = line.split(' ');
        let name = parts.next().unwrap();
        let shape: Vec<usize> = parts.map(|side| side.parse().unwrap()).collect();
        for module in &modules {
            names.insert(format!("{module}{name}"), shape.clone());
        }
    }
    names
}

/// Full-size Stable Diffusion 1.5.
pub(crate) fn sd15() -> TensorShapes {
    keys(include_str!("../data/keys_sd15.txt"))
}

/// Full-size SDXL base.
pub(crate) fn sdxl() -> TensorShapes {
    keys(include_str!("../data/keys_sdxl.txt"))
}

/// Weights that are a function of name and shape, for every name.
pub(crate) fn computed(names: &TensorShapes) -> ComputedSource {
    let shapes: Vec<_> = names.iter().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect();
    ComputedSource::hash_uniform(shapes)
}

pub(crate) fn weights(names: &TensorShapes) -> ModelWeights {
    ModelWeights::plain(computed(names), "test", &Budget::unlimited("test"))
}

pub(crate) fn keyed_as(names: &TensorShapes, map: KeyMap) -> ModelWeights {
    let source = computed(names);
    debug_assert_eq!(TensorShapes::of(&source).len(), names.len());
    ModelWeights::new(Arc::new(source), map, "test", &Budget::unlimited("test"))
}

/// Writes a safetensors file of f32 zeros.
pub(crate) fn write(path: &Path, names: &TensorShapes) {
    let (mut header, mut at) = (serde_json::Map::new(), 0usize);
    for (name, shape) in names.iter() {
        let bytes = shape.iter().product::<usize>() * 4;
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [at, at + bytes]});
        header.insert(name.to_owned(), entry);
        at += bytes;
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.resize(file.len() + at, 0);
    std::fs::write(path, file).unwrap();
}

/// `a · u(i) + base` as a tensor: inputs that reference scripts make alike.
pub(crate) fn uniform<const D: usize>(name: &str, shape: [usize; D], a: f32, base: f32) -> burn::tensor::Tensor<D> {
    let mut values = vec![0.0; shape.iter().product()];
    kiln_memory::fill_uniform(name, base, a, &mut values);
    let data = burn::tensor::TensorData::new(values, shape);
    burn::tensor::Tensor::from_data(data, &burn::tensor::Device::flex())
}

/// Checks mean, deviation, largest size, first and last value against a reference's, to a share of the largest size.
pub(crate) fn assert_five<const D: usize>(found: burn::tensor::Tensor<D>, expected: [f64; 5], tolerance: f64) {
    let values = found.into_data().try_to_vec::<f32>().unwrap();
    let values: Vec<f64> = values.into_iter().map(f64::from).collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    let largest = values.iter().fold(0f64, |most, v| most.max(v.abs()));
    let found = [mean, deviation, largest, values[0], values[values.len() - 1]];
    let close = found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= tolerance * expected[2]);
    assert!(close, "{found:?}, expected {expected:?}");
}
