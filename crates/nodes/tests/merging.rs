//! Merging, LoRA and model sampling nodes in whole runs, each against a checkpoint whose weights were mixed by hand.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Bench, Start, distance, node, write_remade};
use kiln_exec::{GraphBuilder, Link};
use serde_json::{Value as Json, json};

const MODEL: &str = "fluent-tiny.safetensors";
const UNET: &str = "model.diffusion_model.";
const TEXT: &str = "cond_stage_model.";

fn checkpoint<F: Fn(usize, f32) -> f32>(bench: &Bench, name: &str, change: impl Fn(&str) -> F) {
    write_remade(&bench.model_path("checkpoints", name), change);
}

/// Another model: each weight of the network and the text encoder a little different, by place.
fn other(name: &str) -> impl Fn(usize, f32) -> f32 + use<> {
    let changes = name.starts_with(UNET) || name.starts_with(TEXT);
    move |place, value| if changes { value * [0.75, 1.25, 0.5, 1.0][place % 4] } else { value }
}

/// As text encoders hold it, whatever the file has.
fn half(value: f32) -> f32 {
    half::f16::from_f32(value).to_f32()
}

fn run(bench: &Bench, model: &str, change: impl FnOnce(&GraphBuilder, &mut Start)) -> Vec<f32> {
    let g = GraphBuilder::new();
    let mut s = Start::new(&g, model);
    change(&g, &mut s);
    s.sampled(bench, g)
}

/// A run whose model is mixed with the other's by one node.
fn merged(bench: &Bench, class: &str, widgets: &Json) -> Vec<f32> {
    run(bench, MODEL, |g, s| {
        let other = node(g, "CheckpointLoaderSimple", &[], &json!({"ckpt_name": "other.safetensors"}));
        s.model = node(g, class, &[("model1", &s.model), ("model2", &other)], widgets);
    })
}

/// A run of a checkpoint whose network was mixed by hand: the shares `(own, others)` of each key. On the CPU a network's
/// weights are f32.
fn by_hand(bench: &Bench, shares: impl Fn(&str) -> (f32, f32)) -> Vec<f32> {
    checkpoint(bench, "by_hand.safetensors", |name| {
        let (shares, other) = (name.strip_prefix(UNET).map(&shares), other(name));
        move |place, value| match shares {
            // One product each, as a node has it.
            Some((own, others)) => value * own + other(place, value) * others,
            None => value,
        }
    });
    run(bench, "by_hand.safetensors", |_, _| {})
}

fn bench() -> Bench {
    let bench = Bench::new();
    checkpoint(&bench, "other.safetensors", other);
    bench
}

#[test]
fn a_ratio_of_one_or_of_nothing_is_either_model() {
    let bench = bench();
    assert_eq!(merged(&bench, "ModelMergeSimple", &json!({"ratio": 1.0})), run(&bench, MODEL, |_, _| {}));
    assert_eq!(merged(&bench, "ModelMergeSimple", &json!({"ratio": 0.0})), by_hand(&bench, |_| (0.0, 1.0)));
}

#[test]
fn merges_are_weighted_sums() {
    let bench = bench();
    let simple = merged(&bench, "ModelMergeSimple", &json!({"ratio": 0.25}));
    assert_eq!(simple, by_hand(&bench, |_| (0.25, 0.75)));
    let add = merged(&bench, "ModelMergeAdd", &json!({}));
    assert_eq!(add, by_hand(&bench, |_| (1.0, 1.0)));
    let subtract = merged(&bench, "ModelMergeSubtract", &json!({"multiplier": 2.0}));
    assert_eq!(subtract, by_hand(&bench, |_| (2.0, -2.0)));
}

#[test]
fn each_third_of_the_network_has_its_own_share() {
    let bench = bench();
    let blocks = merged(&bench, "ModelMergeBlocks", &json!({"input": 1.0, "middle": 0.5, "out": 0.0}));
    let expected = by_hand(&bench, |key| match key {
        key if key.starts_with("middle") => (0.5, 0.5),
        key if key.starts_with("out") => (0.0, 1.0),
        _ => (1.0, 0.0),
    });
    assert_eq!(blocks, expected);
}

