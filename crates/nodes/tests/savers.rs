//! Models written and loaded again: the run afterwards is the run before, to the last bit.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::PathBuf;

use common::{Bench, Start, distance, node, write_remade};
use kiln_exec::{GraphBuilder, Link};
use kiln_memory::{Budget, TensorShapes, TensorSource, WeightFile};
use kiln_models::Checkpoint;
use kiln_nodes::files::DirKind;
use serde_json::{Value as Json, json};

const MODEL: &str = "fluent-tiny.safetensors";

/// A file of the output folder, put where models are looked for.
fn shelved(bench: &Bench, kind: &str, saved: &str) -> PathBuf {
    let path = bench.model_path(kind, "saved.safetensors");
    std::fs::copy(bench.folder(DirKind::Output).join(saved), &path).unwrap();
    path
}

fn run(bench: &Bench, model: &str, change: impl FnOnce(&GraphBuilder, &mut Start)) -> Vec<f32> {
    let g = GraphBuilder::new();
    let mut s = Start::new(&g, model);
    change(&g, &mut s);
    s.sampled(bench, g)
}

/// A model half way to another one, text encoders too.
fn merged(g: &GraphBuilder, s: &mut Start) {
    let other = node(g, "CheckpointLoaderSimple", &[], &json!({"ckpt_name": "other.safetensors"}));
    s.model = node(g, "ModelMergeSimple", &[("model1", &s.model), ("model2", &other)], &json!({"ratio": 0.3}));
    let links = [("clip1", &s.clip), ("clip2", &Link::new(&other.node, 1))];
    s.clip = node(g, "CLIPMergeSimple", &links, &json!({"ratio": 0.3}));
    encode(g, s);
}

fn encode(g: &GraphBuilder, s: &mut Start) {
    for (condition, text) in [(&mut s.positive, "a red apple"), (&mut s.negative, "blue")] {
        *condition = node(g, "CLIPTextEncode", &[("clip", &s.clip)], &json!({"text": text}));
    }
}

fn bench() -> Bench {
    let bench = Bench::new();
    write_remade(&bench.model_path("checkpoints", "other.safetensors"), |_| {
        |place, value| value * [0.75, 1.25, 0.5, 1.0][place % 4]
    });
    bench
}

fn save(bench: &Bench, class: &str, change: impl FnOnce(&GraphBuilder, &mut Start), prefix: &str) {
    let g = GraphBuilder::new();
    let mut s = Start::new(&g, MODEL);
    change(&g, &mut s);
    let links: &[(&str, &Link)] = match class {
        "CheckpointSave" => &[("model", &s.model), ("clip", &s.clip), ("vae", &s.vae)],
        "ModelSave" => &[("model", &s.model)],
        "CLIPSave" => &[("clip", &s.clip)],
        _ => &[("vae", &s.vae)],
    };
    node(&g, class, links, &json!({"filename_prefix": prefix}));
    bench.run(g).unwrap();
}

#[test]
fn an_unchanged_checkpoint_is_written_byte_for_byte() {
    let bench = Bench::new();
    save(&bench, "CheckpointSave", |_, _| {}, "kept/kiln");
    let saved = WeightFile::open(bench.folder(DirKind::Output).join("kept/kiln_00001_.safetensors")).unwrap();
    let original = WeightFile::open(common::assets().join(MODEL)).unwrap();
    let names = TensorShapes::of(&*saved);
    let checked = names.iter().filter(|(name, shape)| {
        assert_eq!(original.info(name).unwrap().shape, *shape, "{name}");
        assert_eq!(saved.slice(name), original.slice(name), "{name}");
        true
    });
    assert_eq!(checked.count(), TensorShapes::of(&*original).len());
    let prompt: Json = serde_json::from_str(saved.metadata().get("prompt").unwrap()).unwrap();
    assert!(prompt.as_object().unwrap().values().any(|node| node["class_type"] == "CheckpointSave"));
    assert_eq!(saved.metadata().get("modelspec.predict_key").map(String::as_str), Some("epsilon"));
}

