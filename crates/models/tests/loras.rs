//! LoRA files: found by every convention, applied to the weights of the bundled model.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{path::Path, sync::Arc};

use burn::tensor::{Device, Tensor};
use kiln_memory::{Budget, MemorySource, Rounding};
use kiln_models::{
    Checkpoint, DiffusionModel, Extras,
    lora::{Adapter, LoraFile, Matrix, Prefixes},
};

fn checkpoint() -> Checkpoint {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/fluent-tiny.safetensors");
    Checkpoint::open(&path, &Budget::unlimited("test")).unwrap()
}

fn lora(tensors: &[(&str, &[usize], f32)]) -> LoraFile {
    let mut source = MemorySource::new("test lora");
    for (name, shape, value) in tensors {
        source.insert_f32(*name, shape, vec![*value; shape.iter().product()]).unwrap();
    }
    LoraFile::new(Arc::new(source))
}

fn eps(model: &kiln_models::DiffusionModel) -> Vec<f32> {
    let device = Device::flex();
    let (x, context) = (Tensor::<4>::ones([1, 4, 8, 8], &device), Tensor::<3>::ones([1, 4, 64], &device));
    let y = model.network.forward(x, &[10.0], context, &Extras::default()).unwrap();
    y.into_data().try_to_vec::<f32>().unwrap()
}

const KOHYA: &str = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";
const PEFT: &str = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
const KEY: &str = "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight";

#[test]
fn conventions_for_one_weight_change_it_alike() {
    let model = checkpoint().model;
    let keys = model.lora_keys().unwrap();
    let kohya = [(format!("{KOHYA}.lora_up.weight"), format!("{KOHYA}.lora_down.weight"))];
    let peft = [(format!("{PEFT}.lora_B.weight"), format!("{PEFT}.lora_A.weight"))];
    let mut results = Vec::new();
    for (up, down) in kohya.iter().chain(&peft) {
        let file = lora(&[(up, &[64, 2], 0.1), (down, &[2, 64], 0.2)]);
        let found = file.find(&keys);
        assert_eq!((found.targets.len(), found.unmatched.len()), (1, 0));
        assert_eq!(found.targets[0].key, KEY);
        results.push(eps(&model.patched(&file, &found.targets, 1.0).unwrap()));
    }
    assert_eq!(results[0], results[1]);
    assert_ne!(results[0], eps(&model));
}

#[test]
fn strength_zero_changes_nothing_and_opposite_strengths_cancel() {
    let model = checkpoint().model;
    let file = lora(&[("diffusion_model.out.2.diff_b", &[4], 0.5)]);
    let found = file.find(&model.lora_keys().unwrap());
    assert_eq!(found.targets[0].key, "diffusion_model.out.2.bias");
    let plain = eps(&model);
    assert_eq!(eps(&model.patched(&file, &found.targets, 0.0).unwrap()), plain);
    let more = model.patched(&file, &found.targets, 1.0).unwrap();
    assert!(eps(&more).iter().zip(&plain).all(|(a, b)| (a - b - 0.5).abs() < 1e-5));
    let back = more.patched(&file, &found.targets, -1.0).unwrap();
    assert!(eps(&back).iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-5));
}

/// Checksums by torch 2.6: the bundled weight in eight bits, widened, plus `up · down`, rounded by ComfyUI's formula with
/// torch's generator, seeded by the CRC-32 of the weight's name there.
#[test]
fn a_weight_held_in_eight_bits_is_rounded_by_chance_after_its_patches() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/fluent-tiny.safetensors");
    let (up, down) = (format!("{KOHYA}.lora_up.weight"), format!("{KOHYA}.lora_down.weight"));
    let file = lora(&[(&up, &[64, 2], 0.1), (&down, &[2, 64], 0.2)]);
    let kinds = [(Rounding::F8E4M3, 0x1575_b197_717b_6325), (Rounding::F8E5M2, 0x67f9_1a23_b95b_6325)];
    for (rounding, expected) in kinds {
        let model = DiffusionModel::open_rounded(&path, Some(rounding), &Budget::unlimited("test")).unwrap();
        let found = file.find(&model.lora_keys().unwrap());
        let patched = model.patched(&file, &found.targets, 1.0).unwrap();
        let key = KEY.strip_prefix("diffusion_model.").unwrap();
        let values = patched.weights.weights().weight(key).unwrap().read().unwrap();
        let bits = values.iter().map(|v| u64::from(v.to_bits()));
        let sum = bits.fold(0xcbf2_9ce4_8422_2325, |h: u64, bits| (h ^ bits).wrapping_mul(0x0100_0000_01b3));
        assert_eq!(sum, expected, "{rounding:?}");
        // A second LoRA on top: all patches first, one rounding after them.
        let twice = patched.patched(&file, &found.targets, -1.0).unwrap();
        let back = twice.weights.weights().weight(key).unwrap().read().unwrap();
        let plain = model.weights.weights().weight(key).unwrap().read().unwrap();
        assert!(back.iter().zip(plain.iter()).all(|(a, b)| (a - b).abs() <= b.abs() * 0.26 + 2e-3));
    }
}