#[test]
fn each_block_has_its_own_share() {
    let bench = bench();
    let blocks = |inputs: usize, end: &str| -> Vec<String> {
        let of = |kind: &str, count: usize| (0..count).map(|i| format!("{kind}_{i}{end}")).collect::<Vec<_>>();
        let named = |kind: &str, count| of(kind, count).into_iter().map(|name| name.replacen("blocks_", "blocks.", 1));
        let middle = of("middle_block", 3).into_iter().map(|name| name.replacen("block_", "block.", 1));
        let ends = ["time_embed.", "label_emb.", "out."].map(str::to_owned);
        ends.into_iter()
            .chain(named("input_blocks", inputs))
            .chain(middle)
            .chain(named("output_blocks", inputs))
            .collect()
    };
    for (class, inputs, end) in [("ModelMergeSD1", 12, "."), ("ModelMergeSD2", 12, "."), ("ModelMergeSDXL", 9, "")] {
        let share = |name: &str| match name.trim_end_matches('.') {
            "time_embed" | "output_blocks.1" => 0.0,
            "middle_block.1" => 0.25,
            _ => 1.0,
        };
        let widgets: serde_json::Map<String, Json> =
            blocks(inputs, end).into_iter().map(|name| (name.clone(), json!(share(&name)))).collect();
        let expected = by_hand(&bench, |key| {
            // The first share, that of `time_embed.`, is everybody else's.
            let name = blocks(inputs, end).into_iter().find(|name| key.starts_with(name.as_str()));
            let share = name.map_or(0.0, |name| share(&name)) as f32;
            (share, 1.0 - share)
        });
        assert_eq!(merged(&bench, class, &widgets.into()), expected, "{class}");
    }
}

#[test]
fn a_difference_added_back_is_the_other_model() {
    let bench = bench();
    let there_and_back = run(&bench, MODEL, |g, s| {
        let other = node(g, "CheckpointLoaderSimple", &[], &json!({"ckpt_name": "other.safetensors"}));
        let links = [("model1", &other), ("model2", &s.model)];
        let difference = node(g, "ModelMergeSubtract", &links, &json!({"multiplier": 1.0}));
        s.model = node(g, "ModelMergeAdd", &[("model1", &s.model), ("model2", &difference)], &json!({}));
    });
    // The difference is rounded once, in f32.
    let expected = by_hand(&bench, |_| (0.0, 1.0));
    assert!(distance(&there_and_back, &expected) < 1e-4, "{}", distance(&there_and_back, &expected));
}

#[test]
fn text_encoders_are_weighted_sums_too() {
    let bench = bench();
    let mixed = |class: &str, widgets: &Json| {
        run(&bench, MODEL, |g, s| {
            let other = node(g, "CheckpointLoaderSimple", &[], &json!({"ckpt_name": "other.safetensors"}));
            let clip = node(g, class, &[("clip1", &s.clip), ("clip2", &Link::new(&other.node, 1))], widgets);
            for (condition, text) in [(&mut s.positive, "a red apple"), (&mut s.negative, "blue")] {
                *condition = node(g, "CLIPTextEncode", &[("clip", &clip)], &json!({"text": text}));
            }
        })
    };
    let by_hand = |mix: &dyn Fn(f32, f32) -> f32| {
        checkpoint(&bench, "text.safetensors", |name| {
            let (text, other) = (name.starts_with(TEXT), other(name));
            move |place, own| if text { mix(own, half(other(place, own))) } else { own }
        });
        run(&bench, "text.safetensors", |_, _| {})
    };
    let simple = mixed("CLIPMergeSimple", &json!({"ratio": 0.25}));
    assert_eq!(simple, by_hand(&|own, others| own * 0.25 + others * 0.75));
    assert_eq!(mixed("CLIPMergeAdd", &json!({})), by_hand(&|own, others| own + others));
    let subtract = mixed("CLIPMergeSubtract", &json!({"multiplier": -0.5}));
    assert_eq!(subtract, by_hand(&|own, others| own * -0.5 + others * 0.5));
}

/// A LoRA of rank 1 on one attention weight of the network and one of the text encoder, in kohya's names. Numbers are
/// powers of two, so that products and sums are exact.
fn write_lora(bench: &Bench) {
    let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = [
        ("lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q", 128),
        ("lora_te_text_model_encoder_layers_0_self_attn_q_proj", 64),
    ]
    .into_iter()
    .flat_map(|(stem, width)| {
        [
            (format!("{stem}.lora_up.weight"), vec![width, 1], (0..width).map(up).collect()),
            (format!("{stem}.lora_down.weight"), vec![1, width], (0..width).map(down).collect()),
            (format!("{stem}.alpha"), vec![], vec![0.5]),
        ]
    })
    .collect();
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(.., v)| v.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    std::fs::write(bench.model_path("loras", "lora.safetensors"), safetensors::serialize(views, None).unwrap())
        .unwrap();
}

fn up(row: usize) -> f32 {
    [0.5, -0.25, 0.0][row % 3]
}

fn down(column: usize) -> f32 {
    [0.25, 0.5, -0.125, 0.0][column % 4]
}

