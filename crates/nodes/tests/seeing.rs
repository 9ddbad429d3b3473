//! Detectors and segmenters in nodes: small ones with computed weights. What they find means nothing, but how many, where and
//! in which order is fixed, and so is what happens when there is nothing to find.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::Path;

use common::{Bench, link};
use kiln_exec::{ErrorKind, FromValue, Prompt, RunOptions, Value as Payload};
use kiln_memory::{TensorShapes, hash_uniform};
use kiln_models::clip::{Activation, TextConfig};
use kiln_models::detector::{DetectorConfig, Version};
use kiln_models::segmenter::SegmenterConfig;
use kiln_nodes::payload::BoundingBoxes;
use kiln_nodes::{Image, Mask};
use serde_json::{Value, json};

const TEXT: usize = 32;

fn detector(version: Version) -> DetectorConfig {
    DetectorConfig {
        version,
        channels: [16, 16, 32, 32, 32],
        repeats: [1; 4],
        text_repeats: [1; 4],
        heads: [1; 4],
        text: TEXT,
        tokens: if version == Version::V1 { 32 } else { 0 },
        hidden: [16, 16],
        fused: false,
    }
}

fn text() -> TextConfig {
    TextConfig {
        vocabulary: 49408,
        positions: 77,
        width: 32,
        layers: 1,
        dropped: 0,
        heads: 1,
        mlp: 32,
        activation: Activation::QuickGelu,
        projection: Some(TEXT),
        pad: 0,
    }
}

fn segmenter() -> SegmenterConfig {
    SegmenterConfig {
        image: 1024,
        patch: 16,
        width: 16,
        heads: 1,
        blocks: 1,
        mlp: 32,
        positions: 197,
        grid: None,
        decoder: 16,
        decoder_heads: 8,
        cross: 8,
        decoder_layers: 1,
        decoder_mlp: 16,
        masks: 4,
        upscaled: [8, 4],
    }
}

/// Values by name: batch norms that change nothing, and what the recipe says elsewhere.
fn fill(name: &str, shape: &[usize], out: &mut [f32]) {
    hash_uniform(name, shape, out);
    if name.ends_with("running_var") {
        out.fill(1.0);
    } else if name.ends_with("running_mean") {
        out.fill(0.0);
    } else if name.ends_with("logit_scale") {
        out.fill(2.0);
    }
}

