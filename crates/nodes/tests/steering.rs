//! ControlNets and T2I-Adapters in whole runs of the bundled model. The networks' weights are a function of their names.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Bench, Start, distance, node, write_computed};
use kiln_exec::{GraphBuilder, Link, NodeSpec, Source, Value};
use kiln_memory::Budget;
use kiln_models::Checkpoint;
use kiln_models::controlnet::{ControlNetConfig, UnionConfig};
use kiln_models::gligen::{FuserConfig, GligenConfig};
use kiln_models::t2i::{AdapterConfig, AdapterKind};
use kiln_models::unet::UNet;
use kiln_nodes::Image;
use serde_json::json;

const MODEL: &str = "fluent-tiny.safetensors";

/// A bench with a ControlNet and a T2I-Adapter for the bundled model.
fn bench() -> Bench {
    let bench = Bench::new();
    let checkpoint = Checkpoint::open(&common::assets().join(MODEL), &Budget::unlimited("test")).unwrap();
    let unet = checkpoint.model.network_as::<UNet>().unwrap().config().clone();
    let channels = unet.channel_mult.iter().map(|mult| mult * unet.model_channels).collect();
    let hint = vec![16, 16, 32, 32, 96, 96, 256, unet.model_channels];
    let net = ControlNetConfig { hint, unet, hint_channels: 3, union: None };
    write_computed(&bench.model_path("controlnet", "net.safetensors"), &net.tensors().unwrap());
    let kind = AdapterKind::Full { blocks: 2, kernel: 1, halves_by_conv: false };
    let adapter = AdapterConfig { image: 3, shuffle: 8, channels, kind };
    write_computed(&bench.model_path("controlnet", "adapter.safetensors"), &adapter.tensors().unwrap());
    bench
}

fn image(g: &GraphBuilder) -> Link {
    node(g, "EmptyImage", &[], &json!({"width": 48, "height": 48, "batch_size": 1, "color": 0x0040_c0f0}))
}

fn net(g: &GraphBuilder, file: &str) -> Link {
    node(g, "ControlNetLoader", &[], &json!({"control_net_name": file}))
}

/// The old node: one condition, and what the negative then gets.
fn old(g: &GraphBuilder, condition: &Link, file: &str, strength: f64) -> Link {
    let links = [("conditioning", condition), ("control_net", &net(g, file)), ("image", &image(g))];
    node(g, "ControlNetApply", &links, &json!({"strength": strength}))
}

/// The new node on both conditions.
fn steered(g: &GraphBuilder, s: &mut Start, file: &str, strength: f64, range: [f64; 2]) {
    let links =
        [("positive", &s.positive), ("negative", &s.negative), ("control_net", &net(g, file)), ("image", &image(g))];
    let widgets = json!({"strength": strength, "start_percent": range[0], "end_percent": range[1]});
    s.positive = node(g, "ControlNetApplyAdvanced", &links, &widgets);
    s.negative = Link::new(&s.positive.node, 1);
}

fn run(bench: &Bench, change: impl FnOnce(&GraphBuilder, &mut Start)) -> Vec<f32> {
    let g = GraphBuilder::new();
    let mut s = Start::new(&g, MODEL);
    change(&g, &mut s);
    s.sampled(bench, g)
}

#[test]
fn a_strength_or_a_range_of_nothing_is_the_plain_run() {
    let bench = bench();
    let plain = run(&bench, |_, _| {});
    for file in ["net.safetensors", "adapter.safetensors"] {
        assert_eq!(run(&bench, |g, s| steered(g, s, file, 0.0, [0.0, 1.0])), plain, "{file}");
        assert_eq!(run(&bench, |g, s| steered(g, s, file, 1.0, [0.0, 0.0])), plain, "{file}");
        let full = run(&bench, |g, s| steered(g, s, file, 1.0, [0.0, 1.0]));
        assert!(distance(&full, &plain) > 1e-3, "{file}");
        let late = run(&bench, |g, s| steered(g, s, file, 1.0, [0.9, 1.0]));
        assert!(late != full && late.iter().all(|v| v.is_finite()), "{file}");
    }
}

