//! Whole graphs of models that take an image in place of a prompt: Stable Video Diffusion, Stable Zero123.
//!
//! `data/video.json` was made by torch 2.6 on the CPU from the published architectures and ComfyUI's formulas, over weights
//! that their names and shapes in the file give.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Bench, distance, node, out, write_computed};
use kiln_exec::{GraphBuilder, Link, Prompt};
use kiln_memory::TensorShapes;
use kiln_models::clip::Activation;
use kiln_models::unet::{Heads, Middle, UNetConfig, Variant};
use kiln_models::vae::VaeConfig;
use kiln_models::vision::VisionConfig;
use kiln_nodes::files::{Colour, PngImage, write_png};
use kiln_nodes::runtime::ModelSchedule;
use kiln_nodes::{Image, Latent};
use serde_json::json;

const SGM: &str = "conditioner.embedders.0.open_clip.model.visual.";

fn unet(variant: Variant) -> UNetConfig {
    let video = matches!(variant, Variant::Video { .. });
    UNetConfig {
        in_channels: 8,
        out_channels: 4,
        model_channels: 32,
        res_blocks: vec![1; 2],
        channel_mult: vec![1, if video { 4 } else { 2 }],
        depth: vec![1; 2],
        depth_output: vec![1; 4],
        middle: Middle::Transformer(1),
        context_dim: Some(24),
        linear_projection: video,
        adm_channels: video.then_some(3 * 256),
        heads: if video { Heads::Width(64) } else { Heads::Count(8) },
        variant,
    }
}

fn vae() -> VaeConfig {
    VaeConfig {
        channels: 32,
        mult: vec![1; 4],
        res_blocks: 1,
        image_channels: 3,
        z_channels: 4,
        embed_dim: 4,
        encoder: Some(8),
        quant: false,
        post_quant: false,
        encoder_attention: vec![false; 4],
        decoder_attention: vec![false; 4],
        middle_attention: true,
        frames: true,
        packed: false,
    }
}

fn vision() -> VisionConfig {
    let activation = Activation::QuickGelu;
    VisionConfig { patch: 4, image: 12, width: 64, layers: 1, heads: 1, mlp: 128, activation, projection: Some(24) }
}

fn names(unet: &UNetConfig, vision_prefix: Option<&str>) -> TensorShapes {
    let mut names = TensorShapes::default();
    for (name, shape) in unet.tensors().unwrap().iter() {
        let prefix = if name.starts_with("cc_projection") { "" } else { "model.diffusion_model." };
        names.insert(format!("{prefix}{name}"), shape);
    }
    for (name, shape) in vae().tensors().unwrap().iter() {
        names.insert(format!("first_stage_model.{name}"), shape);
    }
    if let Some(prefix) = vision_prefix {
        for (name, shape) in vision().tensors().unwrap().iter() {
            names.insert(format!("{prefix}{name}"), shape);
        }
    }
    names
}

/// A bench with a tiny model of each kind, and an image of 12 x 12 pixels.
fn bench() -> Bench {
    let bench = Bench::new();
    let video = unet(Variant::Video { context: true });
    write_computed(&bench.model_path("checkpoints", "svd.safetensors"), &names(&video, Some(SGM)));
    write_computed(&bench.model_path("checkpoints", "blind.safetensors"), &names(&video, None));
    let posed = names(&unet(Variant::Posed { inputs: 28 }), Some("cond_stage_model.model.visual."));
    write_computed(&bench.model_path("checkpoints", "zero123.safetensors"), &posed);
    let bytes: Vec<u8> = (0..12 * 12 * 3).map(|i| (i * 7 % 19 * 14) as u8).collect();
    let folder = bench.root.path().join("input");
    std::fs::create_dir_all(&folder).unwrap();
    let texts = indexmap::IndexMap::new();
    let image = PngImage { width: 12, height: 12, colour: Colour::Rgb, pixels: bytes, texts };
    std::fs::write(folder.join("subject.png"), write_png(&image, 4).unwrap()).unwrap();
    bench
}

struct Opened {
    model: Link,
    vision: Link,
    vae: Link,
    image: Link,
}

fn opened(g: &GraphBuilder, checkpoint: &str) -> Opened {
    let model = node(g, "ImageOnlyCheckpointLoader", &[], &json!({"ckpt_name": checkpoint}));
    let (vision, vae) = (Link::new(&model.node, 1), Link::new(&model.node, 2));
    Opened { model, vision, vae, image: node(g, "LoadImage", &[], &json!({"image": "subject.png"})) }
}