fn write(path: &Path, parts: &[TensorShapes], change: impl Fn(&str, &mut [f32])) {
    let names = parts.iter().flat_map(TensorShapes::iter);
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = names
        .map(|(name, shape)| {
            let mut values = vec![0f32; shape.iter().product()];
            fill(name, shape, &mut values);
            change(name, &mut values);
            (
                name.to_owned(),
                shape.to_vec(),
                values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
            )
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F16, shape.clone(), bytes).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// A bench with a detector (its text encoder in it) and a segmenter.
fn bench() -> Bench {
    let bench = Bench::new();
    write_detector(&bench, Version::V1, |_, _| {});
    let segmenter_file = bench.model_path("efficient_sam", "small.safetensors");
    write(&segmenter_file, &[segmenter().tensors().unwrap()], |_, _| {});
    bench
}

fn write_detector(bench: &Bench, version: Version, change: impl Fn(&str, &mut [f32])) {
    let parts = [detector(version).tensors().unwrap(), text().tensors().unwrap()];
    write(&bench.model_path("yolo_world", "small.safetensors"), &parts, change);
}

/// The pack's node on a picture of one colour with a square in it, by Kiln's loaders; `change` has the last word.
fn graph(change: impl FnOnce(&mut Value)) -> Value {
    let mut graph = json!({
        "1": {"class_type": "KilnLoadDetector", "inputs": {"detector_name": "small.safetensors"}},
        "2": {"class_type": "KilnLoadSegmenter", "inputs": {"segmenter_name": "small.safetensors"}},
        "3": {"class_type": "EmptyImage", "inputs": {"width": 96, "height": 64, "batch_size": 1, "color": 4_210_943}},
        "4": {"class_type": "Yoloworld_ESAM_Zho", "inputs": {
            "yolo_world_model": ["1", 0], "esam_model": ["2", 0], "image": ["3", 0], "categories": "cat, dog",
            "confidence_threshold": 0.0, "iou_threshold": 0.1, "box_thickness": 2, "text_thickness": 2,
            "text_scale": 1.0, "with_confidence": true, "with_class_agnostic_nms": false, "with_segmentation": true,
            "mask_combined": true, "mask_extracted": true, "mask_extracted_index": 0}},
        "9": {"class_type": "PreviewAny", "inputs": {"source": ["4", 1]}},
    });
    change(&mut graph);
    graph
}

fn run(bench: &Bench, graph: &Value, sockets: &[(&str, usize)]) -> Vec<Payload> {
    let fetch = sockets.iter().map(|(node, socket)| link(node, *socket)).collect::<Vec<_>>();
    let options = RunOptions { fetch: fetch.clone(), ..RunOptions::default() };
    let prompt = Prompt::from_json(graph.to_string()).unwrap();
    let report = bench.engine.start(prompt).options(options).run().unwrap();
    fetch.iter().map(|link| report.values(link).unwrap().at(0).unwrap().clone()).collect()
}

fn seen(bench: &Bench, graph: &Value) -> (Image, Mask) {
    let values = run(bench, graph, &[("4", 0), ("4", 1)]);
    (Image::from_value(values[0].clone()).ok().unwrap(), Mask::from_value(values[1].clone()).ok().unwrap())
}

fn refused(bench: &Bench, graph: &Value, parts: &[&str]) {
    let error = bench.engine.run(Prompt::from_json(graph.to_string()).unwrap()).expect_err("this is a mistake");
    assert!(!matches!(error.kind(), ErrorKind::Panicked), "{error}");
    let message = format!("{error:?} {error}");
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

fn is_binary(mask: &Mask) -> bool {
    mask.values().unwrap().iter().all(|v| *v == 0.0 || *v == 1.0)
}

fn is_empty(mask: &Mask) -> bool {
    mask.values().unwrap().iter().all(|v| *v == 0.0)
}

/// A whole node finds the same in every version, draws it, and gives masks of the picture's size.
#[test]
fn the_pack_node_gives_a_drawn_picture_and_a_mask_of_its_size() {
    let bench = bench();
    for version in [Version::V1, Version::V2] {
        write_detector(&bench, version, |_, _| {});
        let (picture, mask) = seen(&bench, &graph(|_| {}));
        assert_eq!((picture.dims(), mask.dims()), ([1, 64, 96, 3], [1, 64, 96]));
        assert!(is_binary(&mask));
        let plain = [64.0 / 255.0, 64.0 / 255.0, 255.0 / 255.0];
        let drawn = picture.values().unwrap().chunks(3).filter(|pixel| pixel != &plain).count();
        assert!(drawn > 0, "nothing is drawn");
    }
}

#[test]
fn all_masks_come_one_behind_the_other_and_one_of_them_by_its_number() {
    let bench = bench();
    let all = graph(|graph| {
        graph["4"]["inputs"]["mask_combined"] = json!(false);
        graph["4"]["inputs"]["mask_extracted"] = json!(false);
    });
    let (_, all) = seen(&bench, &all);
    let [count, ..] = all.dims();
    assert!(count > 0);
    let number = |i: usize| {
        let graph = graph(|graph| {
            graph["4"]["inputs"]["mask_combined"] = json!(false);
            graph["4"]["inputs"]["mask_extracted_index"] = json!(i);
        });
        seen(&bench, &graph).1
    };
    let all_values = all.values().unwrap();
    assert_eq!(number(0).values().unwrap(), all_values[..64 * 96]);
    let last = number(count - 1);
    assert_eq!(last.values().unwrap(), all_values[(count - 1) * 64 * 96..]);
    // The reference fails where the number counts beyond what was found.
    assert!(is_empty(&number(count)));
    let union = seen(&bench, &graph(|_| {})).1.values().unwrap();
    let joined: Vec<f32> =
        (0..64 * 96).map(|i| (0..count).map(|n| all_values[n * 64 * 96 + i]).fold(0.0, f32::max)).collect();
    assert_eq!(union, joined);
}

#[test]
fn nothing_found_is_an_empty_mask_and_the_picture_as_it_was() {
    let bench = bench();
    for (combined, extracted) in [(true, true), (false, true), (false, false)] {
        let graph = graph(|graph| {
            let inputs = &mut graph["4"]["inputs"];
            inputs["confidence_threshold"] = json!(1.0);
            inputs["mask_combined"] = json!(combined);
            inputs["mask_extracted"] = json!(extracted);
        });
        let (picture, mask) = seen(&bench, &graph);
        assert!(is_empty(&mask) && mask.dims() == [1, 64, 96]);
        let values = picture.values().unwrap();
        assert!(values.chunks(3).all(|pixel| pixel == &values[..3]));
    }
}

#[test]
fn without_segmentation_there_are_boxes_and_an_empty_mask() {
    let bench = bench();
    let (picture, mask) = seen(&bench, &graph(|graph| graph["4"]["inputs"]["with_segmentation"] = json!(false)));
    assert!(is_empty(&mask) && mask.dims() == [1, 64, 96]);
    let values = picture.values().unwrap();
    assert!(values.chunks(3).any(|pixel| pixel != &values[..3]));
}

/// A batch of three, pictures of a pixel and of a line, grey and with opacity.
#[test]
fn every_shape_of_a_picture_is_looked_at() {
    let bench = bench();
    for (width, height, batch) in [(1, 1, 1), (32, 16, 3), (3, 700, 1)] {
        let graph = graph(|graph| {
            graph["3"]["inputs"] = json!({"width": width, "height": height, "batch_size": batch, "color": 255});
        });
        let (picture, mask) = seen(&bench, &graph);
        assert_eq!(picture.dims(), [batch, height, width, 3]);
        assert_eq!(mask.dims(), [batch, height, width]);
    }
    let wide = graph(|graph| {
        graph["3"]["inputs"] = json!({"width": 10_000, "height": 1, "batch_size": 1, "color": 255});
        graph["5"] = json!({"class_type": "ImageStitch", "inputs": {"image1": ["3", 0], "image2": ["3", 0],
            "direction": "right", "match_image_size": true, "spacing_width": 0, "spacing_color": "white"}});
        graph["4"]["inputs"]["image"] = json!(["5", 0]);
    });
    assert_eq!(seen(&bench, &wide).1.dims(), [1, 1, 20_000]);
    let opaque = graph(|graph| {
        graph["5"] = json!({"class_type": "SolidMask", "inputs": {"value": 0.5, "width": 96, "height": 64}});
        graph["6"] = json!({"class_type": "JoinImageWithAlpha", "inputs": {"image": ["3", 0], "alpha": ["5", 0]}});
        graph["4"]["inputs"]["image"] = json!(["6", 0]);
    });
    assert_eq!(seen(&bench, &opaque).0.values().unwrap(), seen(&bench, &graph(|_| {})).0.values().unwrap());
}

#[test]
fn many_classes_and_short_ones_are_classes() {
    let bench = bench();
    let with = |categories: String| graph(|graph| graph["4"]["inputs"]["categories"] = json!(categories));
    let names = |count: usize| (0..count).map(|i| format!("thing {i}")).collect::<Vec<_>>().join(", ");
    for categories in [names(300), "a, b, c".to_owned(), "a".to_owned(), format!("a, {}", "long ".repeat(100))] {
        assert_eq!(seen(&bench, &with(categories)).1.dims(), [1, 64, 96]);
    }
    for none in ["", "  ", ",", " , "] {
        refused(&bench, &with(none.to_owned()), &["Yoloworld_ESAM_Zho", "`categories` names no class"]);
    }
    refused(&bench, &with(names(5000)), &["5000 classes", "4096"]);
}

/// An empty class beside an only one changes what the one scores; its own boxes are nobody's.
#[test]
fn an_only_class_is_asked_for_with_an_empty_one_unless_that_is_switched_off() {
    let label = |bench: &Bench, categories: &str| {
        let graph = graph(|graph| graph["4"]["inputs"]["categories"] = json!(categories));
        seen(bench, &graph).0.values().unwrap()
    };
    let on = bench();
    assert_eq!(label(&on, "cat"), label(&on, "cat,"));
    let (off, _) = Bench::with(|environment| environment.with_background_class(false));
    write_detector(&off, Version::V1, |_, _| {});
    write(&off.model_path("efficient_sam", "small.safetensors"), &[segmenter().tensors().unwrap()], |_, _| {});
    assert_ne!(label(&off, "cat"), label(&off, "cat,"));
    assert_eq!(label(&off, "cat,"), label(&on, "cat,"));
}

#[test]
fn boxes_travel_as_data_and_are_outlined_one_by_one() {
    let bench = bench();
    let graph = json!({
        "1": {"class_type": "KilnLoadDetector", "inputs": {"detector_name": "small.safetensors"}},
        "2": {"class_type": "KilnLoadSegmenter", "inputs": {"segmenter_name": "small.safetensors"}},
        "3": {"class_type": "EmptyImage", "inputs": {"width": 96, "height": 64, "batch_size": 2, "color": 4_210_943}},
        "4": {"class_type": "KilnDetect", "inputs": {"detector": ["1", 0], "image": ["3", 0], "categories": "cat, dog",
            "confidence": 0.0, "iou": 0.5, "class_agnostic": true, "max_detections": 5, "background": false}},
        "5": {"class_type": "KilnSegmentBoxes", "inputs": {"segmenter": ["2", 0], "image": ["3", 0],
            "bboxes": ["4", 0], "individual_masks": true}},
        "6": {"class_type": "KilnSegmentPoints", "inputs": {"segmenter": ["2", 0], "image": ["3", 0],
            "positive_coords": "[{\"x\": 10, \"y\": 20}]"}},
        "9": {"class_type": "PreviewAny", "inputs": {"source": ["5", 0]}},
        "10": {"class_type": "PreviewAny", "inputs": {"source": ["6", 0]}},
    });
    let values = run(&bench, &graph, &[("4", 0), ("5", 0), ("6", 0)]);
    let boxes = BoundingBoxes::from_value(values[0].clone()).ok().unwrap();
    let (first, second) = (boxes.of(0).to_vec(), boxes.of(1).to_vec());
    assert!(!first.is_empty() && first.len() <= 5 && first == second, "{first:?}");
    assert!(first.windows(2).all(|pair| pair[0].score >= pair[1].score));
    assert!(first.iter().all(|found| found.label == "cat" || found.label == "dog"));
    let masks = Mask::from_value(values[1].clone()).ok().unwrap();
    assert_eq!(masks.dims(), [first.len() * 2, 64, 96]);
    let points = Mask::from_value(values[2].clone()).ok().unwrap();
    assert!(points.dims() == [2, 64, 96] && is_binary(&points));
    let mut graph = graph;
    graph["6"]["inputs"]["positive_coords"] = json!("[]");
    refused(&bench, &graph, &["KilnSegmentPoints", "`positive_coords` holds no point"]);
    graph["6"]["inputs"]["positive_coords"] = json!("[{\"x\": 1}]");
    refused(&bench, &graph, &["`positive_coords`", "missing field `y`"]);
}

#[test]
fn boxes_are_one_for_all_or_a_list_for_each_image() {
    let parse = |json: Value| BoundingBoxes::from_value(Payload::from_json(&json)).ok();
    let one = json!({"x": 1, "y": 2, "width": 3, "height": 4});
    for shared in [one.clone(), json!([one.clone()])] {
        let boxes = parse(shared).unwrap();
        assert_eq!(boxes.of(0), boxes.of(7));
        assert_eq!(boxes.of(0)[0].corners(), [1.0, 2.0, 4.0, 6.0]);
    }
    let boxes = parse(json!([[], [one]])).unwrap();
    assert_eq!((boxes.of(0).len(), boxes.of(1).len(), boxes.of(2).len()), (0, 1, 0));
    assert!(parse(json!([[{"x": 1}]])).is_none() && parse(json!("boxes")).is_none());
}

#[test]
fn the_second_packs_nodes_keep_classes_with_the_loader() {
    let bench = bench();
    // A file is found by what it holds: a size that the pack names.
    let small = DetectorConfig { channels: [32, 64, 128, 256, 512], heads: [4, 2, 4, 8], ..detector(Version::V1) };
    let parts = [small.tensors().unwrap(), text().tensors().unwrap()];
    write(&bench.model_path("yolo_world", "some_name.safetensors"), &parts, |_, _| {});
    let mut graph = json!({
        "1": {"class_type": "YOLOWorld_ModelLoader", "inputs": {"model_id": "yolo_world/s", "categories": "Cat, dog"}},
        "3": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 2, "color": 4_210_943}},
        "4": {"class_type": "YOLOWorld", "inputs": {"model": ["1", 0], "images": ["3", 0], "confidence_threshold": 0.0,
            "nms_iou_threshold": 0.3, "with_class_agnostic_nms": false}},
        "5": {"class_type": "YOLOWorld_Display", "inputs": {"images": ["3", 0], "detections": ["4", 0],
            "with_confidence": true, "thickness": 10, "text_thickness": 2, "text_scale": 1.0}},
        "9": {"class_type": "PreviewImage", "inputs": {"images": ["5", 0]}},
    });
    let picture = Image::from_value(run(&bench, &graph, &[("5", 0)])[0].clone()).ok().unwrap();
    let values = picture.values().unwrap();
    assert_eq!(picture.dims(), [2, 64, 64, 3]);
    assert!(values.chunks(3).any(|pixel| pixel != &values[values.len() - 3..]));
    graph["1"] = json!({"class_type": "Yoloworld_ModelLoader_Zho", "inputs": {"yolo_world_model": "yolo_world/s"}});
    refused(&bench, &graph, &["YOLOWorld", "`model` was loaded without classes"]);
}

#[test]
fn what_is_missing_is_named_with_the_folder_and_the_way_to_make_it() {
    let bench = Bench::new();
    std::fs::write(bench.model_path("yolo_world", "yolov8l-world.pt"), b"PK no archive").unwrap();
    let loader = |class: &str, input: &str, value: &str| {
        json!({"1": {"class_type": class, "inputs": {input: value}},
               "9": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}})
    };
    let detector = loader("Yoloworld_ModelLoader_Zho", "yolo_world_model", "yolo_world/l");
    refused(&bench, &detector, &["version 1, size l", "yolo_world", "yolov8l-world.pt", "save_file"]);
    let segmenter = loader("ESAM_ModelLoader_Zho", "device", "CPU");
    refused(&bench, &segmenter, &["EfficientSAM", "efficient_sam", "torch.jit.load"]);
    let pickle = loader("KilnLoadDetector", "detector_name", "yolov8l-world.pt");
    refused(&bench, &pickle, &["yolov8l-world.pt", "converted once", "save_file"]);
}

