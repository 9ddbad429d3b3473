//! Nodes that hang changes on a model, in whole runs of the bundled one: neutral numbers give the plain run to the bit,
//! others another, and what can be written as another graph equals that graph.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Bench, Start, distance, node, out};
use kiln_exec::{GraphBuilder, Link};
use kiln_nodes::sampling::{BasicScheduler, CFGGuider, KSamplerSelect, RandomNoise, SamplerCustomAdvanced};
use kiln_nodes::{CLIPTextEncode, Clip, Conditioning, EmptyLatentImage, Model};
use serde_json::{Value as Json, json};

const MODEL: &str = "fluent-tiny.safetensors";

/// A run whose model went through one node of `class`.
fn with(bench: &Bench, class: &str, widgets: &Json) -> Vec<f32> {
    let g = GraphBuilder::new();
    let mut s = Start::new(&g, MODEL);
    s.model = node(&g, class, &[("model", &s.model)], widgets);
    s.sampled(bench, g)
}

fn reuse(threshold: f64) -> Json {
    json!({"reuse_threshold": threshold, "start_percent": 0.0, "end_percent": 1.0, "verbose": false})
}

fn plain(bench: &Bench) -> Vec<f32> {
    let g = GraphBuilder::new();
    Start::new(&g, MODEL).sampled(bench, g)
}

#[test]
fn neutral_numbers_give_the_plain_run() {
    let bench = Bench::new();
    let plain = plain(&bench);
    let shrink = json!({
        "block_number": 3, "downscale_factor": 1.0, "start_percent": 0.0, "end_percent": 1.0,
        "downscale_after_skip": true, "downscale_method": "nearest-exact", "upscale_method": "nearest-exact"
    });
    let ones = json!({"q": 1.0, "k": 1.0, "v": 1.0, "out": 1.0});
    let neutral = [
        ("FreeU", json!({"b1": 1.0, "b2": 1.0, "s1": 1.0, "s2": 1.0})),
        ("FreeU_V2", json!({"b1": 1.0, "b2": 1.0, "s1": 1.0, "s2": 1.0})),
        ("PatchModelAddDownscale", shrink),
        ("HyperTile", json!({"tile_size": 2048, "swap_size": 1, "max_depth": 0, "scale_depth": false})),
        ("TomePatchModel", json!({"ratio": 0.0})),
        ("PerturbedAttentionGuidance", json!({"scale": 0.0})),
        ("TemporalScoreRescaling", json!({"tsr_k": 1.0, "tsr_sigma": 1.0})),
        ("UNetSelfAttentionMultiply", ones.clone()),
        ("UNetCrossAttentionMultiply", ones),
        ("EasyCache", reuse(0.0)),
        ("LazyCache", reuse(0.0)),
        ("TorchCompileModel", json!({"backend": "inductor"})),
    ];
    for (class, widgets) in neutral {
        assert_eq!(with(&bench, class, &widgets), plain, "{class}");
    }
    // The same prediction by another sum.
    let close = [
        ("SelfAttentionGuidance", json!({"scale": 0.0, "blur_sigma": 2.0})),
        ("Epsilon Scaling", json!({"scaling_factor": 1.0})),
        ("FreSca", json!({"scale_low": 1.0, "scale_high": 1.0, "freq_cutoff": 20})),
    ];
    for (class, widgets) in &close {
        let distance = distance(&with(&bench, class, widgets), &plain);
        assert!(distance < 1e-4, "{class}: {distance}");
    }
}