/// The checkpoint with the LoRA's product in its weights.
fn with_lora(bench: &Bench, model: f32, text: f32) -> Vec<f32> {
    checkpoint(bench, "lora_by_hand.safetensors", |name| {
        let changed = match name {
            "model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.weight" => Some((128, model)),
            name if name.ends_with("encoder.layers.0.self_attn.q_proj.weight") => Some((64, text)),
            _ => None,
        };
        move |place, own| match changed {
            Some((width, strength)) => own + strength * 0.5 * (up(place / width) * down(place % width)),
            None => own,
        }
    });
    run(bench, "lora_by_hand.safetensors", |_, _| {})
}

#[test]
fn a_lora_is_its_product_in_the_weights() {
    let bench = Bench::new();
    write_lora(&bench);
    let loaded = |model: f64, text: f64, times: usize| {
        run(&bench, MODEL, |g, s| {
            for _ in 0..times {
                let widgets = json!({"lora_name": "lora.safetensors", "strength_model": model, "strength_clip": text});
                s.model = node(g, "LoraLoader", &[("model", &s.model), ("clip", &s.clip)], &widgets);
                s.clip = Link::new(&s.model.node, 1);
            }
            for (condition, text) in [(&mut s.positive, "a red apple"), (&mut s.negative, "blue")] {
                *condition = node(g, "CLIPTextEncode", &[("clip", &s.clip)], &json!({"text": text}));
            }
        })
    };
    let plain = run(&bench, MODEL, |_, _| {});
    assert_eq!(loaded(0.0, 0.0, 1), plain);
    assert_eq!(loaded(1.0, 1.0, 1), with_lora(&bench, 1.0, 1.0));
    assert_eq!(loaded(-0.5, 0.0, 1), with_lora(&bench, -0.5, 0.0));
    assert_eq!(loaded(0.5, 0.5, 2), with_lora(&bench, 1.0, 1.0));
    assert_ne!(loaded(1.0, 0.0, 1), plain);
    assert_ne!(loaded(0.0, 1.0, 1), plain);
    let model_only = run(&bench, MODEL, |g, s| {
        let widgets = json!({"lora_name": "lora.safetensors", "strength_model": 1.0});
        s.model = node(g, "LoraLoaderModelOnly", &[("model", &s.model)], &widgets);
    });
    assert_eq!(model_only, with_lora(&bench, 1.0, 0.0));
}

/// A run whose model went through one node.
fn through(bench: &Bench, class: &str, widgets: &Json) -> Vec<f32> {
    run(bench, MODEL, |g, s| s.model = node(g, class, &[("model", &s.model)], widgets))
}

#[test]
fn what_a_model_predicts_can_be_said_and_what_it_is_anyway_changes_nothing() {
    let bench = Bench::new();
    let plain = run(&bench, MODEL, |_, _| {});
    let discrete = |sampling: &str, zsnr: bool| {
        through(&bench, "ModelSamplingDiscrete", &json!({"sampling": sampling, "zsnr": zsnr}))
    };
    assert_eq!(discrete("eps", false), plain);
    let all: Vec<Vec<f32>> =
        [("eps", true), ("v_prediction", false), ("lcm", false), ("x0", false), ("img_to_img", false)]
            .into_iter()
            .map(|(sampling, zsnr)| discrete(sampling, zsnr))
            .chain([
                through(
                    &bench,
                    "ModelSamplingContinuousEDM",
                    &json!({"sampling": "v_prediction", "sigma_max": 14.6, "sigma_min": 0.03}),
                ),
                through(
                    &bench,
                    "ModelSamplingContinuousV",
                    &json!({"sampling": "v_prediction", "sigma_max": 14.6, "sigma_min": 0.03}),
                ),
                through(&bench, "ModelSamplingSD3", &json!({"shift": 3.0})),
                through(&bench, "ModelSamplingAuraFlow", &json!({"shift": 1.73})),
                through(
                    &bench,
                    "ModelSamplingFlux",
                    &json!({"max_shift": 1.15, "base_shift": 0.5, "width": 64, "height": 64}),
                ),
            ])
            .collect();
    for (i, one) in all.iter().enumerate() {
        assert!(one.iter().all(|v| v.is_finite()) && *one != plain, "{i}");
        assert!(all[..i].iter().all(|before| before != one), "{i}");
    }
}

#[test]
fn rescaled_guidance_of_nothing_is_plain_guidance() {
    let bench = Bench::new();
    let plain = run(&bench, MODEL, |_, _| {});
    let none = through(&bench, "RescaleCFG", &json!({"multiplier": 0.0}));
    // By way of velocities and back.
    assert!(distance(&none, &plain) < 1e-4, "{}", distance(&none, &plain));
    assert!(distance(&through(&bench, "RescaleCFG", &json!({"multiplier": 0.7})), &plain) > 1e-3);
}
