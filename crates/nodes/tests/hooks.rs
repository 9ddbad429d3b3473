//! Hooks in whole prompts: against LoRA loaders, merged checkpoints and runs put together by hand, with room and without.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Bench, Start, distance, node, one, write_remade};
use kiln_exec::{GraphBuilder, Link, NodeSpec, RunOptions, Source, Value};
use kiln_memory::{Controls, VramState};
use kiln_nodes::{Conditioning, Environment};
use serde_json::{Value as Json, json};

const MODEL: &str = "fluent-tiny.safetensors";
const UNET: &str = "model.diffusion_model.";
const TEXT: &str = "cond_stage_model.";

/// A LoRA of rank 1 for weights of the network and of the text encoder.
fn write_lora(bench: &Bench, name: &str, stems: &[(&str, usize)]) {
    let value = |i: usize, n: f32| (0.5 + n * (i as f32 * 0.7).sin()) * 0.2;
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (stem, width) in stems {
        for (end, shape) in [("lora_up.weight", [*width, 1]), ("lora_down.weight", [1, *width])] {
            let bytes = (0..*width).flat_map(|i| value(i, shape[0] as f32 / 64.0).to_le_bytes()).collect();
            tensors.push((format!("{stem}.{end}"), shape.to_vec(), bytes));
        }
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    std::fs::write(bench.model_path("loras", name), safetensors::serialize(views, None).unwrap()).unwrap();
}

fn with_lora(bench: Bench) -> Bench {
    let stems = [
        ("lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q", 128),
        ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_k", 64),
        ("lora_te_text_model_encoder_layers_0_self_attn_q_proj", 64),
    ];
    write_lora(&bench, "lora.safetensors", &stems);
    bench
}

fn bench() -> Bench {
    with_lora(Bench::new())
}

fn limited(controls: Controls) -> (Bench, Environment) {
    let (bench, environment) = Bench::with(|environment| environment.with_controls(controls));
    (with_lora(bench), environment)
}

fn hook(g: &GraphBuilder, model: f64, clip: f64) -> Link {
    let widgets = json!({"lora_name": "lora.safetensors", "strength_model": model, "strength_clip": clip});
    node(g, "CreateHookLora", &[], &widgets)
}

fn keyframes(g: &GraphBuilder, frames: &[(f64, f64)]) -> Link {
    let mut last: Option<Link> = None;
    for (start, strength) in frames {
        let before: Vec<(&str, &Link)> = last.iter().map(|link| ("prev_hook_kf", link)).collect();
        let widgets = json!({"strength_mult": strength, "start_percent": start});
        last = Some(node(g, "CreateHookKeyframe", &before, &widgets));
    }
    last.unwrap()
}

fn scheduled(g: &GraphBuilder, hooks: &Link, frames: &[(f64, f64)]) -> Link {
    let keyframes = keyframes(g, frames);
    node(g, "SetHookKeyframes", &[("hooks", hooks), ("hook_kf", &keyframes)], &json!({}))
}

fn properties() -> Json {
    json!({"strength": 1.0, "set_cond_area": "default"})
}

/// Both conditions under hooks.
fn hooked(g: &GraphBuilder, s: &mut Start, hooks: &Link) {
    let links = [("positive_NEW", &s.positive), ("negative_NEW", &s.negative), ("hooks", hooks)];
    s.positive = node(g, "PairConditioningSetProperties", &links, &properties());
    s.negative = Link::new(&s.positive.node, 1);
}

fn run(bench: &Bench, change: impl FnOnce(&GraphBuilder, &mut Start)) -> Vec<f32> {
    let g = GraphBuilder::new();
    let mut s = Start::new(&g, MODEL);
    change(&g, &mut s);
    s.sampled(bench, g)
}

fn loaded(bench: &Bench, strength: f64) -> Vec<f32> {
    run(bench, |g, s| {
        let widgets = json!({"lora_name": "lora.safetensors", "strength_model": strength});
        s.model = node(g, "LoraLoaderModelOnly", &[("model", &s.model)], &widgets);
    })
}

#[test]
fn a_hook_on_both_conditions_is_the_lora_on_the_model_and_leaves_other_runs_alone() {
    let bench = bench();
    let plain = run(&bench, |_, _| {});
    for strength in [0.7, -1.25] {
        let expected = loaded(&bench, strength);
        assert_ne!(expected, plain);
        assert_eq!(run(&bench, |g, s| hooked(g, s, &hook(g, strength, 0.0))), expected);
        let constant = run(&bench, |g, s| {
            let hooks = scheduled(g, &hook(g, 1.0, 0.0), &[(0.0, strength)]);
            hooked(g, s, &hooks);
        });
        assert_eq!(constant, expected);
        assert_eq!(run(&bench, |_, _| {}), plain, "the model is as it was");
    }
    assert_eq!(run(&bench, |g, s| hooked(g, s, &hook(g, 0.0, 0.0))), plain);
}

#[test]
fn hooks_from_the_middle_of_the_run_are_two_runs_one_behind_the_other() {
    let bench = bench();
    let size = json!({"width": 64, "height": 64, "batch_size": 1});
    let sampler = |from: usize, to: usize, first: bool| {
        json!({
            "add_noise": if first { "enable" } else { "disable" }, "noise_seed": 4, "steps": 6, "cfg": 3.0,
            "sampler_name": "euler", "scheduler": "normal", "start_at_step": from, "end_at_step": to,
            "return_with_leftover_noise": if to < 6 { "enable" } else { "disable" }
        })
    };
    let sample = |g: &GraphBuilder, s: &Start, latent: &Link, widgets: &Json| {
        let links =
            [("model", &s.model), ("positive", &s.positive), ("negative", &s.negative), ("latent_image", latent)];
        node(g, "KSamplerAdvanced", &links, widgets)
    };
    let found = {
        let g = GraphBuilder::new();
        let mut s = Start::new(&g, MODEL);
        let hooks = scheduled(&g, &hook(&g, 0.9, 0.0), &[(0.5, 1.0), (0.0, 0.0)]);
        hooked(&g, &mut s, &hooks);
        let empty = node(&g, "EmptyLatentImage", &[], &size);
        let whole = sample(&g, &s, &empty, &sampler(0, 6, true));
        bench.latent(g, &whole)
    };
    let expected = {
        let g = GraphBuilder::new();
        let mut s = Start::new(&g, MODEL);
        let empty = node(&g, "EmptyLatentImage", &[], &size);
        let first = sample(&g, &s, &empty, &sampler(0, 3, true));
        let widgets = json!({"lora_name": "lora.safetensors", "strength_model": 0.9});
        s.model = node(&g, "LoraLoaderModelOnly", &[("model", &s.model)], &widgets);
        let second = sample(&g, &s, &first, &sampler(3, 6, false));
        bench.latent(g, &second)
    };
    // Between the two the latent is scaled there and back.
    assert!(distance(&found, &expected) < 1e-5, "{}", distance(&found, &expected));
    assert!(distance(&found, &run(&bench, |_, _| {})) > 1e-3);
}

/// Four regions of hooks at once, on a schedule.
fn rich(bench: &Bench) -> Vec<f32> {
    run(bench, |g, s| {
        let eased = json!({"strength_start": 0.0, "strength_end": 1.5, "interpolation": "ease_in", "start_percent": 0.0,
            "end_percent": 0.9, "keyframes_count": 4, "print_keyframes": true});
        let eased = node(g, "CreateHookKeyframesInterpolated", &[], &eased);
        let one = node(g, "SetHookKeyframes", &[("hooks", &hook(g, 1.0, 0.5)), ("hook_kf", &eased)], &json!({}));
        let two = node(g, "CreateHookLoraModelOnly", &[("prev_hooks", &one)], &lora(0.4));
        let three = node(g, "CombineHooks4", &[("hooks_B", &two), ("hooks_D", &hook(g, -0.3, 0.0))], &json!({}));
        let mask = node(g, "SolidMask", &[], &json!({"value": 0.8, "width": 64, "height": 64}));
        let zero = node(g, "SolidMask", &[], &json!({"value": 0.0, "width": 32, "height": 64}));
        let at = json!({"x": 32, "y": 0, "operation": "multiply"});
        let mask = node(g, "MaskComposite", &[("destination", &mask), ("source", &zero)], &at);
        let times = node(g, "ConditioningTimestepsRange", &[], &json!({"start_percent": 0.0, "end_percent": 0.7}));
        let links = [("positive_NEW", &s.positive), ("negative_NEW", &s.negative), ("hooks", &one), ("mask", &mask)];
        let masked = node(g, "PairConditioningSetProperties", &links, &properties());
        let links = [
            ("positive", &masked),
            ("negative", &Link::new(&masked.node, 1)),
            ("positive_NEW", &s.positive),
            ("negative_NEW", &s.negative),
            ("hooks", &three),
            ("timesteps", &times),
        ];
        let bounds = json!({"strength": 0.5, "set_cond_area": "mask bounds"});
        let more = node(g, "PairConditioningSetPropertiesAndCombine", &links, &bounds);
        let links = [
            ("positive", &more),
            ("negative", &Link::new(&more.node, 1)),
            ("positive_DEFAULT", &s.positive),
            ("negative_DEFAULT", &s.negative),
            ("hooks", &two),
        ];
        s.positive = node(g, "PairConditioningSetDefaultCombine", &links, &json!({}));
        s.negative = Link::new(&s.positive.node, 1);
    })
}

fn lora(strength: f64) -> Json {
    json!({"lora_name": "lora.safetensors", "strength_model": strength})
}

#[test]
fn hooks_draw_the_same_with_less_memory_than_the_weights_need() {
    let (roomy, environment) = limited(Controls { state: VramState::HighVram, ..Controls::default() });
    let expected = rich(&roomy);
    assert!(expected.iter().all(|v| v.is_finite()));
    assert_eq!(rich(&roomy), expected, "once more in the same engine");
    let resident = environment.pager().resident();
    for percent in [60, 25] {
        let limit = Some(resident * percent / 100);
        let (tight, _) = limited(Controls { state: VramState::HighVram, vram_limit: limit, ..Controls::default() });
        assert!(rich(&tight) == expected, "{percent} %");
        assert_eq!(run(&tight, |_, _| {}), run(&roomy, |_, _| {}), "{percent} %, and without hooks");
    }
    let (none, environment) = limited(Controls { state: VramState::NoVram, ..Controls::default() });
    assert!(rich(&none) == expected);
    assert_eq!(environment.pager().resident(), 0);
}

/// The conditions on a link.
fn conditions(bench: &Bench, g: GraphBuilder, link: &Link) -> Conditioning {
    g.add_spec(NodeSpec::new("PreviewAny").input("source", Source::from(Value::Null)));
    let options = RunOptions { fetch: vec![link.clone()], ..RunOptions::default() };
    let report = bench.engine.start(g.into_prompt()).options(options).run().unwrap();
    one(report.values(link).unwrap())
}

fn contexts(conditioning: &Conditioning) -> Vec<Vec<f32>> {
    conditioning.0.entries.iter().map(|entry| entry.context.clone().into_data().try_to_vec().unwrap()).collect()
}

/// What a prompt is with the LoRA on the text encoder.
fn encoded(bench: &Bench, strength: f64) -> Vec<f32> {
    let g = GraphBuilder::new();
    let s = Start::new(&g, MODEL);
    let widgets = json!({"lora_name": "lora.safetensors", "strength_model": 0.0, "strength_clip": strength});
    let loaded = node(&g, "LoraLoader", &[("model", &s.model), ("clip", &s.clip)], &widgets);
    let clip = Link::new(&loaded.node, 1);
    let text = node(&g, "CLIPTextEncode", &[("clip", &clip)], &json!({"text": "a red apple"}));
    contexts(&conditions(bench, g, &text)).remove(0)
}

fn under_hooks(bench: &Bench, frames: &[(f64, f64)], widgets: &Json) -> Conditioning {
    let g = GraphBuilder::new();
    let s = Start::new(&g, MODEL);
    let hooks = hook(&g, 1.0, 0.8);
    let hooks = if frames.is_empty() { hooks } else { scheduled(&g, &hooks, frames) };
    let clip = node(&g, "SetClipHooks", &[("clip", &s.clip), ("hooks", &hooks)], widgets);
    let text = node(&g, "CLIPTextEncode", &[("clip", &clip)], &json!({"text": "a red apple"}));
    conditions(bench, g, &text)
}

#[test]
fn a_prompt_under_hooks_is_the_prompt_of_a_text_encoder_with_the_lora() {
    let bench = bench();
    let frames = [(0.0, 0.0), (0.25, 0.5), (0.75, 1.0)];
    let plain = under_hooks(&bench, &frames, &json!({"apply_to_conds": false, "schedule_clip": false}));
    assert_eq!(contexts(&plain), [encoded(&bench, 0.8)], "without a schedule at its own strength");
    assert!(plain.0.entries[0].hooks.is_none());
    let parts = under_hooks(&bench, &frames, &json!({"apply_to_conds": true, "schedule_clip": true}));
    assert_eq!(contexts(&parts), [encoded(&bench, 0.0), encoded(&bench, 0.4), encoded(&bench, 0.8)]);
    let ranges: Vec<_> = parts.0.entries.iter().map(|entry| entry.encoded_for.unwrap()).collect();
    assert_eq!(ranges, [(0.0, 0.25), (0.25, 0.75), (0.75, 1.0)]);
    assert!(parts.0.entries.iter().all(|entry| entry.hooks.as_ref().is_some_and(|hooks| hooks.hooks().len() == 1)));
}

#[test]
fn hooks_on_the_encoders_alone_are_a_lora_on_model_and_encoders() {
    let bench = bench();
    let expected = run(&bench, |g, s| {
        let widgets = json!({"lora_name": "lora.safetensors", "strength_model": 0.9, "strength_clip": 0.6});
        s.model = node(g, "LoraLoader", &[("model", &s.model), ("clip", &s.clip)], &widgets);
        encode(g, s, &Link::new(&s.model.node, 1));
    });
    for schedule_clip in [false, true] {
        let found = run(&bench, |g, s| {
            let widgets = json!({"apply_to_conds": true, "schedule_clip": schedule_clip});
            let clip = node(g, "SetClipHooks", &[("clip", &s.clip), ("hooks", &hook(g, 0.9, 0.6))], &widgets);
            encode(g, s, &clip);
        });
        assert_eq!(found, expected, "scheduled: {schedule_clip}");
    }
}

/// SetClipHooks as the editor adds it.
fn as_they_are() -> Json {
    json!({"apply_to_conds": true, "schedule_clip": false})
}

fn encode(g: &GraphBuilder, s: &mut Start, clip: &Link) {
    let [positive, negative] =
        ["a red apple", "blue"].map(|text| node(g, "CLIPTextEncode", &[("clip", clip)], &json!({"text": text})));
    (s.positive, s.negative) = (positive, negative);
}

/// Another model: each weight of the network and the text encoder a little different, by place.
fn other(name: &str) -> impl Fn(usize, f32) -> f32 + use<> {
    let changes = name.starts_with(UNET) || name.starts_with(TEXT);
    move |place, value| if changes { value * [0.75, 1.25, 0.5, 1.0][place % 4] } else { value }
}

#[test]
fn a_model_as_a_lora_is_a_merged_checkpoint() {
    let bench = bench();
    write_remade(&bench.model_path("checkpoints", "other.safetensors"), other);
    let part = 0.4f32;
    write_remade(&bench.model_path("checkpoints", "by_hand.safetensors"), |name| {
        let (moved, other) = (name.starts_with(UNET), other(name));
        move |place, value| if moved { value + part * (other(place, value) - value) } else { value }
    });
    let by_hand = {
        let g = GraphBuilder::new();
        let s = Start::new(&g, "by_hand.safetensors");
        s.sampled(&bench, g)
    };
    let widgets = json!({"ckpt_name": "other.safetensors", "strength_model": 0.4});
    let found = run(&bench, |g, s| hooked(g, s, &node(g, "CreateHookModelAsLoraModelOnly", &[], &widgets)));
    assert_eq!(found, by_hand);
    // Text encoders, all the way: the other's prompts, but for the rounding of a sum.
    let widgets = json!({"ckpt_name": "other.safetensors", "strength_model": 0.0, "strength_clip": 1.0});
    let text = |checkpoint: &str, hooks: bool| {
        let g = GraphBuilder::new();
        let mut s = Start::new(&g, checkpoint);
        if hooks {
            let hook = node(&g, "CreateHookModelAsLora", &[], &widgets);
            s.clip = node(&g, "SetClipHooks", &[("clip", &s.clip), ("hooks", &hook)], &as_they_are());
        }
        let text = node(&g, "CLIPTextEncode", &[("clip", &s.clip)], &json!({"text": "a red apple"}));
        contexts(&conditions(&bench, g, &text)).remove(0)
    };
    assert!(distance(&text(MODEL, true), &text("other.safetensors", false)) < 2e-3);
    assert!(distance(&text(MODEL, true), &text(MODEL, false)) > 0.05);
}

fn floats_of(strengths: Json) -> Json {
    json!({"floats_strength": strengths, "start_percent": 0.0, "end_percent": 1.0, "print_keyframes": false})
}

#[test]
fn strengths_come_from_a_list_of_numbers_too() {
    let bench = bench();
    let floats = |strengths: Json| {
        run(&bench, |g, s| {
            let keyframes = node(g, "CreateHookKeyframesFromFloats", &[], &floats_of(strengths));
            let links = [("hooks", &hook(g, 1.0, 0.0)), ("hook_kf", &keyframes)];
            let hooks = node(g, "SetHookKeyframes", &links, &json!({}));
            hooked(g, s, &hooks);
        })
    };
    assert_eq!(floats(json!([0.7, 0.7, 0.7])), loaded(&bench, 0.7));
    assert_eq!(floats(json!(0.7)), loaded(&bench, 0.7));
}

/// The error of a run.
fn refused(bench: &Bench, change: impl FnOnce(&GraphBuilder, &mut Start)) -> String {
    let g = GraphBuilder::new();
    let mut s = Start::new(&g, MODEL);
    change(&g, &mut s);
    let latent = node(&g, "EmptyLatentImage", &[], &json!({"width": 64, "height": 64, "batch_size": 1}));
    let links = [("model", &s.model), ("positive", &s.positive), ("negative", &s.negative), ("latent_image", &latent)];
    let widgets =
        json!({"seed": 4, "steps": 2, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0});
    let sampled = node(&g, "KSampler", &links, &widgets);
    let image = node(&g, "VAEDecode", &[("samples", &sampled), ("vae", &s.vae)], &json!({}));
    node(&g, "PreviewImage", &[("images", &image)], &json!({}));
    format!("{:#}", bench.engine.run(g.into_prompt()).unwrap_err())
}

#[test]
fn what_makes_no_sense_is_refused_with_node_and_reason() {
    let bench = bench();
    write_lora(&bench, "flux.safetensors", &[("lora_unet_double_blocks_0_img_attn_qkv", 64)]);
    let error = refused(&bench, |g, s| {
        let widgets = json!({"lora_name": "flux.safetensors", "strength_model": 1.0, "strength_clip": 1.0});
        hooked(g, s, &node(g, "CreateHookLora", &[], &widgets));
    });
    assert!(error.contains("KSampler") && error.contains("flux.safetensors: none of its 2 tensors"), "{error}");
    let error = refused(&bench, |g, s| {
        let keyframes = node(g, "CreateHookKeyframesFromFloats", &[], &floats_of(json!([])));
        let hooks = node(g, "SetHookKeyframes", &[("hooks", &hook(g, 1.0, 0.0)), ("hook_kf", &keyframes)], &json!({}));
        hooked(g, s, &hooks);
    });
    assert!(
        error.contains("CreateHookKeyframesFromFloats") && error.contains("`floats_strength` holds no number"),
        "{error}"
    );
    let error = refused(&bench, |g, s| {
        let times = node(g, "ConditioningTimestepsRange", &[], &json!({"start_percent": 0.8, "end_percent": 0.2}));
        s.positive =
            node(g, "ConditioningSetProperties", &[("cond_NEW", &s.positive), ("timesteps", &times)], &properties());
    });
    assert!(
        error.contains("ConditioningSetProperties") && error.contains("ends at 0.2 before it starts at 0.8"),
        "{error}"
    );
    let error = refused(&bench, |g, s| {
        let hooks = scheduled(g, &hook(g, 1.0, 1.0), &[(1.0, 0.5)]);
        let widgets = json!({"apply_to_conds": true, "schedule_clip": true});
        let clip = node(g, "SetClipHooks", &[("clip", &s.clip), ("hooks", &hooks)], &widgets);
        encode(g, s, &clip);
    });
    assert!(error.contains("CLIPTextEncode") && error.contains("let one start before 1"), "{error}");
}