#[test]
fn a_detector_without_texts_says_which_file_brings_them_and_takes_it_from_the_folder() {
    let bench = bench();
    let alone = [detector(Version::V1).tensors().unwrap()];
    write(&bench.model_path("yolo_world", "small.safetensors"), &alone, |_, _| {});
    refused(
        &bench,
        &graph(|_| {}),
        &["small.safetensors has no text encoder", "clip-vit-base-patch32", "text_encoders"],
    );
    write(&bench.model_path("text_encoders", "clip_b32.safetensors"), &[text().tensors().unwrap()], |_, _| {});
    assert_eq!(seen(&bench, &graph(|_| {})).1.dims(), [1, 64, 96]);
}

#[test]
fn files_in_the_wrong_slot_and_networks_that_kiln_does_not_run_are_called_what_they_are() {
    let bench = bench();
    let listed = |names: &[(&str, &[usize])]| {
        names.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec())).collect::<TensorShapes>()
    };
    let replaced = |folder: &str, names: TensorShapes, parts: &[&str]| {
        let path = bench.model_path(folder, "small.safetensors");
        let before = std::fs::read(&path).unwrap();
        write(&path, &[names], |_, _| {});
        refused(&bench, &graph(|_| {}), parts);
        std::fs::write(&path, before).unwrap();
    };
    let wrong = segmenter().tensors().unwrap();
    replaced("yolo_world", wrong, &["small.safetensors: no detector", "an EfficientSAM segmenter"]);
    let wrong = detector(Version::V2).tensors().unwrap();
    replaced("efficient_sam", wrong, &["small.safetensors: no segmenter", "a YOLO-World detector"]);
    let dino = listed(&[("transformer.encoder.fusion_layers.0.gamma_v", &[4])]);
    replaced("yolo_world", dino, &["Grounding DINO", "does not run"]);
    let dino = listed(&[("model.encoder.layers.0.fusion_layer.vision_param", &[4])]);
    replaced("yolo_world", dino, &["Grounding DINO"]);
    let plain = listed(&[("model.22.cv3.0.2.weight", &[80, 8, 1, 1]), ("model.0.conv.weight", &[16, 3, 3, 3])]);
    replaced("yolo_world", plain, &["plain YOLO"]);
    let sam2 =
        listed(&[("image_encoder.trunk.pos_embed", &[1, 4, 7, 7]), ("sam_mask_decoder.iou_token.weight", &[1, 4])]);
    replaced("efficient_sam", sam2, &["SAM 2", "does not run"]);
}

