//! CLIP's image encoder and the style adapter, against arithmetic written out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_memory::{Budget, TensorShapes, hash_uniform};
use kiln_models::clip::Activation;
use kiln_models::image::Planes;
use kiln_models::vision::{StyleConfig, VisionConfig, VisionModel, prepared};

fn config(layers: usize) -> VisionConfig {
    VisionConfig {
        patch: 4,
        image: 12,
        width: 64,
        layers,
        heads: 1,
        mlp: 128,
        activation: Activation::QuickGelu,
        projection: Some(10),
    }
}

#[test]
fn the_configuration_is_read_off_names_and_shapes() {
    let names = config(2).tensors().unwrap();
    assert_eq!(VisionConfig::from_names(&names).unwrap().unwrap(), config(2));
    assert!(VisionConfig::from_names(&common::sd15()).unwrap().is_none());
    let style = StyleConfig { width: 64, context: 24, words: 3, layers: 2 };
    let mut names = style.tensors().unwrap();
    assert_eq!(StyleConfig::from_names(&names).unwrap(), style);
    names.insert("style_embedding", vec![3, 64]);
    assert!(StyleConfig::from_names(&names).is_none());
}

/// OpenCLIP's name of a tensor; keys and values lie in their queries'.
fn open_clip(name: &str, shape: &[usize]) -> Option<(String, Vec<usize>)> {
    let table = [
        ("vision_model.embeddings.class_embedding", "class_embedding"),
        ("vision_model.embeddings.patch_embedding.weight", "conv1.weight"),
        ("vision_model.embeddings.position_embedding.weight", "positional_embedding"),
        ("vision_model.pre_layrnorm", "ln_pre"),
        ("vision_model.post_layernorm", "ln_post"),
        ("vision_model.encoder.layers", "transformer.resblocks"),
        ("layer_norm1", "ln_1"),
        ("layer_norm2", "ln_2"),
        ("self_attn.out_proj", "attn.out_proj"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
    ];
    if name == "visual_projection.weight" {
        return Some(("visual.proj".to_owned(), vec![shape[1], shape[0]]));
    }
    if name.contains("k_proj") || name.contains("v_proj") {
        return None;
    }
    let renamed = table.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to));
    let renamed = renamed.replace("self_attn.q_proj.", "attn.in_proj_");
    let rows = if renamed.contains("in_proj_") { shape[0] * 3 } else { shape[0] };
    Some((format!("visual.{renamed}"), [&[rows], &shape[1..]].concat()))
}

#[test]
fn open_clips_names_are_the_same_network() {
    let names = config(2).tensors().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let open = |names: &TensorShapes, file: &str| {
        let path = dir.path().join(file);
        common::write(&path, names);
        VisionModel::open(&path, &Budget::unlimited("test")).unwrap().config().clone()
    };
    let renamed: TensorShapes = names.iter().filter_map(|(name, shape)| open_clip(name, shape)).collect();
    assert_eq!(open(&names, "hf.safetensors"), config(2));
    assert_eq!(open(&renamed, "open_clip.safetensors"), config(2));
}

fn weight(name: &str, shape: &[usize]) -> Vec<f64> {
    let mut values = vec![0f32; shape.iter().product()];
    hash_uniform(name, shape, &mut values);
    values.into_iter().map(f64::from).collect()
}

fn normed(row: &[f64], name: &str) -> Vec<f64> {
    let n = row.len();
    let (scale, shift) = (weight(&format!("{name}.weight"), &[n]), weight(&format!("{name}.bias"), &[n]));
    let mean = row.iter().sum::<f64>() / n as f64;
    let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
    (0..n).map(|i| (row[i] - mean) / (variance + 1e-5).sqrt() * scale[i] + shift[i]).collect()
}

fn image() -> Vec<f64> {
    (0..3 * 144).map(|i| ((i * 7) % 19) as f64 / 9.0 - 1.0).collect()
}

fn tensor(values: &[f64]) -> Tensor<4> {
    let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    Tensor::from_data(TensorData::new(values, [1, 3, 12, 12]), &Device::flex())
}