impl Opened {
    /// The node `class` on the image: positive, negative, latent.
    fn told(&self, g: &GraphBuilder, class: &str, widgets: &serde_json::Value) -> [Link; 3] {
        let links = [("clip_vision", &self.vision), ("init_image", &self.image), ("vae", &self.vae)];
        let told = node(g, class, &links, widgets);
        [0, 1, 2].map(|socket| Link::new(&told.node, socket))
    }
}

fn sampled(g: &GraphBuilder, model: &Link, told: &[Link; 3], seed: u64, scheduler: &str) -> Link {
    let [positive, negative, latent] = told;
    let links = [("model", model), ("positive", positive), ("negative", negative), ("latent_image", latent)];
    let widgets = json!({"seed": seed, "steps": 3, "cfg": 2.5, "sampler_name": "euler", "scheduler": scheduler,
        "denoise": 1.0});
    node(g, "KSampler", &links, &widgets)
}

fn svd_widgets() -> serde_json::Value {
    json!({"width": 32, "height": 32, "video_frames": 3, "motion_bucket_id": 90, "fps": 8, "augmentation_level": 0.0})
}

fn film(g: &GraphBuilder, checkpoint: &str) -> (Link, Link) {
    let opened = opened(g, checkpoint);
    let told = opened.told(g, "SVD_img2vid_Conditioning", &svd_widgets());
    let model = node(g, "VideoLinearCFGGuidance", &[("model", &opened.model)], &json!({"min_cfg": 1.0}));
    let latent = sampled(g, &model, &told, 5, "karras");
    let image = node(g, "VAEDecode", &[("samples", &latent), ("vae", &opened.vae)], &json!({}));
    node(g, "PreviewImage", &[("images", &image)], &json!({}));
    (latent, image)
}