#[test]
fn weights_that_are_no_numbers_are_an_error_and_no_empty_picture() {
    let bench = bench();
    write_detector(&bench, Version::V1, |name, values| {
        if name == "model.9.cv1.conv.weight" {
            values.fill(f32::NAN);
        }
    });
    refused(&bench, &graph(|_| {}), &["detector", "not numbers (NaN)"]);
    let bench = self::bench();
    let path = bench.model_path("efficient_sam", "small.safetensors");
    write(&path, &[segmenter().tensors().unwrap()], |name, values| {
        if name == "mask_decoder.iou_prediction_head.fc.bias" {
            values.fill(f32::NAN);
        }
    });
    refused(&bench, &graph(|_| {}), &["segmenter", "not numbers (NaN)"]);
}

/// The loaders' models are seen by the budget under their own names, and the plan knows them.
#[test]
fn both_models_are_held_under_their_names_and_planned_for() {
    let (bench, environment) = Bench::with(|environment| environment);
    write_detector(&bench, Version::V1, |_, _| {});
    write(&bench.model_path("efficient_sam", "small.safetensors"), &[segmenter().tensors().unwrap()], |_, _| {});
    let graph = graph(|_| {});
    let prompt = Prompt::from_json(graph.to_string()).unwrap();
    let schedule = kiln_nodes::runtime::ModelSchedule::of(bench.engine.registry(), &prompt).schedule(&[]);
    let planned = format!("{schedule:?}");
    bench.engine.run(prompt).unwrap();
    let report = environment.budget().report().to_string();
    for holder in ["detector of small", "clip of small", "segmenter of small"] {
        assert!(planned.contains(holder), "{holder} is not in {planned}");
        assert!(report.contains(holder), "{holder} is not in {report}");
    }
}

