//! The default graphs of Stable Diffusion 3.5 and Qwen-Image-Edit on tiny networks, with the bundled model's prompts: what
//! each node changes, and the same latents when a quarter of the weights has room.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;
mod graphs;

use common::{Bench, Start, distance, node, one, write_computed};
use kiln_exec::{GraphBuilder, Link, NodeSpec, RunOptions, Source, Value};
use kiln_memory::{Controls, TensorShapes};
use kiln_models::mmdit::MmditConfig;
use kiln_models::qwen_image::QwenImageConfig;
use kiln_models::vae::VaeConfig;
use kiln_models::vae3d::{Entry, HalfConfig, VideoVaeConfig};
use kiln_nodes::{Image, Latent};
use serde_json::{Value as Json, json};

/// The bundled model, whose prompts are 64 wide.
const PROMPTS: &str = "fluent-tiny.safetensors";

fn sd3() -> TensorShapes {
    let config = MmditConfig {
        in_channels: 16,
        out_channels: 16,
        patch: 2,
        width: 64,
        hidden: 256,
        vector: 64,
        context: 64,
        positions: Some(8),
        qk_norm: true,
        second_attention: vec![true, false, false],
    };
    config.tensors().unwrap()
}

fn qwen() -> TensorShapes {
    let config = QwenImageConfig {
        in_channels: 16,
        out_channels: 16,
        width: 64,
        hidden: 256,
        context: 64,
        blocks: 2,
        head: 32,
        axes: [4, 14, 14],
        clean_references: false,
    };
    config.tensors().unwrap()
}

fn sd3_vae() -> TensorShapes {
    let config = VaeConfig {
        channels: 32,
        mult: vec![1, 1, 1, 1],
        res_blocks: 1,
        image_channels: 3,
        z_channels: 16,
        embed_dim: 16,
        encoder: Some(32),
        quant: false,
        post_quant: false,
        encoder_attention: vec![false; 4],
        decoder_attention: vec![false; 4],
        middle_attention: true,
        frames: false,
        packed: false,
    };
    config.tensors().unwrap()
}

/// Three changes of size, two of them over frames, and a block before each.
fn qwen_vae() -> TensorShapes {
    let (block, resize) = (Entry::Residual([8, 8]), |time| Entry::Resize { channels: [8, 8], time });
    let entries = vec![block, resize(false), block, resize(true), block, resize(true), block];
    let encoder = HalfConfig { input: [3, 8], entries: entries.clone(), middle: 8, output: [8, 32] };
    let decoder = HalfConfig { input: [16, 8], entries, middle: 8, output: [8, 3] };
    VideoVaeConfig { channels: 16, encoder: Some(encoder), decoder }.tensors().unwrap()
}

fn bench(controls: Controls) -> Bench {
    let (bench, _) = Bench::with(|environment| environment.with_controls(controls));
    for (kind, name, tensors) in [
        ("diffusion_models", "sd3.safetensors", sd3()),
        ("diffusion_models", "qwen.safetensors", qwen()),
        ("vae", "sd3_vae.safetensors", sd3_vae()),
        ("vae", "qwen_vae.safetensors", qwen_vae()),
    ] {
        write_computed(&bench.model_path(kind, name), &tensors);
    }
    bench
}

fn plenty() -> Bench {
    bench(Controls::default())
}

fn loaded(g: &GraphBuilder, network: &str) -> Start {
    let prompts = Start::new(g, PROMPTS);
    let unet = json!({"unet_name": format!("{network}.safetensors"), "weight_dtype": "default"});
    let vae = json!({"vae_name": format!("{network}_vae.safetensors")});
    Start { model: node(g, "UNETLoader", &[], &unet), vae: node(g, "VAELoader", &[], &vae), ..prompts }
}

fn sampled(g: &GraphBuilder, start: &Start, latent: &Link, scheduler: &str) -> Link {
    let links = [
        ("model", &start.model),
        ("positive", &start.positive),
        ("negative", &start.negative),
        ("latent_image", latent),
    ];
    let widgets = json!({
        "seed": 42, "steps": 3, "cfg": 4.5, "sampler_name": "euler", "scheduler": scheduler, "denoise": 1.0
    });
    node(g, "KSampler", &links, &widgets)
}

