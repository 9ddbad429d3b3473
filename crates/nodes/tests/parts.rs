//! Checkpoints in parts: what a file holds is used, what it lacks is the error of the node that uses it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Bench, Start, node};
use kiln_exec::{GraphBuilder, Link, RunError};
use kiln_memory::TensorShapes;
use kiln_models::taehv::{TaehvConfig, TaehvHalf};
use kiln_models::taesd::{TaesdConfig, TaesdHalf};
use kiln_nodes::files::DirKind;
use safetensors::SafeTensors;
use serde_json::json;

const MODEL: &str = "fluent-tiny.safetensors";

/// Writes what of the bundled checkpoint gets a name.
fn write_part(bench: &Bench, kind: &str, file: &str, name: impl Fn(&str) -> Option<String>) {
    let bytes = std::fs::read(common::assets().join(MODEL)).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    let part = all.tensors().into_iter().filter_map(|(known, view)| Some((name(&known)?, view)));
    let path = bench.model_path(kind, file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, safetensors::serialize(part, None).unwrap()).unwrap();
}

fn without(part: &'static str) -> impl Fn(&str) -> Option<String> {
    move |name| (!name.starts_with(part)).then(|| name.to_owned())
}

fn bench() -> Bench {
    let bench = Bench::new();
    write_part(&bench, "checkpoints", "no_vae.safetensors", without("first_stage_model."));
    write_part(&bench, "checkpoints", "no_text.safetensors", without("cond_stage_model."));
    let bare = |name: &str| name.strip_prefix("model.diffusion_model.").map(str::to_owned);
    write_part(&bench, "checkpoints", "only_unet.safetensors", bare);
    let vae = |name: &str| name.strip_prefix("first_stage_model.").map(str::to_owned);
    write_part(&bench, "vae", "vae.safetensors", vae);
    write_part(&bench, "checkpoints", "no_unet.safetensors", without("model.diffusion_model."));
    bench
}

fn sampled(bench: &Bench, file: &str, change: impl FnOnce(&GraphBuilder, &mut Start)) -> Vec<f32> {
    let g = GraphBuilder::new();
    let mut s = Start::new(&g, MODEL);
    s.model = node(&g, "CheckpointLoaderSimple", &[], &json!({"ckpt_name": file}));
    change(&g, &mut s);
    s.sampled(bench, g)
}

/// Runs a graph around a checkpoint's three outputs; the error.
fn refused(bench: &Bench, file: &str, build: impl FnOnce(&GraphBuilder, [Link; 3])) -> RunError {
    let g = GraphBuilder::new();
    let model = node(&g, "CheckpointLoaderSimple", &[], &json!({"ckpt_name": file}));
    let outputs = [0, 1, 2].map(|socket| Link::new(&model.node, socket));
    build(&g, outputs);
    bench.run(g).unwrap_err()
}

#[test]
fn a_model_is_the_same_in_every_file_that_holds_it() {
    let bench = bench();
    let plain = sampled(&bench, MODEL, |_, _| {});
    for file in ["no_vae.safetensors", "no_text.safetensors", "only_unet.safetensors"] {
        assert_eq!(sampled(&bench, file, |_, _| {}), plain, "{file}");
    }
    // Its text encoders are used where they are.
    let own = sampled(&bench, "no_vae.safetensors", |g, s| {
        let clip = Link::new(&s.model.node, 1);
        s.positive = node(g, "CLIPTextEncode", &[("clip", &clip)], &json!({"text": "a red apple"}));
    });
    assert_eq!(own, plain);
}

#[test]
fn an_autoencoder_may_come_from_elsewhere() {
    let bench = bench();
    let g = GraphBuilder::new();
    let latent = node(&g, "EmptyLatentImage", &[], &json!({"width": 64, "height": 64, "batch_size": 1}));
    let own = node(&g, "CheckpointLoaderSimple", &[], &json!({"ckpt_name": "no_text.safetensors"}));
    let other = node(&g, "VAELoader", &[], &json!({"vae_name": "vae.safetensors"}));
    for (name, vae) in [("own", Link::new(&own.node, 2)), ("other", other)] {
        let image = node(&g, "VAEDecode", &[("samples", &latent), ("vae", &vae)], &json!({}));
        node(&g, "SaveImage", &[("images", &image)], &json!({"filename_prefix": name}));
    }
    bench.run(g).unwrap();
    let saved = |name: &str| bench.saved(&format!("{name}_00001_.png")).rgb;
    assert_eq!(saved("own"), saved("other"));
}