/// A run whose weights may not stay gives the same picture.
#[test]
fn a_limit_changes_nothing_that_is_seen() {
    let picture = |limit: Option<u64>| {
        let controls = kiln_memory::Controls { vram_limit: limit, ..kiln_memory::Controls::default() };
        let (bench, _) = Bench::with(|environment| environment.with_controls(controls));
        write_detector(&bench, Version::V1, |_, _| {});
        write(&bench.model_path("efficient_sam", "small.safetensors"), &[segmenter().tensors().unwrap()], |_, _| {});
        let (picture, mask) = seen(&bench, &graph(|_| {}));
        (picture.values().unwrap(), mask.values().unwrap())
    };
    assert!(picture(None) == picture(Some(0)));
}

#[test]
fn a_provider_cuts_out_what_is_found() {
    let bench = bench();
    let mut graph = json!({
        "1": {"class_type": "KilnLoadDetector", "inputs": {"detector_name": "small.safetensors"}},
        "2": {"class_type": "KilnLoadSegmenter", "inputs": {"segmenter_name": "small.safetensors"}},
        "4": {"class_type": "Yoloworld_ESAM_DetectorProvider_Zho", "inputs": {"yolo_world_model": ["1", 0],
            "categories": "cat", "iou_threshold": 0.1, "with_class_agnostic_nms": false, "esam_model_opt": ["2", 0]}},
        "9": {"class_type": "PreviewAny", "inputs": {"source": ["4", 0]}},
    });
    let values = run(&bench, &graph, &[("4", 0), ("4", 1)]);
    assert!(values[1].downcast_ref::<kiln_nodes::seeing::OutlineDetector>().is_some());
    graph["4"]["inputs"].as_object_mut().unwrap().remove("esam_model_opt");
    assert!(matches!(run(&bench, &graph, &[("4", 1)])[0], Payload::Null));
}