#[test]
fn every_change_changes_the_run() {
    let bench = Bench::new();
    let plain = plain(&bench);
    let shrink = json!({
        "block_number": 3, "downscale_factor": 2.0, "start_percent": 0.0, "end_percent": 0.9,
        "downscale_after_skip": true, "downscale_method": "bicubic", "upscale_method": "bicubic"
    });
    let changes = [
        ("FreeU", json!({"b1": 1.1, "b2": 1.2, "s1": 0.9, "s2": 0.2})),
        ("FreeU_V2", json!({"b1": 1.3, "b2": 1.4, "s1": 0.9, "s2": 0.2})),
        ("PatchModelAddDownscale", shrink),
        ("HyperTile", json!({"tile_size": 32, "swap_size": 3, "max_depth": 0, "scale_depth": false})),
        ("TomePatchModel", json!({"ratio": 0.5})),
        ("PerturbedAttentionGuidance", json!({"scale": 3.0})),
        ("SelfAttentionGuidance", json!({"scale": 0.5, "blur_sigma": 2.0})),
        ("Mahiro", json!({})),
        ("RenormCFG", json!({"cfg_trunc": 100.0, "renorm_cfg": 0.8})),
        ("CFGNorm", json!({"strength": 1.0})),
        ("CFGZeroStar", json!({})),
        ("TCFG", json!({})),
        ("APG", json!({"eta": 0.5, "norm_threshold": 5.0, "momentum": 0.0})),
        ("FreSca", json!({"scale_low": 1.0, "scale_high": 1.25, "freq_cutoff": 2})),
        ("Epsilon Scaling", json!({"scaling_factor": 1.05})),
        ("TemporalScoreRescaling", json!({"tsr_k": 0.7, "tsr_sigma": 1.0})),
        ("UNetSelfAttentionMultiply", json!({"q": 1.0, "k": 1.2, "v": 1.0, "out": 1.0})),
        ("UNetCrossAttentionMultiply", json!({"q": 1.0, "k": 1.0, "v": 1.0, "out": 1.5})),
    ];
    for (class, widgets) in changes {
        let run = with(&bench, class, &widgets);
        assert!(run.iter().all(|v| v.is_finite()), "{class}");
        assert!(distance(&run, &plain) > 1e-4, "{class}");
    }
}

#[test]
fn guessed_steps_come_near_to_computed_ones() {
    let bench = Bench::new();
    let run = |class: Option<(&str, f64)>| {
        let g = GraphBuilder::new();
        let mut s = Start::new(&g, MODEL);
        if let Some((class, threshold)) = class {
            s.model = node(&g, class, &[("model", &s.model)], &reuse(threshold));
        }
        s.sampled_in(8, &bench, g)
    };
    let plain = run(None);
    for class in ["EasyCache", "LazyCache"] {
        assert_eq!(run(Some((class, 0.0))), plain, "{class}: nothing is guessed");
        let (near, far) = (distance(&run(Some((class, 0.3))), &plain), distance(&run(Some((class, 3.0))), &plain));
        assert!(far > 1e-4, "{class}: {far}");
        assert!(near <= far, "{class}: {near} {far}");
    }
}

#[test]
fn the_dice_of_a_seed_fall_alike() {
    let bench = Bench::new();
    let tome = json!({"ratio": 0.5});
    assert_eq!(with(&bench, "TomePatchModel", &tome), with(&Bench::new(), "TomePatchModel", &tome));
}

#[test]
fn factors_on_queries_or_on_keys_are_one_and_the_same_and_temporal_layers_are_none_here() {
    let bench = Bench::new();
    let times = |q: f64, k: f64, v: f64, out: f64| json!({"q": q, "k": k, "v": v, "out": out});
    let class = "UNetSelfAttentionMultiply";
    // Powers of two round alike.
    assert_eq!(with(&bench, class, &times(2.0, 1.0, 1.0, 1.0)), with(&bench, class, &times(1.0, 2.0, 1.0, 1.0)));
    let temporal = |own: f64, between: f64| json!({"self_structural": own, "self_temporal": between, "cross_structural": 1.0, "cross_temporal": between});
    let class = "UNetTemporalAttentionMultiply";
    assert_eq!(with(&bench, class, &temporal(1.0, 7.0)), plain(&bench));
    assert_eq!(
        with(&bench, class, &temporal(0.5, 7.0)),
        with(&bench, "UNetSelfAttentionMultiply", &times(1.0, 1.0, 1.0, 0.5))
    );
}