/// A bench with both halves of `taesd`, and one of `taesdxl`.
fn tiny_bench() -> Bench {
    let bench = Bench::new();
    let half = TaesdHalf { latent: 4, channels: 8, image: 3, pool: false };
    let names = TaesdConfig { encoder: Some(half.clone()), decoder: Some(half) }.tensors().unwrap();
    for (file, half) in [("taesd_encoder", "encoder."), ("taesd_decoder", "decoder."), ("taesdxl_decoder", "decoder.")]
    {
        let path = bench.model_path("vae_approx", &format!("{file}.safetensors"));
        common::write_computed(&path, &names.under(half));
    }
    let whole: TensorShapes = names.iter().map(|(name, shape)| (format!("taesd_{name}"), shape.to_vec())).collect();
    common::write_computed(&bench.model_path("vae", "whole.safetensors"), &whole);
    bench
}

#[test]
fn a_tiny_autoencoder_is_offered_when_both_halves_are_there() {
    let bench = tiny_bench();
    let refused = |name: &str| {
        let g = GraphBuilder::new();
        let vae = node(&g, "VAELoader", &[], &json!({"vae_name": name}));
        node(&g, "PreviewAny", &[("source", &vae)], &json!({}));
        bench.run(g).unwrap_err().to_string()
    };
    let error = refused("taesdxl");
    assert!(error.contains("vae_name") && error.contains("taesdxl") && error.contains("taesd"), "{error}");
    let error = refused("taef1");
    assert!(error.contains("vae_name") && error.contains("taef1"), "{error}");
}

#[test]
fn a_tiny_autoencoder_stands_in_a_vaes_place_and_is_not_saved_as_one() {
    let bench = tiny_bench();
    let image = |name: &str, tiled: bool| {
        let g = GraphBuilder::new();
        let vae = node(&g, "VAELoader", &[], &json!({"vae_name": name}));
        let size = json!({"width": 72, "height": 48, "batch_size": 2, "color": 0x0040_c0f0});
        let pixels = node(&g, "EmptyImage", &[], &size);
        let latent = node(&g, "VAEEncode", &[("pixels", &pixels), ("vae", &vae)], &json!({}));
        let links = [("samples", &latent), ("vae", &vae)];
        let decoded = if tiled {
            let sizes = json!({"tile_size": 512, "overlap": 64, "temporal_size": 64, "temporal_overlap": 8});
            node(&g, "VAEDecodeTiled", &links, &sizes)
        } else {
            node(&g, "VAEDecode", &links, &json!({}))
        };
        node(&g, "PreviewImage", &[("images", &decoded)], &json!({}));
        let found: kiln_nodes::Image =
            common::one(&bench.fetch(g, &common::out::<kiln_nodes::Image>(&decoded)).unwrap());
        assert_eq!(found.dims(), [2, 48, 72, 3]);
        found.pixels().into_data().try_to_vec::<f32>().unwrap()
    };
    let tiny = image("taesd", false);
    assert!(common::distance(&image("taesd", true), &tiny) < 1e-6);
    // One file with both halves is another network here: its weights follow from other names.
    assert_ne!(image("whole.safetensors", false), tiny);
    let g = GraphBuilder::new();
    let vae = node(&g, "VAELoader", &[], &json!({"vae_name": "taesd"}));
    node(&g, "VAESave", &[("vae", &vae)], &json!({"filename_prefix": "saved"}));
    let error = bench.run(g).unwrap_err().to_string();
    assert!(error.contains("tiny autoencoder"), "{error}");
    assert!(bench.files(DirKind::Output).is_empty(), "nothing half-written");
}

