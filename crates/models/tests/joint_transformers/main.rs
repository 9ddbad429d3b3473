//! Stable Diffusion 3's and Qwen-Image's networks and the autoencoder of clips: numbers of the reference, every format, memory.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common"]
mod common {
    pub(crate) mod formats;
    /// What [`formats`] takes of the others' file of this name.
    pub(crate) mod tiny {
        /// Values by name.
        pub(crate) type Tensors = indexmap::IndexMap<String, (Vec<usize>, Vec<f32>)>;
    }
}

mod clips;
mod formats;
mod numbers;
mod refusals;

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use common::tiny::Tensors;
use kiln_memory::{Budget, ComputedSource, TensorShapes, hash_uniform};
use kiln_models::{ModelWeights, mmdit::MmditConfig, qwen_image::QwenImageConfig};

/// The tiny network of Stable Diffusion 3.5 medium that the numbers were made with.
fn sd35m() -> MmditConfig {
    MmditConfig {
        in_channels: 16,
        out_channels: 16,
        patch: 2,
        width: 128,
        hidden: 512,
        vector: 40,
        context: 64,
        positions: Some(16),
        qk_norm: true,
        second_attention: vec![true, true, false, false],
    }
}

/// The tiny network of Qwen-Image that the numbers were made with.
fn qwen() -> QwenImageConfig {
    QwenImageConfig {
        in_channels: 16,
        out_channels: 16,
        width: 96,
        hidden: 384,
        context: 64,
        blocks: 3,
        head: 32,
        axes: [8, 12, 12],
        clean_references: false,
    }
}

/// Shapes as files have them: the table of positions has one axis more than its network sees.
fn in_file(tensors: &TensorShapes) -> TensorShapes {
    let shape = |name: &str, shape: &[usize]| if name == "pos_embed" { [&[1], shape].concat() } else { shape.to_vec() };
    tensors.iter().map(|(name, own)| (name.to_owned(), shape(name, own))).collect()
}

/// Weights by the recipe of the name behind `prefix`.
fn weights(prefix: &'static str, tensors: &TensorShapes) -> ModelWeights {
    let shapes: Vec<(String, Vec<usize>)> =
        tensors.iter().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect();
    let rule = move |name: &str, shape: &[usize], out: &mut [f32]| {
        let shape = if name == "pos_embed" { [&[1], shape].concat() } else { shape.to_vec() };
        hash_uniform(&format!("{prefix}{name}"), &shape, out);
    };
    ModelWeights::plain(ComputedSource::new("recipe", shapes, rule), "test", &Budget::unlimited("test"))
}

/// A file's tensors by the recipe.
fn values(prefix: &str, tensors: &TensorShapes) -> Tensors {
    let tensor = |(name, shape): (&str, &[usize])| {
        let mut values = vec![0.0; shape.iter().product()];
        hash_uniform(&format!("{prefix}{name}"), shape, &mut values);
        (name.to_owned(), (shape.to_vec(), values))
    };
    tensors.iter().map(tensor).collect()
}

fn wave<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * 0.37).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn floats<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
    x.try_to_vec_as::<f32>().unwrap()
}

/// The largest difference, relative to the largest value but at least to 1.
fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1.0f32, |largest, v| largest.max(v.abs()));
    found.iter().zip(expected).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs())) / largest
}

/// Numbers of the reference: `net_sd35m` (case `no_y`), `net_qwen` (`ref1_batch2`), `net_qwen_2511` (`one`) and `vae21` (5
/// frames, every 7th value of its images), made by ComfyUI 0.3.75's classes with PyTorch.
struct Reference(Arc<kiln_memory::WeightFile>);

impl Reference {
    fn open() -> Self {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/transformers.safetensors");
        Self(kiln_memory::WeightFile::open(&path).unwrap())
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        use kiln_memory::TensorSource;
        let mut values = vec![0.0; self.0.get(name).unwrap().elements()];
        self.0.read_f32(name, &mut values).unwrap();
        values
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let shape: [usize; D] = self.0.get(name).unwrap().shape.clone().try_into().unwrap();
        Tensor::from_data(TensorData::new(self.floats(name), shape), &Device::flex())
    }
}