#[test]
fn a_merged_checkpoint_loads_again_as_what_it_was() {
    let bench = bench();
    let before = run(&bench, MODEL, merged);
    save(&bench, "CheckpointSave", merged, "merged");
    shelved(&bench, "checkpoints", "merged_00001_.safetensors");
    assert_eq!(run(&bench, "saved.safetensors", |_, _| {}), before);
    assert_ne!(before, run(&bench, MODEL, |_, _| {}));
}

#[test]
fn each_part_loads_again_from_a_file_of_its_own() {
    let bench = bench();
    let before = run(&bench, MODEL, merged);
    save(&bench, "ModelSave", merged, "unet");
    save(&bench, "CLIPSave", merged, "text");
    shelved(&bench, "diffusion_models", "unet_00001_.safetensors");
    shelved(&bench, "text_encoders", "text_clip_l_00001_.safetensors");
    let after = run(&bench, MODEL, |g, s| {
        s.model = node(g, "UNETLoader", &[], &json!({"unet_name": "saved.safetensors", "weight_dtype": "default"}));
        let widgets = json!({"clip_name": "saved.safetensors", "type": "stable_diffusion"});
        s.clip = node(g, "CLIPLoader", &[], &widgets);
        encode(g, s);
    });
    assert_eq!(after, before);
}

#[test]
fn an_autoencoder_loads_again_from_a_file_of_its_own() {
    let bench = Bench::new();
    save(&bench, "VAESave", |_, _| {}, "vae/part");
    let path = shelved(&bench, "vae", "vae/part_00001_.safetensors");
    assert!(WeightFile::open(&path).unwrap().get("decoder.conv_in.weight").is_some());
    let encoded = |loader: bool| {
        let g = GraphBuilder::new();
        let s = Start::new(&g, MODEL);
        let vae =
            if loader { node(&g, "VAELoader", &[], &json!({"vae_name": "saved.safetensors"})) } else { s.vae.clone() };
        let widgets = json!({"width": 64, "height": 64, "batch_size": 1, "color": 0x0040_c0f0});
        let image = node(&g, "EmptyImage", &[], &widgets);
        let latent = node(&g, "VAEEncode", &[("pixels", &image), ("vae", &vae)], &json!({}));
        bench.latent(g, &latent)
    };
    assert_eq!(encoded(true), encoded(false));
}

#[test]
fn a_model_of_another_prediction_says_so_in_its_file() {
    let bench = Bench::new();
    let checkpoint = Checkpoint::open(&common::assets().join(MODEL), &Budget::unlimited("test")).unwrap();
    let mut model = checkpoint.model;
    model.prediction = kiln_models::detect::Prediction::V { zero_terminal_snr: true };
    let sampling = kiln_models::schedule::ModelSampling::v_prediction(true);
    let path = bench.root.path().join("v.safetensors");
    let file = kiln_models::save::ModelFile::default().with_model(&model, &sampling);
    file.write(&mut std::fs::File::create(&path).unwrap(), &indexmap::IndexMap::new()).unwrap();
    let names = TensorShapes::of(&*WeightFile::open(&path).unwrap());
    assert_eq!((names.shape("v_pred"), names.shape("ztsnr")), (Some(&[0][..]), Some(&[0][..])));
}

/// The rank-1 difference between two models: one weight of the network, one of the text encoder.
fn lift(name: &str) -> impl Fn(usize, f32) -> f32 + use<> {
    let width = match name {
        "model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.weight" => 128,
        name if name.ends_with("encoder.layers.0.self_attn.q_proj.weight") => 64,
        _ => 0,
    };
    let bias = name == "model.diffusion_model.out.2.bias";
    // Values of one size, so that nothing lies beyond the quantile at which they are cut.
    let sign = |i: usize| if (i * 7).is_multiple_of(3) { -1.0 } else { 1.0 };
    move |place, value| match width {
        0 if bias => value + 0.5,
        0 => value,
        _ => value + 0.25 * sign(place / width) * sign(place % width + 1),
    }
}