#[test]
fn a_missing_part_is_the_error_of_the_node_that_uses_it() {
    let bench = bench();
    let text = json!({"text": "a red apple"});
    let size = json!({"width": 64, "height": 64, "batch_size": 1});
    let told = |error: &RunError, class: &str, words: [&str; 3]| {
        assert_eq!(error.class_type(), Some(class), "{error}");
        let message = error.to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    let vae = ["no_vae.safetensors", "no autoencoder", "VAELoader"];
    let clip = ["no_text.safetensors", "no text encoder for SD1", "CLIPLoader"];
    let error = refused(&bench, "no_vae.safetensors", |g, [_, _, vae]| {
        let latent = node(g, "EmptyLatentImage", &[], &size);
        let image = node(g, "VAEDecode", &[("samples", &latent), ("vae", &vae)], &json!({}));
        node(g, "PreviewImage", &[("images", &image)], &json!({}));
    });
    told(&error, "VAEDecode", vae);
    let error = refused(&bench, "no_text.safetensors", |g, [_, clip, _]| {
        let skipped = node(g, "CLIPSetLastLayer", &[("clip", &clip)], &json!({"stop_at_clip_layer": -2}));
        let condition = node(g, "CLIPTextEncode", &[("clip", &skipped)], &text);
        node(g, "PreviewAny", &[("source", &condition)], &json!({}));
    });
    told(&error, "CLIPTextEncode", clip);
    let error = refused(&bench, "no_text.safetensors", |g, [_, clip, _]| {
        let links = [("clip1", &clip), ("clip2", &clip)];
        let merged = node(g, "CLIPMergeSimple", &links, &json!({"ratio": 0.5}));
        node(g, "PreviewAny", &[("source", &merged)], &json!({}));
    });
    told(&error, "CLIPMergeSimple", clip);
    let prefix = json!({"filename_prefix": "saved"});
    for (file, words) in [("no_vae.safetensors", vae), ("no_text.safetensors", clip)] {
        let error = refused(&bench, file, |g, [model, clip, vae]| {
            node(g, "CheckpointSave", &[("model", &model), ("clip", &clip), ("vae", &vae)], &prefix);
        });
        told(&error, "CheckpointSave", words);
    }
    let error = refused(&bench, "no_text.safetensors", |g, [_, clip, _]| {
        node(g, "CLIPSave", &[("clip", &clip)], &prefix);
    });
    told(&error, "CLIPSave", clip);
    let error = refused(&bench, "no_vae.safetensors", |g, [_, _, vae]| {
        node(g, "VAESave", &[("vae", &vae)], &prefix);
    });
    told(&error, "VAESave", vae);
    assert!(bench.files(DirKind::Output).is_empty(), "nothing half-written");
}

#[test]
fn what_hands_a_missing_part_on_does_not_miss_it() {
    let bench = bench();
    let name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";
    let tensors = [(format!("{name}.lora_up.weight"), [64, 2]), (format!("{name}.lora_down.weight"), [2, 64])];
    let names = tensors.into_iter().map(|(name, shape)| (name, shape.to_vec())).collect();
    common::write_computed(&bench.model_path("loras", "lora.safetensors"), &names);
    let strengths = json!({"lora_name": "lora.safetensors", "strength_model": 1.0, "strength_clip": 1.0});
    let changed = |file: &str| {
        sampled(&bench, file, |g, s| {
            let clip = Link::new(&s.model.node, 1);
            s.model = node(g, "LoraLoader", &[("model", &s.model), ("clip", &clip)], &strengths);
        })
    };
    let expected = changed(MODEL);
    assert_eq!(changed("no_text.safetensors"), expected);
    assert_ne!(expected, sampled(&bench, MODEL, |_, _| {}));
}

#[test]
fn a_file_without_a_model_is_no_checkpoint() {
    let error = refused(&bench(), "no_unet.safetensors", |g, [model, ..]| {
        node(g, "PreviewAny", &[("source", &model)], &json!({}));
    });
    assert_eq!(error.class_type(), Some("CheckpointLoaderSimple"));
    let message = error.to_string();
    assert!(message.contains("no_unet.safetensors") && message.contains("UNet"), "{message}");
}

#[test]
fn a_tiny_autoencoder_of_clips_stands_in_for_a_vae() {
    let bench = Bench::new();
    let half = |channels, frames| TaehvHalf { channels, frames };
    let (encoder, decoder) = (half([8; 4], [2, 2, 1]), half([16, 8, 8, 8], [1, 2, 2]));
    let names = TaehvConfig { latent: 16, patch: 1, leaky: false, encoder, decoder }.tensors().unwrap();
    for (kind, file) in [("vae_approx", "taehv.safetensors"), ("vae", "mine.safetensors")] {
        common::write_computed(&bench.model_path(kind, file), &names);
    }
    let g = GraphBuilder::new();
    let size = json!({"width": 32, "height": 16, "length": 9, "batch_size": 2});
    let clips = node(&g, "EmptyHunyuanLatentVideo", &[], &size);
    let still = node(&g, "EmptySD3LatentImage", &[], &json!({"width": 32, "height": 16, "batch_size": 1}));
    let mut fetch = Vec::new();
    for file in ["taehv.safetensors", "mine.safetensors"] {
        let vae = node(&g, "VAELoader", &[], &json!({"vae_name": file}));
        for latent in [&clips, &still] {
            fetch.push(node(&g, "VAEDecode", &[("samples", latent), ("vae", &vae)], &json!({})));
        }
        let last = fetch.last().unwrap().clone();
        let encoded = node(&g, "VAEEncode", &[("pixels", &last), ("vae", &vae)], &json!({}));
        node(&g, "PreviewAny", &[("source", &encoded)], &json!({}));
    }
    for link in &fetch {
        node(&g, "PreviewAny", &[("source", link)], &json!({}));
    }
    let options = kiln_exec::RunOptions { fetch: fetch.clone(), ..kiln_exec::RunOptions::default() };
    let report = bench.engine.start(g.into_prompt()).options(options).run().unwrap();
    let dims = |link: &Link| common::one::<kiln_nodes::Image>(report.values(link).unwrap()).dims();
    let found: Vec<_> = fetch.iter().map(dims).collect();
    // A clip of nine images, twice; one image alone.
    assert_eq!(found, [[18, 16, 32, 3], [1, 16, 32, 3], [18, 16, 32, 3], [1, 16, 32, 3]]);
}

#[test]
fn a_folder_of_parts_is_the_model_that_they_are() {
    let bench = Bench::new();
    let part = |prefix: &'static str| move |name: &str| name.strip_prefix(prefix).map(str::to_owned);
    let unet = "set/tiny/unet/diffusion_pytorch_model.safetensors";
    write_part(&bench, "diffusers", unet, part("model.diffusion_model."));
    write_part(
        &bench,
        "diffusers",
        "set/tiny/vae/diffusion_pytorch_model.fp16.safetensors",
        part("first_stage_model."),
    );
    let text = "set/tiny/text_encoder/model.safetensors";
    write_part(&bench, "diffusers", text, part("cond_stage_model.transformer."));
    std::fs::write(bench.model_path("diffusers", "set/tiny/model_index.json"), "{}").unwrap();
    let run = |class: &str, widgets: serde_json::Value| {
        let g = GraphBuilder::new();
        let mut s = Start::new(&g, MODEL);
        s.model = node(&g, class, &[], &widgets);
        let clip = Link::new(&s.model.node, 1);
        s.positive = node(&g, "CLIPTextEncode", &[("clip", &clip)], &json!({"text": "a red apple"}));
        let vae = Link::new(&s.model.node, 2);
        let image = node(&g, "EmptyImage", &[], &json!({"width": 32, "height": 32, "batch_size": 1, "color": 255}));
        let latent = node(&g, "VAEEncode", &[("pixels", &image), ("vae", &vae)], &json!({}));
        let pixels = node(&g, "VAEDecode", &[("samples", &latent), ("vae", &vae)], &json!({}));
        node(&g, "SaveImage", &[("images", &pixels)], &json!({"filename_prefix": class}));
        s.sampled(&bench, g)
    };
    let right = run("CheckpointLoaderSimple", json!({"ckpt_name": MODEL}));
    assert_eq!(run("DiffusersLoader", json!({"model_path": "set/tiny"})), right);
    let saved = |name: &str| bench.saved(&format!("{name}_00001_.png")).rgb;
    assert_eq!(saved("DiffusersLoader"), saved("CheckpointLoaderSimple"));
    std::fs::remove_file(bench.model_path("diffusers", text)).unwrap();
    let g = GraphBuilder::new();
    let model = node(&g, "DiffusersLoader", &[], &json!({"model_path": "set/tiny"}));
    node(&g, "PreviewAny", &[("source", &model)], &json!({}));
    let error = bench.run(g).unwrap_err();
    let message = format!("{error} {error:?}");
    assert!(message.contains("DiffusersLoader") && message.contains("holds no text_encoder"), "{message}");
}