#[test]
fn text_encoders_that_attend_to_nothing_say_the_same_of_words_in_any_order() {
    let bench = Bench::new();
    let encoded = |text: &str, factor: f64| {
        let g = GraphBuilder::new();
        let s = Start::new(&g, MODEL);
        let widgets = json!({"q": 1.0, "k": 1.0, "v": 1.0, "out": factor});
        let clip = node(&g, "CLIPAttentionMultiply", &[("clip", &s.clip)], &widgets);
        let encoded = g.add(CLIPTextEncode::node().text(text).clip(out::<Clip>(&clip)));
        node(&g, "PreviewAny", &[("source", encoded.as_link().unwrap())], &json!({}));
        let conditioning: Conditioning = common::one(&bench.fetch(g, &encoded).unwrap());
        conditioning.0.entries[0].context.clone().slice([0..1, 3..4]).try_to_vec_as::<f32>().unwrap()
    };
    // The third word sees nothing of the two before it.
    assert_eq!(encoded("red blue apple", 0.0), encoded("blue red apple", 0.0));
    assert_ne!(encoded("red blue apple", 1.0), encoded("blue red apple", 1.0));
}

#[test]
fn changes_travel_with_a_guider() {
    let bench = Bench::new();
    let widgets = json!({"scale": 2.0});
    let expected = with(&bench, "PerturbedAttentionGuidance", &widgets);
    let g = GraphBuilder::new();
    let s = Start::new(&g, MODEL);
    let model = out::<Model>(&node(&g, "PerturbedAttentionGuidance", &[("model", &s.model)], &widgets));
    let [positive, negative] = [&s.positive, &s.negative].map(|link: &Link| out::<Conditioning>(link));
    let guider = g.add(CFGGuider::node().model(&model).positive(positive).negative(negative).cfg(3.0));
    let sigmas = g.add(BasicScheduler::node().model(&model).scheduler("normal").steps(2).denoise(1.0));
    let noise = g.add(RandomNoise::node().noise_seed(4));
    let sampler = g.add(KSamplerSelect::node().sampler_name("euler"));
    let parts = SamplerCustomAdvanced::node().noise(noise).guider(guider).sampler(sampler).sigmas(sigmas);
    let latent = g.add(EmptyLatentImage::node().width(64).height(64).batch_size(1));
    let (sampled, _) = g.add(parts.latent_image(latent));
    assert_eq!(bench.latent(g, sampled.as_link().unwrap()), expected);
}

/// Files made by torch 2.6: layers 64 to 6 to 64 with `relu`; one with an unknown function; one whose layers don't meet.
#[test]
fn a_hypernetwork_changes_the_run_by_its_strength_and_a_strange_one_is_told() {
    let bench = Bench::new();
    let files: [(&str, &[u8]); 3] = [
        ("relu.pt", include_bytes!("data/hypernetwork.pt")),
        ("gelu.pt", include_bytes!("data/hypernetwork_gelu.pt")),
        ("broken.pt", include_bytes!("data/hypernetwork_broken.pt")),
    ];
    for (name, bytes) in files {
        std::fs::write(bench.model_path("hypernetworks", name), bytes).unwrap();
    }
    let model = std::fs::read(common::assets().join(MODEL)).unwrap();
    std::fs::write(bench.model_path("hypernetworks", "model.safetensors"), model).unwrap();
    let widgets = |name: &str, strength: f64| json!({"hypernetwork_name": name, "strength": strength});
    let run = |strength| with(&bench, "HypernetworkLoader", &widgets("relu.pt", strength));
    let plain = plain(&bench);
    assert_eq!(run(0.0), plain);
    let (half, full) = (run(0.5), run(1.0));
    assert!(distance(&half, &plain) > 1e-4 && distance(&full, &plain) > distance(&half, &plain));
    let told = |name: &str, words: &[&str]| {
        let g = GraphBuilder::new();
        let s = Start::new(&g, MODEL);
        let changed = node(&g, "HypernetworkLoader", &[("model", &s.model)], &widgets(name, 1.0));
        node(&g, "PreviewAny", &[("source", &changed)], &json!({}));
        let error = bench.run(g).unwrap_err();
        assert_eq!(error.class_type(), Some("HypernetworkLoader"));
        let message = error.to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    told("gelu.pt", &["gelu.pt", "`gelu`"]);
    told("broken.pt", &["broken.pt", "64"]);
    told("model.safetensors", &["no hypernetwork", "a UNet"]);
}

#[test]
fn whatever_a_model_is_to_be_computed_in_it_is_computed_in_f32() {
    let bench = Bench::new();
    let plain = plain(&bench);
    for dtype in ["default", "fp32", "fp16", "bf16"] {
        assert_eq!(with(&bench, "ModelComputeDtype", &json!({"dtype": dtype})), plain, "{dtype}");
    }
}