fn model(layers: usize) -> VisionModel {
    let config = config(layers);
    config.init(&common::weights(&config.tensors().unwrap())).unwrap()
}

#[test]
fn patches_positions_norms_and_projection_are_what_is_written_out() {
    let out = model(0).forward(tensor(&image())).unwrap();
    let (patches, class) = (
        weight("vision_model.embeddings.patch_embedding.weight", &[64, 3, 4, 4]),
        weight("vision_model.embeddings.class_embedding", &[64]),
    );
    let (positions, image) = (weight("vision_model.embeddings.position_embedding.weight", &[10, 64]), image());
    let token = |t: usize| -> Vec<f64> {
        let value = |c: usize| -> f64 {
            let Some(patch) = t.checked_sub(1) else { return class[c] };
            let (y, x) = (patch / 3 * 4, patch % 3 * 4);
            let pixel = |i: usize| image[i / 16 * 144 + (y + i / 4 % 4) * 12 + x + i % 4];
            (0..48).map(|i| patches[c * 48 + i] * pixel(i)).sum()
        };
        let row: Vec<f64> = (0..64).map(|c| value(c) + positions[t * 64 + c]).collect();
        normed(&row, "vision_model.pre_layrnorm")
    };
    let found = out.tokens.try_to_vec_as::<f32>().unwrap();
    let expected: Vec<f64> = (0..10).flat_map(token).collect();
    assert!(found.iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-4), "tokens");
    let own = normed(&expected[..64], "vision_model.post_layernorm");
    let projection = weight("visual_projection.weight", &[10, 64]);
    let embeds = out.embeds.unwrap().try_to_vec_as::<f32>().unwrap();
    for (row, found) in embeds.iter().enumerate() {
        let expected: f64 = (0..64).map(|c| projection[row * 64 + c] * own[c]).sum();
        assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} {expected}");
    }
}

#[test]
fn every_patch_is_seen_by_the_images_own_token() {
    let model = model(1);
    let seen = |image: &[f64]| {
        let out = model.forward(tensor(image)).unwrap();
        out.tokens.narrow(1, 0, 1).try_to_vec_as::<f32>().unwrap()
    };
    let mut other = image();
    *other.last_mut().unwrap() += 1.0;
    assert_ne!(seen(&image()), seen(&other));
}

#[test]
fn a_style_is_so_many_words_whatever_the_image_had() {
    let style = StyleConfig { width: 64, context: 24, words: 3, layers: 2 };
    let model = style.init(&common::weights(&style.tensors().unwrap())).unwrap();
    let tokens = |n: usize| Tensor::<3>::ones([2, n, 64], &Device::flex());
    assert_eq!(model.forward(tokens(10)).unwrap().dims(), [2, 3, 24]);
    let error = model.forward(Tensor::ones([1, 4, 32], &Device::flex())).unwrap_err().to_string();
    assert!(error.contains("another image encoder"), "{error}");
}

#[test]
fn images_are_cut_or_squeezed_into_a_square_around_their_mean() {
    let flat = Planes::new([1, 3, 20, 30], vec![0.6; 3 * 600]).unwrap();
    for cropped in [true, false] {
        let image = prepared(&flat, 12, cropped, &Device::flex());
        assert_eq!(image.dims(), [1, 3, 12, 12]);
        let expected = (153.0 / 255.0 - 0.481_454_66) / 0.268_629_54;
        let values = image.try_to_vec_as::<f32>().unwrap();
        assert!(values[..144].iter().all(|v| (v - expected).abs() < 1e-5));
    }
    // Bright columns at both ends are outside of the middle.
    let ends: Vec<f32> = (0..3 * 600).map(|i| if i % 30 < 4 || i % 30 >= 26 { 1.0 } else { 0.0 }).collect();
    let ends = Planes::new([1, 3, 20, 30], ends).unwrap();
    let brightest = |cropped| prepared(&ends, 20, cropped, &Device::flex()).max().into_scalar::<f32>();
    assert!(brightest(true) < 0.0 && brightest(false) > 1.0);
}