#[test]
fn a_lora_taken_from_two_models_leads_from_one_to_the_other() {
    let bench = Bench::new();
    write_remade(&bench.model_path("checkpoints", "lifted.safetensors"), lift);
    for kind in ["standard", "full_diff"] {
        let g = GraphBuilder::new();
        let s = Start::new(&g, MODEL);
        let lifted = node(&g, "CheckpointLoaderSimple", &[], &json!({"ckpt_name": "lifted.safetensors"}));
        let links = [("model1", &lifted), ("model2", &s.model)];
        let model = node(&g, "ModelMergeSubtract", &links, &json!({"multiplier": 1.0}));
        let links = [("clip1", &Link::new(&lifted.node, 1)), ("clip2", &s.clip)];
        let text = node(&g, "CLIPMergeSubtract", &links, &json!({"multiplier": 1.0}));
        let widgets = json!({"filename_prefix": kind, "rank": 2, "lora_type": kind, "bias_diff": true});
        node(&g, "LoraSave", &[("model_diff", &model), ("text_encoder_diff", &text)], &widgets);
        bench.run(g).unwrap();
        let path = shelved(&bench, "loras", &format!("{kind}_00001_.safetensors"));
        let names = TensorShapes::of(&*WeightFile::open(&path).unwrap());
        let stem = "diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q";
        if kind == "standard" {
            assert_eq!(names.shape(&format!("{stem}.lora_up.weight")), Some(&[128, 2][..]));
            assert_eq!(names.len(), 5, "{names:?}");
        } else {
            assert_eq!(names.shape(&format!("{stem}.diff")), Some(&[128, 128][..]));
            assert_eq!(names.len(), 3, "{names:?}");
        }
        let with_lora = run(&bench, MODEL, |g, s| {
            let widgets = json!({"lora_name": "saved.safetensors", "strength_model": 1.0, "strength_clip": 1.0});
            s.model = node(g, "LoraLoader", &[("model", &s.model), ("clip", &s.clip)], &widgets);
            s.clip = Link::new(&s.model.node, 1);
            encode(g, s);
        });
        let expected = run(&bench, "lifted.safetensors", |_, _| {});
        // Differences are kept as halves.
        let found = distance(&with_lora, &expected);
        assert!(found < 2e-2, "{kind}: {found}");
        assert!(distance(&run(&bench, MODEL, |_, _| {}), &expected) > 5.0 * found, "{kind}");
    }
}

#[test]
fn two_models_that_do_not_differ_leave_no_lora() {
    let bench = Bench::new();
    let g = GraphBuilder::new();
    let s = Start::new(&g, MODEL);
    let links = [("model1", &s.model), ("model2", &s.model)];
    let nothing = node(&g, "ModelMergeSubtract", &links, &json!({"multiplier": 1.0}));
    let widgets = json!({"filename_prefix": "none", "rank": 2, "lora_type": "standard", "bias_diff": true});
    node(&g, "LoraSave", &[("model_diff", &nothing)], &widgets);
    let error = bench.run(g).unwrap_err().to_string();
    assert!(error.contains("do not differ"), "{error}");
    assert!(bench.files(DirKind::Output).is_empty());
}

#[test]
fn a_prefix_that_leads_outside_is_told_before_anything_runs() {
    let bench = Bench::new();
    for class in ["CheckpointSave", "ModelSave", "CLIPSave", "VAESave"] {
        let g = GraphBuilder::new();
        let s = Start::new(&g, MODEL);
        let links: &[(&str, &Link)] = match class {
            "CheckpointSave" => &[("model", &s.model), ("clip", &s.clip), ("vae", &s.vae)],
            "ModelSave" => &[("model", &s.model)],
            "CLIPSave" => &[("clip", &s.clip)],
            _ => &[("vae", &s.vae)],
        };
        node(&g, class, links, &json!({"filename_prefix": "../../away"}));
        assert!(bench.run(g).is_err(), "{class}");
        assert!(bench.files(DirKind::Output).is_empty(), "{class}");
    }
}