#[test]
fn a_patch_of_another_size_leaves_the_weight_alone() {
    let model = checkpoint().model;
    let (up, down) = (format!("{KOHYA}.lora_up.weight"), format!("{KOHYA}.lora_down.weight"));
    let file = lora(&[(&up, &[320, 2], 0.1), (&down, &[2, 320], 0.2)]);
    let found = file.find(&model.lora_keys().unwrap());
    assert_eq!(eps(&model.patched(&file, &found.targets, 1.0).unwrap()), eps(&model));
}

#[test]
fn tensors_for_no_weight_of_the_model_are_listed() {
    let model = checkpoint().model;
    let file = lora(&[("lora_unet_double_blocks_0_img_attn.lora_up.weight", &[4, 2], 1.0)]);
    let found = file.find(&model.lora_keys().unwrap());
    assert!(found.targets.is_empty());
    assert_eq!(found.unmatched, ["lora_unet_double_blocks_0_img_attn.lora_up.weight"]);
}

#[test]
fn a_text_encoder_is_patched_by_its_own_prefix() {
    let text = checkpoint().text.unwrap();
    let keys = text.lora_keys().unwrap();
    let file = lora(&[("lora_te_text_model_encoder_layers_0_mlp_fc1.diff", &[256, 64], 0.25)]);
    let found = file.find(&keys);
    let patched = text.patched(&file, &found.targets, 1.0).unwrap();
    let read = |text: &kiln_models::TextEncoders| {
        text.encoders[0]
            .weights
            .weights()
            .weight("text_model.encoder.layers.0.mlp.fc1.weight")
            .unwrap()
            .read()
            .unwrap()
            .to_vec()
    };
    let (before, after) = (read(&text), read(&patched));
    assert!(before.iter().zip(&after).all(|(a, b)| half::f16::from_f32(a + 0.25).to_f32() == *b));
}

fn apply(tensors: &[(&str, &[usize], f32)], shape: &[usize], weight: f32) -> Vec<f32> {
    let file = lora(tensors);
    let prefixes: Prefixes = [("x".to_owned(), "x.weight".to_owned())].into_iter().collect();
    let found = file.find(&prefixes);
    let mut array = Matrix { shape: shape.to_vec(), values: vec![weight; shape.iter().product()] };
    for target in &found.targets {
        file.adapter(target).unwrap().apply(&mut array, 1.0).unwrap();
    }
    array.values
}

#[test]
fn in_place_is_the_same_as_a_delta_added() {
    let wave = |n: usize| (0..n).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<f32>>();
    for (rows, rank, columns) in [(33, 6, 1100), (1, 1, 1), (16, 16, 512), (5, 3, 7)] {
        let mut source = MemorySource::new("test lora");
        source.insert_f32("x.lora_up.weight", &[rows, rank], wave(rows * rank)).unwrap();
        source.insert_f32("x.lora_down.weight", &[rank, columns], wave(rank * columns)).unwrap();
        let file = LoraFile::new(Arc::new(source));
        let prefixes: Prefixes = [("x".to_owned(), "x.weight".to_owned())].into_iter().collect();
        let adapter = file.adapter(&file.find(&prefixes).targets[0]).unwrap();
        let mut array = Matrix { shape: vec![rows, columns], values: wave(rows * columns) };
        let mut values = array.values.clone();
        adapter.apply(&mut array, 0.5).unwrap();
        assert!(adapter.apply_in_place(&mut values, 0.5));
        assert_eq!(values, array.values, "{rows} x {columns}, rank {rank}");
        assert!(!adapter.apply_in_place(&mut values[1..], 0.5), "one value too few");
    }
}

#[test]
fn alpha_over_rank_is_the_scale() {
    let values = apply(
        &[("x.lora_up.weight", &[2, 4], 1.0), ("x.lora_down.weight", &[4, 3], 1.0), ("x.alpha", &[], 2.0)],
        &[2, 3],
        10.0,
    );
    assert_eq!(values, [12.0; 6]);
}