fn empty(g: &GraphBuilder) -> Link {
    node(g, "EmptySD3LatentImage", &[], &json!({"width": 64, "height": 48, "batch_size": 1}))
}

/// Stable Diffusion 3.5 medium's graph, with a node of `class` on the model.
fn sd35(bench: &Bench, class: Option<(&str, Json)>) -> Vec<f32> {
    let g = GraphBuilder::new();
    let mut start = loaded(&g, "sd3");
    if let Some((class, widgets)) = class {
        start.model = node(&g, class, &[("model", &start.model)], &widgets);
    }
    let latent = empty(&g);
    let latent = sampled(&g, &start, &latent, "sgm_uniform");
    bench.latent(g, &latent)
}

fn skips(layers: &str, scale: f64) -> (&'static str, Json) {
    let widgets = json!({"layers": layers, "scale": scale, "start_percent": 0.0, "end_percent": 1.0});
    ("SkipLayerGuidanceSD3", widgets)
}

/// Qwen-Image-Edit's graph with images of so many pixels a side.
fn edited(bench: &Bench, images: &[[usize; 2]], method: Option<&str>) -> Vec<f32> {
    let g = GraphBuilder::new();
    let mut start = loaded(&g, "qwen");
    start.model = node(&g, "ModelSamplingAuraFlow", &[("model", &start.model)], &json!({"shift": 3.0}));
    start.model = node(&g, "CFGNorm", &[("model", &start.model)], &json!({"strength": 1.0}));
    for [width, height] in images {
        let size = json!({"width": width, "height": height, "batch_size": 1, "color": 0x00_ff_80});
        let pixels = node(&g, "EmptyImage", &[], &size);
        let latent = node(&g, "VAEEncode", &[("pixels", &pixels), ("vae", &start.vae)], &json!({}));
        for prompt in [&mut start.positive, &mut start.negative] {
            *prompt = node(&g, "ReferenceLatent", &[("conditioning", prompt), ("latent", &latent)], &json!({}));
            if let Some(method) = method {
                let widgets = json!({"reference_latents_method": method});
                *prompt = node(&g, "FluxKontextMultiReferenceLatentMethod", &[("conditioning", prompt)], &widgets);
            }
        }
    }
    let latent = empty(&g);
    let latent = sampled(&g, &start, &latent, "simple");
    bench.latent(g, &latent)
}

fn finite(latent: &[f32]) -> bool {
    latent.len() == 16 * 6 * 8 && latent.iter().all(|v| v.is_finite())
}

#[test]
fn skipped_layers_move_the_run_and_none_leave_it() {
    let bench = plenty();
    let plain = sd35(&bench, None);
    assert!(finite(&plain));
    assert_eq!(sd35(&bench, Some(skips("", 3.0))), plain, "no layers");
    assert_eq!(sd35(&bench, Some(skips("1", 0.0))), plain, "no scale");
    let guided = sd35(&bench, Some(skips("1", 3.0)));
    assert!(finite(&guided) && distance(&guided, &plain) > 1e-3);
    let dit = |rescaling: f64| {
        let widgets = json!({
            "double_layers": "1", "single_layers": "", "scale": 3.0, "start_percent": 0.0, "end_percent": 1.0,
            "rescaling_scale": rescaling
        });
        sd35(&bench, Some(("SkipLayerGuidanceDiT", widgets)))
    };
    assert_eq!(dit(0.0), guided, "the same by another name");
    assert!(distance(&dit(0.7), &guided) > 1e-3);
    let simple = json!({"double_layers": "1", "single_layers": "", "start_percent": 0.0, "end_percent": 1.0});
    assert!(distance(&sd35(&bench, Some(("SkipLayerGuidanceDiTSimple", simple))), &plain) > 1e-3);
    assert!(distance(&sd35(&bench, Some(("ModelSamplingSD3", json!({"shift": 6.0})))), &plain) > 1e-3);
}

#[test]
fn references_count_and_so_does_where_they_lie() {
    let bench = plenty();
    let (none, two) = (edited(&bench, &[], None), edited(&bench, &[[40, 24], [16, 32]], None));
    assert!(finite(&none) && finite(&two) && distance(&none, &two) > 1e-3);
    assert_eq!(edited(&bench, &[[40, 24], [16, 32]], Some("index")), two, "the usual method");
    assert!(distance(&edited(&bench, &[[40, 24], [16, 32]], Some("offset")), &two) > 1e-6);
    // The smallest image that has a latent, a wide one, and more of them than any node takes.
    for images in [&[[8, 8]][..], &[[1024, 8]], &[[8, 8]; 9]] {
        assert!(finite(&edited(&bench, images, None)));
    }
}