#[test]
fn the_old_node_speaks_to_the_negative_too() {
    let bench = bench();
    for file in ["net.safetensors", "adapter.safetensors"] {
        let both = run(&bench, |g, s| steered(g, s, file, 0.7, [0.0, 1.0]));
        let old = run(&bench, |g, s| s.positive = old(g, &s.positive, file, 0.7));
        assert_eq!(both, old, "{file}");
    }
}

#[test]
fn stacked_strengths_add_up() {
    let bench = bench();
    for file in ["net.safetensors", "adapter.safetensors"] {
        let one = run(&bench, |g, s| steered(g, s, file, 1.0, [0.0, 1.0]));
        let two = run(&bench, |g, s| {
            steered(g, s, file, 0.25, [0.0, 1.0]);
            steered(g, s, file, 0.75, [0.0, 1.0]);
        });
        // Two roundings more per activation.
        assert!(distance(&two, &one) < 1e-4, "{file}: {}", distance(&two, &one));
    }
}

#[test]
fn a_control_image_of_no_batch_is_refused_where_it_is_linked() {
    let bench = bench();
    let none = Image::from_values(Vec::new(), [0, 48, 48, 3], &burn::tensor::Device::flex()).unwrap();
    let cases = [
        ("ControlNetApply", "conditioning", json!({"strength": 1.0})),
        ("ControlNetApplyAdvanced", "positive", json!({"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0})),
        ("ControlNetApplySD3", "positive", json!({"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0})),
    ];
    for (class, condition, widgets) in cases {
        let g = GraphBuilder::new();
        let s = Start::new(&g, MODEL);
        let net = net(&g, "net.safetensors");
        let links = [(condition, &s.positive), ("negative", &s.negative), ("control_net", &net), ("vae", &s.vae)];
        let spec = links
            .iter()
            .fold(NodeSpec::new(class), |spec, (name, link)| spec.input(name, Source::Link((*link).clone())));
        let widgets = widgets.as_object().unwrap().iter();
        let spec = widgets.fold(spec, |spec, (name, value)| spec.input(name, Source::from(Value::from_json(value))));
        let id = g.add_spec(spec.input("image", Source::from(Value::object(none.clone()))));
        node(&g, "PreviewAny", &[("source", &Link::new(id, 0))], &json!({}));
        let error = bench.run(g).unwrap_err();
        let message = format!("{error} {error:?}");
        assert!(message.contains(class) && message.contains("input `image` holds no image"), "{message}");
    }
}

#[test]
fn a_controlnet_may_read_another_prompt_than_the_model() {
    let bench = bench();
    let reading = |file: &'static str, text: Option<&'static str>| {
        run(&bench, |g, s| {
            steered(g, s, file, 1.0, [0.0, 1.0]);
            let Some(text) = text else { return };
            let links = [("clip", &s.clip), ("conditioning", &s.positive)];
            s.positive = node(g, "CLIPTextEncodeControlnet", &links, &json!({"text": text}));
        })
    };
    let plain = reading("net.safetensors", None);
    // In batches of their own the sums are the same.
    assert!(distance(&reading("net.safetensors", Some("a red apple")), &plain) < 1e-5);
    assert!(distance(&reading("net.safetensors", Some("a green pear")), &plain) > 1e-4);
    // An adapter reads nothing.
    let adapted = reading("adapter.safetensors", None);
    assert!(distance(&reading("adapter.safetensors", Some("a green pear")), &adapted) < 1e-5);
}

#[test]
fn a_controlnet_and_an_adapter_work_together() {
    let bench = bench();
    let net = run(&bench, |g, s| steered(g, s, "net.safetensors", 1.0, [0.0, 1.0]));
    let both = |first: &'static str, second: &'static str| {
        run(&bench, |g, s| {
            steered(g, s, first, 1.0, [0.0, 1.0]);
            steered(g, s, second, 1.0, [0.0, 1.0]);
        })
    };
    let one = both("net.safetensors", "adapter.safetensors");
    assert_ne!(one, net);
    assert_eq!(one, both("adapter.safetensors", "net.safetensors"));
}

/// A control-LoRA for the bundled model: markers, the ControlNet's own layers, and thin matrices for what it shares.
fn write_control_lora(bench: &Bench) {
    let checkpoint = Checkpoint::open(&common::assets().join(MODEL), &Budget::unlimited("test")).unwrap();
    let unet = checkpoint.model.network_as::<UNet>().unwrap().config().clone();
    let net = ControlNetConfig {
        hint: vec![16, 16, 32, 32, 96, 96, 256, unet.model_channels],
        unet,
        hint_channels: 3,
        union: None,
    };
    let mut names = kiln_memory::TensorShapes::default();
    names.insert("lora_controlnet", [1]);
    for (name, shape) in net.tensors().unwrap().iter() {
        let own = ["input_hint_block.", "zero_convs.", "middle_block_out."].iter().any(|start| name.starts_with(start));
        match (name.strip_suffix(".weight"), shape) {
            _ if own => names.insert(name, shape),
            (Some(stem), [rows, rest @ ..]) if !rest.is_empty() => {
                names.insert(format!("{stem}.up"), [*rows, 4]);
                names.insert(format!("{stem}.down"), [&[4], rest].concat());
            }
            _ => {}
        }
    }
    write_computed(&bench.model_path("controlnet", "lora.safetensors"), &names);
}

#[test]
fn a_control_lora_needs_no_loader_of_its_own() {
    let bench = bench();
    write_control_lora(&bench);
    let plain = run(&bench, |_, _| {});
    let loaded = run(&bench, |g, s| steered(g, s, "lora.safetensors", 1.0, [0.0, 1.0]));
    assert!(distance(&loaded, &plain) > 1e-3);
    // The loader that is given the model makes the same of it.
    let given = run(&bench, |g, s| {
        let file = json!({"control_net_name": "lora.safetensors"});
        let net = node(g, "DiffControlNetLoader", &[("model", &s.model)], &file);
        let links = [("positive", &s.positive), ("negative", &s.negative), ("control_net", &net), ("image", &image(g))];
        let widgets = json!({"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0});
        s.positive = node(g, "ControlNetApplyAdvanced", &links, &widgets);
        s.negative = Link::new(&s.positive.node, 1);
    });
    assert_eq!(loaded, given);
}

#[test]
fn a_file_of_something_else_is_told_by_what_it_holds() {
    let bench = bench();
    std::fs::copy(common::assets().join(MODEL), bench.model_path("controlnet", "model.safetensors")).unwrap();
    let g = GraphBuilder::new();
    let mut s = Start::new(&g, MODEL);
    steered(&g, &mut s, "model.safetensors", 1.0, [0.0, 1.0]);
    node(&g, "PreviewAny", &[("source", &s.positive)], &json!({}));
    let error = bench.run(g).unwrap_err().to_string();
    assert!(error.contains("no ControlNet") && error.contains("a UNet (SD1, 64 wide)"), "{error}");
}

#[test]
fn an_adapter_of_another_width_is_told_by_its_shape() {
    let bench = bench();
    let kind = AdapterKind::Light { blocks: 1 };
    let adapter = AdapterConfig { image: 3, shuffle: 8, channels: vec![32, 64, 64], kind };
    write_computed(&bench.model_path("controlnet", "narrow.safetensors"), &adapter.tensors().unwrap());
    let g = GraphBuilder::new();
    let mut s = Start::new(&g, MODEL);
    steered(&g, &mut s, "narrow.safetensors", 1.0, [0.0, 1.0]);
    let latent = node(&g, "EmptyLatentImage", &[], &json!({"width": 64, "height": 64, "batch_size": 1}));
    let links = [("model", &s.model), ("positive", &s.positive), ("negative", &s.negative), ("latent_image", &latent)];
    let widgets = json!({
        "seed": 4, "steps": 1, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0
    });
    let sampled = node(&g, "KSampler", &links, &widgets);
    node(&g, "PreviewAny", &[("source", &sampled)], &json!({}));
    let error = bench.run(g).unwrap_err().to_string();
    assert!(error.contains("control.input") && error.contains("32"), "{error}");
}

/// A union ControlNet for the bundled model that knows six kinds of images.
fn write_union(bench: &Bench) {
    let checkpoint = Checkpoint::open(&common::assets().join(MODEL), &Budget::unlimited("test")).unwrap();
    let unet = checkpoint.model.network_as::<UNet>().unwrap().config().clone();
    let union = Some(UnionConfig { kinds: 6, width: unet.model_channels, layers: 1, spread: 256 });
    let hint = vec![16, 16, 32, 32, 96, 96, 256, unet.model_channels];
    let net = ControlNetConfig { hint, unet, hint_channels: 3, union };
    write_computed(&bench.model_path("controlnet", "union.safetensors"), &net.tensors().unwrap());
}

/// A network that was told what kind of image it is given.
fn told(g: &GraphBuilder, file: &str, kind: &str) -> Link {
    node(g, "SetUnionControlNetType", &[("control_net", &net(g, file))], &json!({"type": kind}))
}

/// Both conditions through a node that takes an autoencoder, too.
fn with_vae(g: &GraphBuilder, s: &mut Start, class: &str, net: &Link) {
    let image = image(g);
    let mut links = vec![("positive", &s.positive), ("negative", &s.negative), ("control_net", net), ("image", &image)];
    links.push(("vae", &s.vae));
    let mask = node(g, "SolidMask", &[], &json!({"value": 1.0, "width": 32, "height": 32}));
    if class == "ControlNetInpaintingAliMamaApply" {
        links.push(("mask", &mask));
    }
    let widgets = json!({"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0});
    s.positive = node(g, class, &links, &widgets);
    s.negative = Link::new(&s.positive.node, 1);
}

#[test]
fn a_union_controlnet_draws_by_the_kind_it_is_told_and_auto_is_no_kind() {
    let bench = bench();
    write_union(&bench);
    let run_as = |kind: Option<&str>| {
        run(&bench, |g, s| {
            let net = kind.map_or_else(|| net(g, "union.safetensors"), |kind| told(g, "union.safetensors", kind));
            with_vae(g, s, "ControlNetApplySD3", &net);
        })
    };
    let untold = run_as(None);
    assert_eq!(run_as(Some("auto")), untold);
    let (depth, segment) = (run_as(Some("depth")), run_as(Some("segment")));
    assert!(distance(&depth, &untold) > 1e-3 && distance(&depth, &segment) > 1e-4);
    let g = GraphBuilder::new();
    node(&g, "PreviewAny", &[("source", &told(&g, "union.safetensors", "repaint"))], &json!({}));
    let error = bench.run(g).unwrap_err();
    assert_eq!(error.class_type(), Some("SetUnionControlNetType"));
    let message = error.to_string();
    assert!(message.contains("repaint") && message.contains("segment"), "{message}");
}

#[test]
fn networks_that_look_at_images_need_no_autoencoder_and_no_mask() {
    let bench = bench();
    let plain = run(&bench, |g, s| steered(g, s, "net.safetensors", 1.0, [0.0, 1.0]));
    for class in ["ControlNetApplySD3", "ControlNetInpaintingAliMamaApply"] {
        for net_of in [net, |g: &GraphBuilder, file: &str| told(g, file, "tile")] {
            let found = run(&bench, |g, s| {
                let net = net_of(g, "net.safetensors");
                with_vae(g, s, class, &net);
            });
            assert_eq!(found, plain, "{class}");
        }
    }
    let adapter = run(&bench, |g, s| steered(g, s, "adapter.safetensors", 1.0, [0.0, 1.0]));
    let found = run(&bench, |g, s| {
        let net = told(g, "adapter.safetensors", "tile");
        with_vae(g, s, "ControlNetApplySD3", &net);
    });
    assert_eq!(found, adapter);
}

/// A GLIGEN for the bundled model in files' names; `text` is the width of its texts.
fn write_gligen(bench: &Bench, file: &str, text: usize, transformers: usize) {
    let checkpoint = Checkpoint::open(&common::assets().join(MODEL), &Budget::unlimited("test")).unwrap();
    let names = checkpoint.model.weights.map().names();
    let ends = ".transformer_blocks.0.attn1.to_q.weight";
    let mut places: Vec<(&str, usize)> =
        names.iter().filter_map(|(name, shape)| Some((name.strip_suffix(ends)?, shape[0]))).collect();
    let number = |place: &str| place.split('.').nth(1).and_then(|n| n.parse::<usize>().ok());
    let kind = |place: &str| place.split('.').next().map(str::to_owned);
    places.sort_by_key(|(place, _)| (kind(place), number(place)));
    // Names sort as the blocks do: input, middle, output.
    places.truncate(transformers.min(places.len()));
    let fusers = places.iter().map(|(_, channels)| FuserConfig { channels: *channels, heads: channels / 64 }).collect();
    let config = GligenConfig { fusers, text, hidden: 48, token: text };
    let named = |name: &str| match name.strip_prefix("fusers.").and_then(|rest| rest.split_once('.')) {
        Some((n, end)) => format!("{}.transformer_blocks.0.fuser.{end}", places[n.parse::<usize>().unwrap()].0),
        None => name.to_owned(),
    };
    let tensors = config.tensors().unwrap();
    let tensors = tensors.iter().map(|(name, shape)| (named(name), shape.to_vec())).collect();
    write_computed(&bench.model_path("gligen", file), &tensors);
}

/// A box with a text on a condition.
fn boxed(g: &GraphBuilder, s: &Start, condition: &Link, file: &str, x: usize) -> Link {
    let net = node(g, "GLIGENLoader", &[], &json!({"gligen_name": file}));
    let links = [("conditioning_to", condition), ("clip", &s.clip), ("gligen_textbox_model", &net)];
    node(g, "GLIGENTextBoxApply", &links, &json!({"text": "a pear", "width": 32, "height": 24, "x": x, "y": 8}))
}

#[test]
fn boxes_with_texts_change_the_run_by_their_places() {
    let bench = bench();
    write_gligen(&bench, "gligen.safetensors", 64, 99);
    let at = |places: &'static [usize]| {
        run(&bench, |g, s| {
            for x in places {
                s.positive = boxed(g, s, &s.positive, "gligen.safetensors", *x);
            }
        })
    };
    let (plain, left, right, both) = (at(&[]), at(&[0]), at(&[32]), at(&[0, 32]));
    assert!(distance(&left, &plain) > 1e-4, "{}", distance(&left, &plain));
    assert!(left != right && both != left && both != right);
    // The negative is given the same boxes when it has none.
    let on_both = run(&bench, |g, s| {
        s.positive = boxed(g, s, &s.positive, "gligen.safetensors", 0);
        s.negative = boxed(g, s, &s.negative, "gligen.safetensors", 0);
    });
    assert_eq!(on_both, left);
}

#[test]
fn a_gligen_that_does_not_fit_is_told() {
    let bench = bench();
    write_gligen(&bench, "gligen.safetensors", 64, 99);
    write_gligen(&bench, "wide.safetensors", 128, 99);
    write_gligen(&bench, "few.safetensors", 64, 1);
    std::fs::copy(common::assets().join(MODEL), bench.model_path("gligen", "model.safetensors")).unwrap();
    let message = |file: &'static str, boxes: usize, sampled: bool| {
        let g = GraphBuilder::new();
        let mut s = Start::new(&g, MODEL);
        for _ in 0..boxes {
            s.positive = boxed(&g, &s, &s.positive, file, 0);
        }
        let mut shown = s.positive.clone();
        if sampled {
            let latent = node(&g, "EmptyLatentImage", &[], &json!({"width": 64, "height": 64, "batch_size": 1}));
            let links =
                [("model", &s.model), ("positive", &s.positive), ("negative", &s.negative), ("latent_image", &latent)];
            let widgets = json!({
                "seed": 4, "steps": 1, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0
            });
            shown = node(&g, "KSampler", &links, &widgets);
        }
        node(&g, "PreviewAny", &[("source", &shown)], &json!({}));
        bench.run(g).unwrap_err().to_string()
    };
    let told = |message: String, words: [&str; 2]| {
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    told(message("model.safetensors", 1, false), ["no GLIGEN", "a UNet"]);
    told(message("wide.safetensors", 1, false), ["width 64", "takes 128"]);
    told(message("few.safetensors", 1, true), ["GLIGEN", "another model"]);
    told(message("gligen.safetensors", 31, false), ["conditioning_to", "30 boxes"]);
}