#[test]
fn a_middle_of_a_locon_stands_between_up_and_down() {
    let values = apply(
        &[
            ("x.lora_up.weight", &[2, 2, 1, 1], 1.0),
            ("x.lora_down.weight", &[2, 3, 1, 1], 1.0),
            ("x.lora_mid.weight", &[2, 2, 3, 3], 0.5),
        ],
        &[2, 3, 3, 3],
        0.0,
    );
    assert_eq!(values, [2.0; 54]);
}

#[test]
fn glora_multiplies_the_weight_and_adds() {
    let values = apply(
        &[
            ("x.a1.weight", &[3, 1], 1.0),
            ("x.a2.weight", &[1, 3], 0.5),
            ("x.b1.weight", &[2, 1], 1.0),
            ("x.b2.weight", &[1, 3], 0.25),
        ],
        &[2, 3],
        1.0,
    );
    assert_eq!(values, [1.0 + 1.5 + 0.25; 6]);
}

/// An adapter's change of a weight, with numbers of its own everywhere.
fn wave(name: &str, n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.7 + name.len() as f32 + f32::from(name.as_bytes()[2])).sin()).collect()
}

/// The product of two matrices, written out.
fn times(a: &[f32], b: &[f32], inner: usize) -> Vec<f32> {
    let (rows, columns) = (a.len() / inner, b.len() / inner);
    let at = |row: usize, column: usize| (0..inner).map(|i| a[row * inner + i] * b[i * columns + column]).sum::<f32>();
    (0..rows * columns).map(|i| at(i / columns, i % columns)).collect()
}

#[test]
fn glora_of_the_older_layout_has_its_factors_the_other_way_round() {
    let shapes_of = |[outputs, inputs, rank]: [usize; 3], older: bool| -> [(&str, [usize; 2]); 4] {
        let names = ["x.a1.weight", "x.a2.weight", "x.b1.weight", "x.b2.weight"];
        let shapes = if older {
            [[rank, inputs], [inputs, rank], [rank, inputs], [outputs, rank]]
        } else {
            [[inputs, rank], [rank, inputs], [outputs, rank], [rank, inputs]]
        };
        [0, 1, 2, 3].map(|i| (names[i], shapes[i]))
    };
    // Where the rank is the side of a square weight both layouts fit, and the older one is meant.
    for (size, older) in [([5, 3, 2], true), ([3, 5, 2], true), ([5, 3, 2], false), ([4, 4, 4], true)] {
        let [outputs, inputs, rank] = size;
        let mut source = MemorySource::new("test lora");
        for (name, shape) in shapes_of(size, older) {
            source.insert_f32(name, &shape, wave(name, shape[0] * shape[1])).unwrap();
        }
        source.insert_f32("x.alpha", &[], vec![1.0]).unwrap();
        let file = LoraFile::new(Arc::new(source));
        let prefixes: Prefixes = [("x".to_owned(), "x.weight".to_owned())].into_iter().collect();
        let adapter = file.adapter(&file.find(&prefixes).targets[0]).unwrap();
        let weight = wave("weight", outputs * inputs);
        let mut array = Matrix { shape: vec![outputs, inputs], values: weight.clone() };
        adapter.apply(&mut array, 0.5).unwrap();
        let [a1, a2, b1, b2] = shapes_of(size, older).map(|(name, shape)| wave(name, shape[0] * shape[1]));
        let (through, added) = if older {
            (times(&times(&weight, &a2, inputs), &a1, rank), times(&b2, &b1, rank))
        } else {
            (times(&times(&weight, &a1, inputs), &a2, rank), times(&b1, &b2, rank))
        };
        let scale = 0.5 / rank as f32;
        for (i, found) in array.values.iter().enumerate() {
            let expected = weight[i] + scale * (through[i] + added[i]);
            assert!((found - expected).abs() < 1e-5, "{size:?} {older} {i}: {found} {expected}");
        }
    }
}

#[test]
fn rotations_of_nothing_turn_nothing() {
    for shape in [&[2, 2, 2][..], &[2, 2, 2, 2]] {
        assert_eq!(apply(&[("x.oft_blocks", shape, 0.5)], &[4, 3], 1.0), [1.0; 12]);
    }
}

#[test]
fn set_replaces_and_a_wrong_shape_is_an_error() {
    assert_eq!(apply(&[("x.set_weight", &[2], 7.0)], &[2], 1.0), [7.0, 7.0]);
    let mut weight = Matrix { shape: vec![3], values: vec![1.0; 3] };
    let wrong = Adapter::Set(Matrix { shape: vec![2], values: vec![7.0; 2] });
    let error = wrong.apply(&mut weight, 1.0).unwrap_err().to_string();
    assert_eq!(error, "its tensor `set_weight` [2] doesn't fit a weight of [3] (a LoRA for another model?)");
    assert_eq!(weight.values, [1.0; 3]);
}