#[test]
fn a_quarter_of_the_weights_gives_the_same_latents() {
    let bytes =
        |tensors: &TensorShapes| tensors.iter().map(|(_, shape)| shape.iter().product::<usize>() * 4).sum::<usize>();
    let plenty = plenty();
    for (network, run) in [
        (sd3(), (|bench| sd35(bench, Some(skips("1", 3.0)))) as fn(&Bench) -> Vec<f32>),
        (qwen(), |bench| edited(bench, &[[40, 24]], None)),
    ] {
        let limit = bytes(&network) as u64 / 4;
        let short = bench(Controls { vram_limit: Some(limit), ..Controls::default() });
        assert_eq!(run(&short), run(&plenty));
    }
}

/// An image of a graph, or the error's text.
fn decoded(bench: &Bench, network: &str, vae: Option<&str>) -> Result<Image, String> {
    let g = GraphBuilder::new();
    let mut start = loaded(&g, network);
    if let Some(vae) = vae {
        start.vae = node(&g, "VAELoader", &[], &json!({"vae_name": vae}));
    }
    let latent = empty(&g);
    let latent = sampled(&g, &start, &latent, "simple");
    let image = node(&g, "VAEDecode", &[("samples", &latent), ("vae", &start.vae)], &json!({}));
    g.add_spec(NodeSpec::new("PreviewAny").input("source", Source::from(Value::Null)));
    let options = RunOptions { fetch: vec![image.clone()], ..RunOptions::default() };
    let report = bench.engine.start(g.into_prompt()).options(options).run().map_err(|error| error.to_string())?;
    Ok(one(report.values(&image).unwrap()))
}

#[test]
fn images_come_out_of_each_familys_autoencoder_and_no_other() {
    let bench = plenty();
    for network in ["sd3", "qwen"] {
        assert_eq!(decoded(&bench, network, None).unwrap().dims(), [1, 48, 64, 3], "{network}");
    }
    let mut narrow = sd3_vae();
    narrow.insert("decoder.conv_in.weight", [32, 4, 3, 3]);
    narrow.insert("encoder.conv_out.weight", [8, 32, 3, 3]);
    narrow.insert("encoder.conv_out.bias", [8]);
    write_computed(&bench.model_path("vae", "four.safetensors"), &narrow);
    let error = decoded(&bench, "qwen", Some("four.safetensors")).unwrap_err();
    assert!(error.contains('4') && error.contains("16"), "{error}");
}

#[test]
fn an_image_smaller_than_a_cell_is_refused_by_its_size() {
    let bench = plenty();
    let g = GraphBuilder::new();
    let start = loaded(&g, "qwen");
    let size = json!({"width": 1, "height": 1, "batch_size": 1, "color": 0});
    let pixels = node(&g, "EmptyImage", &[], &size);
    let latent = node(&g, "VAEEncode", &[("pixels", &pixels), ("vae", &start.vae)], &json!({}));
    g.add_spec(NodeSpec::new("PreviewAny").input("source", Source::from(Value::Null)));
    let options = RunOptions { fetch: vec![latent], ..RunOptions::default() };
    let error = bench.engine.start(g.into_prompt()).options(options).run().unwrap_err().to_string();
    assert!(error.contains("8 or more") && error.contains("1, 1, 1, 3"), "{error}");
}

#[test]
fn an_edit_gives_a_latent_with_an_axis_of_frames() {
    let bench = plenty();
    let g = GraphBuilder::new();
    let start = loaded(&g, "qwen");
    let latent = empty(&g);
    let latent = sampled(&g, &start, &latent, "simple");
    g.add_spec(NodeSpec::new("PreviewAny").input("source", Source::from(Value::Null)));
    let options = RunOptions { fetch: vec![latent.clone()], ..RunOptions::default() };
    let report = bench.engine.start(g.into_prompt()).options(options).run().unwrap();
    let latent: Latent = one(report.values(&latent).unwrap());
    assert_eq!(latent.shape(), [1, 16, 1, 6, 8]);
}
