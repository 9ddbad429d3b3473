//! Animated files: what comes back of them, and what they carry.

use std::path::PathBuf;
use std::sync::Arc;

use image::AnimationDecoder;
use image::codecs::{png::PngDecoder, webp::WebPDecoder};
use kiln_exec::graph::Document;
use kiln_exec::{GraphBuilder, RunOptions};
use kiln_nodes::files::{DirKind, load_image};
use serde_json::{Value, json};

use crate::bench::{Picture, bench, named};
use crate::common::{self, Bench};

/// Saves the data set's images as one animation, and returns the file and what clients are told.
fn animated(bench: &Bench, class: &str, widgets: &Value) -> (PathBuf, Value) {
    let g = GraphBuilder::new();
    let set = common::node(&g, "LoadImageDataSetFromFolder", &[], &json!({"folder": "set"}));
    let batch = common::node(&g, "RebatchImages", &[("images", &set)], &json!({"batch_size": 4096}));
    let mut all = json!({"filename_prefix": "moving", "fps": 8.0});
    all.as_object_mut().unwrap().extend(widgets.as_object().unwrap().clone());
    let node = common::node(&g, class, &[("images", &batch)], &all);
    let prompt = g.into_prompt();
    let workflow = json!({"nodes": [], "links": [], "version": 0.4, "extra": {"name": "ü"}});
    let extra = json!({"workflow": workflow, "note": 7});
    let options = RunOptions { extra_pnginfo: Some(Arc::new(extra)), ..RunOptions::default() };
    let report = bench.engine.start(prompt.clone()).options(options).run().unwrap();
    let shown = Value::Object(report.ui(node.node.as_ref()).unwrap().as_json().clone());
    let path = bench.folder(DirKind::Output).join(shown["images"][0]["filename"].as_str().unwrap());
    let (carried, page) = Document::with_source(std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(page, Some(workflow));
    let Document::Prompt(carried) = carried else { panic!("{} carries no prompt", path.display()) };
    assert_eq!(carried.to_value(), prompt.to_value(), "the file is its graph");
    (path, shown)
}

fn pictures() -> Vec<Picture> {
    vec![named("smooth", 21, 33), named("disc", 21, 33), named("noise", 21, 33), named("noise", 21, 33)]
}

fn webp(lossless: bool, quality: u8, method: &str) -> Value {
    json!({"lossless": lossless, "quality": quality, "method": method})
}

/// How long each image is shown, in milliseconds.
fn delays(frames: image::Frames<'_>) -> Vec<u32> {
    frames.map(|frame| frame.unwrap().delay().numer_denom_ms()).map(|(n, d)| n / d).collect()
}

#[test]
fn an_animation_without_losses_comes_back_as_it_was() {
    let pictures = pictures();
    let pixels: Vec<u8> = pictures.iter().flat_map(|picture| picture.bytes.clone()).collect();
    let set = bench(&pictures);
    let quick = json!({"compress_level": 0});
    let cases = [
        ("SaveAnimatedPNG", json!({"compress_level": 4})),
        ("SaveAnimatedPNG", quick),
        ("SaveAnimatedWEBP", webp(true, 80, "slowest")),
    ];
    for (class, widgets) in cases {
        let (path, shown) = animated(&set, class, &widgets);
        assert_eq!(shown["animated"], json!([true]));
        assert_eq!(shown["images"][0]["type"], "output");
        let found = load_image(&path).unwrap();
        assert_eq!((found.count, found.height, found.width), (4, 21, 33), "{class}");
        assert_eq!(found.rgb.iter().map(|v| (v * 255.0).round() as u8).collect::<Vec<_>>(), pixels, "{class}");
        assert!(found.mask.is_none());
        let file = std::io::Cursor::new(std::fs::read(&path).unwrap());
        let found = if class == "SaveAnimatedPNG" {
            delays(PngDecoder::new(file).unwrap().apng().unwrap().into_frames())
        } else {
            delays(WebPDecoder::new(file).unwrap().into_frames())
        };
        assert_eq!(found, [125; 4], "{class}");
    }
}

#[test]
fn an_animation_with_losses_is_small_and_looks_alike() {
    let pictures = [named("smooth", 64, 64), named("disc", 64, 64)];
    let set = bench(&pictures);
    let size_and_error = |quality: u8| {
        let (path, _) = animated(&set, "SaveAnimatedWEBP", &webp(false, quality, "default"));
        let found = load_image(&path).unwrap();
        let pixels = pictures.iter().flat_map(|picture| &picture.bytes);
        let error: f32 = found.rgb.iter().zip(pixels).map(|(v, b)| (v - f32::from(*b) / 255.0).powi(2)).sum();
        (std::fs::metadata(path).unwrap().len(), error / found.rgb.len() as f32)
    };
    let (small, large) = (size_and_error(10), size_and_error(95));
    assert!(small.0 < large.0 && small.1 > large.1, "{small:?} {large:?}");
    // 32 dB, which the lower resolution of colours in this format costs.
    assert!(large.1 < 6e-4, "{large:?}");
}

#[test]
fn a_single_image_is_no_animation() {
    let set = bench(&[named("noise", 5, 7)]);
    for (class, widgets) in
        [("SaveAnimatedPNG", json!({"compress_level": 4})), ("SaveAnimatedWEBP", webp(true, 80, "fastest"))]
    {
        let (path, shown) = animated(&set, class, &widgets);
        assert_eq!(shown.get("animated"), None);
        let found = load_image(&path).unwrap();
        assert_eq!(found.count, 1);
        assert_eq!(found.rgb.iter().map(|v| (v * 255.0).round() as u8).collect::<Vec<_>>(), named("noise", 5, 7).bytes);
    }
}

#[test]
fn opacity_goes_into_an_animation() {
    let set = bench(&[named("noise", 6, 5), named("smooth", 6, 5)]);
    for (class, widgets) in
        [("SaveAnimatedPNG", json!({"compress_level": 4})), ("SaveAnimatedWEBP", webp(true, 80, "default"))]
    {
        let g = GraphBuilder::new();
        let loaded = common::node(&g, "LoadImageDataSetFromFolder", &[], &json!({"folder": "set"}));
        let batch = common::node(&g, "RebatchImages", &[("images", &loaded)], &json!({"batch_size": 2}));
        let mask = common::node(&g, "ImageToMask", &[("image", &batch)], &json!({"channel": "red"}));
        let joined = common::node(&g, "JoinImageWithAlpha", &[("image", &batch), ("alpha", &mask)], &json!({}));
        let mut all = json!({"filename_prefix": "clear", "fps": 6.0});
        all.as_object_mut().unwrap().extend(widgets.as_object().unwrap().clone());
        let node = common::node(&g, class, &[("images", &joined)], &all);
        let report = set.engine.run(g.into_prompt()).unwrap();
        let shown = report.ui(node.node.as_ref()).unwrap().get("images").unwrap()[0].clone();
        let found = load_image(&set.folder(DirKind::Output).join(shown["filename"].as_str().unwrap())).unwrap();
        let (bytes, red) = (&named("noise", 6, 5).bytes, found.mask.unwrap());
        assert_eq!(found.rgb[..90].iter().map(|v| (v * 255.0).round() as u8).collect::<Vec<_>>(), *bytes, "{class}");
        let close = |(mask, red): (&f32, &u8)| (mask - f32::from(*red) / 255.0).abs() < 0.0041;
        assert!(red.iter().zip(bytes.iter().step_by(3)).all(close), "{class}");
    }
}

#[test]
fn ten_thousand_images_are_written_one_at_a_time_and_refused_when_read() {
    let bench = Bench::new();
    for (class, widgets) in
        [("SaveAnimatedPNG", json!({"compress_level": 4})), ("SaveAnimatedWEBP", webp(true, 0, "fastest"))]
    {
        let g = GraphBuilder::new();
        let one =
            common::node(&g, "EmptyImage", &[], &json!({"width": 2, "height": 1, "batch_size": 2500, "color": 7}));
        let many = common::node(&g, "RepeatImageBatch", &[("image", &one)], &json!({"amount": 4}));
        let mut all = json!({"filename_prefix": "many", "fps": 1000.0});
        all.as_object_mut().unwrap().extend(widgets.as_object().unwrap().clone());
        common::node(&g, class, &[("images", &many)], &all);
        bench.run(g).unwrap();
    }
    for file in ["many_00001_.png", "many_00002_.webp"] {
        let error = load_image(&bench.folder(DirKind::Output).join(file)).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains("more than 4096 frames"), "{error}");
    }
}

#[test]
fn an_animation_that_cannot_be_leaves_no_file() {
    let bench = Bench::new();
    let g = GraphBuilder::new();
    let wide = common::node(&g, "EmptyImage", &[], &json!({"width": 16384, "height": 1, "batch_size": 2, "color": 0}));
    let mut all = json!({"filename_prefix": "wide", "fps": 6.0});
    all.as_object_mut().unwrap().extend(webp(true, 80, "default").as_object().unwrap().clone());
    common::node(&g, "SaveAnimatedWEBP", &[("images", &wide)], &all);
    let error = bench.run(g).unwrap_err();
    let message = format!("{error:?} {error}");
    assert!(message.contains("SaveAnimatedWEBP") && message.contains("a side has at most 16383"), "{message}");
    assert!(bench.files(DirKind::Output).is_empty(), "{:?}", bench.files(DirKind::Output));
}