/// The bundled network as a file of its own in e4m3fn, each matrix times a power of two that stands beside it.
fn write_narrow(bench: &Bench, name: &str, scaled: bool) {
    const PREFIX: &str = "model.diffusion_model.";
    let original = WeightFile::open(common::assets().join(MODEL)).unwrap();
    let mut list = vec![0f32; 127];
    let bytes: Vec<u8> = (0..=126).collect();
    kiln_memory::decode_f32(kiln_memory::Dtype::F8E4M3, &bytes, &mut list).unwrap();
    let mut tensors: Vec<(String, safetensors::Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (key, shape) in TensorShapes::of(&*original).iter() {
        let Some(stem) = key.strip_prefix(PREFIX) else { continue };
        let mut values = vec![0f32; shape.iter().product()];
        original.read_f32(key, &mut values).unwrap();
        let scale = if scaled && shape.len() == 2 { 0.25f32 } else { 1.0 };
        let bytes = values.iter().map(|v| narrow(&list, v / scale)).collect();
        tensors.push((stem.to_owned(), safetensors::Dtype::F8_E4M3, shape.to_vec(), bytes));
        if let (Some(stem), true) = (stem.strip_suffix(".weight"), scaled && shape.len() == 2) {
            let bytes = scale.to_le_bytes().to_vec();
            tensors.push((format!("{stem}.scale_weight"), safetensors::Dtype::F32, vec![1], bytes));
        }
    }
    if scaled {
        tensors.push(("scaled_fp8".to_owned(), safetensors::Dtype::F8_E4M3, vec![0], Vec::new()));
    }
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (name, safetensors::tensor::TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    std::fs::write(bench.model_path("diffusion_models", name), safetensors::serialize(views, None).unwrap()).unwrap();
}

/// The e4m3fn whose value is nearest, found by trying all of them.
fn narrow(list: &[f32], value: f32) -> u8 {
    let above = list.partition_point(|v| *v < value.abs()).min(126);
    let below = above.saturating_sub(1);
    let (low, high) = (value.abs() - list[below], list[above] - value.abs());
    let even = if low == high { below % 2 == 0 } else { low < high };
    let byte = if even { below } else { above } as u8;
    if value < 0.0 { byte | 0x80 } else { byte }
}

#[test]
fn narrow_files_with_and_without_scales_are_the_network_rounded_by_the_loader() {
    let bench = Bench::new();
    let loaded = |name: &str, weight_dtype: &str| {
        run(&bench, MODEL, |g, s| {
            let widgets = json!({"unet_name": name, "weight_dtype": weight_dtype});
            s.model = node(g, "UNETLoader", &[], &widgets);
        })
    };
    save(&bench, "ModelSave", |_, _| {}, "unet");
    shelved(&bench, "diffusion_models", "unet_00001_.safetensors");
    write_narrow(&bench, "plain.safetensors", false);
    write_narrow(&bench, "scaled.safetensors", true);
    let rounded = loaded("saved.safetensors", "fp8_e4m3fn");
    assert_eq!(loaded("plain.safetensors", "default"), rounded);
    assert_eq!(loaded("saved.safetensors", "fp8_e4m3fn_fast"), rounded);
    let (scaled, exact) = (loaded("scaled.safetensors", "default"), loaded("saved.safetensors", "default"));
    assert_eq!(exact, run(&bench, MODEL, |_, _| {}));
    assert!(distance(&rounded, &exact) > 1e-3 && distance(&scaled, &exact) > 1e-3);
    // Fewer small weights are lost below the least number of eight bits.
    assert!(distance(&scaled, &exact) < distance(&rounded, &exact) * 1.5);
    assert_ne!(loaded("saved.safetensors", "fp8_e5m2"), rounded);
}