fn expected(name: &str) -> Vec<f32> {
    let all: serde_json::Value = serde_json::from_str(include_str!("data/video.json")).unwrap();
    all[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn latent_values(bench: &Bench, g: GraphBuilder, link: &Link) -> Vec<f32> {
    let latent: Latent = common::one(&bench.fetch(g, &out::<Latent>(link)).unwrap());
    latent.tensor().into_data().try_to_vec::<f32>().unwrap()
}

#[test]
fn an_image_becomes_a_video() {
    let bench = bench();
    let g = GraphBuilder::new();
    let (latent, _) = film(&g, "svd.safetensors");
    let found = latent_values(&bench, g, &latent);
    assert!(distance(&found, &expected("latent")) < 1e-4);
    let g = GraphBuilder::new();
    let (_, image) = film(&g, "svd.safetensors");
    let frames: Image = common::one(&bench.fetch(g, &out::<Image>(&image)).unwrap());
    assert_eq!(frames.dims(), [3, 32, 32, 3]);
    let some: Vec<f32> = frames.values().unwrap().into_iter().step_by(37).collect();
    assert!(distance(&some, &expected("frames37")) < 1e-3);
}

#[test]
fn a_saved_model_makes_the_same_video() {
    let bench = bench();
    let g = GraphBuilder::new();
    let first = opened(&g, "svd.safetensors");
    let links = [("model", &first.model), ("clip_vision", &first.vision), ("vae", &first.vae)];
    node(&g, "ImageOnlyCheckpointSave", &links, &json!({"filename_prefix": "checkpoints/again"}));
    bench.run(g).unwrap();
    let run = |checkpoint: &str| {
        let g = GraphBuilder::new();
        let (latent, _) = film(&g, checkpoint);
        latent_values(&bench, g, &latent)
    };
    assert_eq!(run("again_00001_.safetensors"), run("svd.safetensors"));
}

#[test]
fn views_of_an_object_have_a_camera_each_and_one_noise() {
    let bench = bench();
    let g = GraphBuilder::new();
    let opened = opened(&g, "zero123.safetensors");
    let widgets = json!({"width": 32, "height": 32, "batch_size": 2, "elevation": 10.0, "azimuth": 20.0,
        "elevation_batch_increment": 5.0, "azimuth_batch_increment": 30.0});
    let told = opened.told(&g, "StableZero123_Conditioning_Batched", &widgets);
    let latent = sampled(&g, &opened.model, &told, 9, "simple");
    node(&g, "PreviewAny", &[("source", &latent)], &json!({}));
    assert!(distance(&latent_values(&bench, g, &latent), &expected("views")) < 1e-4);
}

#[test]
fn a_model_without_an_image_encoder_says_so_where_one_is_used() {
    let bench = bench();
    let g = GraphBuilder::new();
    film(&g, "blind.safetensors");
    let error = bench.run(g).unwrap_err().to_string();
    assert!(error.contains("SVD_img2vid_Conditioning"), "{error}");
    assert!(error.contains("blind.safetensors holds no image encoder; load one with CLIPVisionLoader"), "{error}");
}

#[test]
fn several_images_have_no_camera() {
    let bench = bench();
    let g = GraphBuilder::new();
    let mut opened = opened(&g, "zero123.safetensors");
    opened.image = node(&g, "RepeatImageBatch", &[("image", &opened.image)], &json!({"amount": 2}));
    let widgets = json!({"width": 32, "height": 32, "batch_size": 1, "elevation": 0.0, "azimuth": 0.0});
    let told = opened.told(&g, "StableZero123_Conditioning", &widgets);
    node(&g, "PreviewAny", &[("source", &told[0])], &json!({}));
    let error = bench.run(g).unwrap_err().to_string();
    assert!(error.contains("`init_image` holds 2 images"), "{error}");
}

#[test]
fn the_memory_plan_knows_the_image_encoder() {
    let g = GraphBuilder::new();
    film(&g, "svd.safetensors");
    let prompt: Prompt = g.into_prompt();
    let schedule = ModelSchedule::of(&kiln_nodes::registry(), &prompt).schedule(&[]);
    let runs: Vec<String> = schedule.runs.iter().map(|run| format!("{} {}", run.model, run.passes)).collect();
    // The first two are one node's, in whatever order.
    assert_eq!(runs, ["vae of svd 1", "vision of svd 1", "unet of svd 3", "vae of svd 1"]);
}

#[test]
fn a_configuration_says_what_a_checkpoint_predicts_and_where_its_text_encoder_stops() {
    let bench = Bench::new();
    let config = "model:\n  params:\n    parameterization: v\n    cond_stage_config: {params: {layer_idx: -2}}\n";
    std::fs::write(bench.model_path("configs", "own.yaml"), config).unwrap();
    std::fs::write(bench.model_path("configs", "broken.yaml"), "model: 3\n").unwrap();
    let opened = |config: &str| {
        let g = GraphBuilder::new();
        let widgets = json!({"config_name": config, "ckpt_name": "fluent-tiny.safetensors"});
        let model = node(&g, "CheckpointLoader", &[], &widgets);
        let clip = Link::new(&model.node, 1);
        let words = node(&g, "CLIPTextEncode", &[("clip", &clip)], &json!({"text": "a red apple"}));
        node(&g, "PreviewAny", &[("source", &words)], &json!({}));
        let options = kiln_exec::RunOptions { fetch: vec![model.clone(), words.clone()], ..Default::default() };
        let report = bench.engine.start(g.into_prompt()).options(options).run().map_err(|error| error.to_string())?;
        let model: kiln_nodes::Model = common::one(report.values(&model).unwrap());
        let words: kiln_nodes::Conditioning = common::one(report.values(&words).unwrap());
        Ok::<_, String>((model.sampling, words.0.entries[0].context.clone().into_data().try_to_vec::<f32>().unwrap()))
    };
    let ((plain, last), (own, earlier)) = (opened("v1-inference.yaml").unwrap(), opened("own.yaml").unwrap());
    assert_eq!(*plain, kiln_models::schedule::ModelSampling::eps());
    assert_eq!(*own, kiln_models::schedule::ModelSampling::v_prediction(false));
    assert_eq!(opened("v1-inference_clip_skip_2.yaml").unwrap().1, earlier);
    assert_eq!(*opened("v2-inference-v.yaml").unwrap().0, *own);
    assert_ne!(last, earlier);
    let error = opened("broken.yaml").unwrap_err();
    assert!(error.contains("broken.yaml: line 1"), "{error}");
}

#[test]
fn the_prompt_of_lotus_is_two_tokens_of_sd2() {
    let bench = Bench::new();
    let g = GraphBuilder::new();
    let words = node(&g, "LotusConditioning", &[], &json!({}));
    node(&g, "PreviewAny", &[("source", &words)], &json!({}));
    let words: kiln_nodes::Conditioning =
        common::one(&bench.fetch(g, &out::<kiln_nodes::Conditioning>(&words)).unwrap());
    let context = &words.0.entries[0].context;
    assert_eq!(context.dims(), [1, 2, 1024]);
    let values = context.clone().into_data().try_to_vec::<f32>().unwrap();
    assert_eq!(
        (values[0], values[135], values[1024], values[2047]),
        (-0.313_476_56, -4.089_843_8, 1.411_132_8, 1.500_976_6)
    );
}
