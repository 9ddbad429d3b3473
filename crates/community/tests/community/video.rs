//! VHS_VideoCombine: what comes back of its files, what lies beside them, and what it refuses.

use std::path::PathBuf;
use std::sync::Arc;

use kiln_exec::graph::Document;
use kiln_exec::{Prompt, RunOptions};
use kiln_nodes::files::load_image;
use serde_json::{Value as Json, json};

use crate::common::{Bench, MODEL};

/// The node over the images of the bench, with other inputs in the place of the usual ones.
fn combine(inputs: &Json) -> Json {
    let mut all = json!({"images": ["pictures", 0], "frame_rate": 8, "loop_count": 0, "filename_prefix": "clips/moving",
        "format": "image/gif", "pingpong": false, "save_output": true});
    all.as_object_mut().unwrap().extend(inputs.as_object().unwrap().clone());
    json!({"pictures": {"class_type": "Pictures", "inputs": {"count": 3}},
        "1": {"class_type": "VHS_VideoCombine", "inputs": all}})
}

/// What the node reports to clients of its file, and where that lies.
fn combined(bench: &Bench, nodes: &Json, extra: &Json) -> (Json, PathBuf) {
    let options = RunOptions { extra_pnginfo: Some(Arc::new(extra.clone())), ..RunOptions::default() };
    let prompt = Prompt::from_value(nodes.clone()).unwrap();
    let report = bench.engine.start(prompt).options(options).run().unwrap();
    let shown = report.ui("1").unwrap().get("gifs").unwrap()[0].clone();
    let path = PathBuf::from(shown["fullpath"].as_str().unwrap());
    (shown, path)
}

/// The bytes of the bench's three images as they are saved.
fn pictures() -> Vec<u8> {
    (0..3 * 4 * 6 * 3).map(|i| ((i * 37 % 101) as f32 / 100.0 * 255.0) as u8).collect()
}

fn pixels(path: &std::path::Path) -> Vec<u8> {
    load_image(path).unwrap().rgb.iter().map(|v| (v * 255.0).round() as u8).collect()
}

/// How often a file is shown (0 without end), and how long each image, in the format's own unit.
fn loops_and_times(path: &std::path::Path) -> (u32, Vec<u32>) {
    let bytes = std::fs::read(path).unwrap();
    let find = |name: &[u8], from: usize| bytes[from..].windows(name.len()).position(|w| w == name).map(|at| at + from);
    let all = |name: &[u8]| {
        let mut found = Vec::new();
        while let Some(at) = find(name, found.last().map_or(0, |at| at + 1)) {
            found.push(at);
        }
        found
    };
    let little = |at: usize, count: usize| (0..count).rev().fold(0u32, |n, i| n << 8 | u32::from(bytes[at + i]));
    let big = |at: usize, count: usize| (0..count).fold(0u32, |n, i| n << 8 | u32::from(bytes[at + i]));
    match path.extension().unwrap().to_str().unwrap() {
        "gif" => {
            let loops = find(b"NETSCAPE2.0", 0).map(|at| little(at + 13, 2)).unwrap();
            (loops, all(b"\x21\xf9\x04").into_iter().map(|at| little(at + 4, 2)).collect())
        }
        "webp" => {
            let loops = find(b"ANIM", 0).map(|at| little(at + 12, 2)).unwrap();
            (loops, all(b"ANMF").into_iter().map(|at| little(at + 20, 3)).collect())
        }
        _ => {
            let loops = find(b"acTL", 0).map(|at| big(at + 8, 4)).unwrap();
            (loops, all(b"fcTL").into_iter().map(|at| big(at + 24, 2)).collect())
        }
    }
}

#[test]
fn images_become_one_file_with_the_first_and_the_graph_beside_it() {
    let bench = Bench::new();
    for (format, ending, unit, number) in
        [("image/gif", "gif", 10, 1), ("image/webp", "webp", 1, 2), ("image/apng", "apng", 1, 3)]
    {
        let nodes = combine(&json!({"format": format, "frame_rate": 6.0, "loop_count": 5}));
        let workflow = json!({"nodes": [], "links": [], "version": 0.4, "extra": {"name": "ü"}});
        let (shown, path) = combined(&bench, &nodes, &json!({"workflow": workflow}));
        let name = |ending: &str| format!("moving_{number:05}.{ending}");
        let told = json!({"filename": name(ending), "subfolder": "clips", "type": "output", "format": format,
            "frame_rate": 6.0, "workflow": name("png"), "fullpath": path.to_str().unwrap()});
        assert_eq!(shown, told);
        assert_eq!(path, bench.root.path().join("output/clips").join(name(ending)));
        // 24 pixels have no more colours than a GIF.
        assert_eq!(pixels(&path), pictures(), "{format}");
        assert_eq!(loops_and_times(&path), (5, vec![167 / unit; 3]), "{format}");
        let still = path.with_extension("png");
        assert_eq!(pixels(&still), pictures()[..72]);
        let (carried, page) = Document::with_source(std::fs::read(&still).unwrap()).unwrap();
        assert_eq!(page, Some(workflow));
        let Document::Prompt(carried) = carried else { panic!("{} carries no prompt", still.display()) };
        assert_eq!(carried.to_value(), Prompt::from_value(nodes).unwrap().to_value(), "the image is its graph");
    }
    let left: Vec<_> = std::fs::read_dir(bench.root.path().join("output/clips")).unwrap().flatten().collect();
    assert_eq!(left.len(), 6, "{left:?}");
}

#[test]
fn there_and_back_shows_each_image_but_the_ends_twice() {
    let bench = Bench::new();
    let (_, path) = combined(&bench, &combine(&json!({"pingpong": true})), &Json::Null);
    let (right, each) = (pictures(), 72);
    assert_eq!(pixels(&path), [&right[..], &right[each..2 * each]].concat());
    assert_eq!(loops_and_times(&path), (0, vec![12; 4]));
}

#[test]
fn what_is_not_kept_goes_to_the_folder_for_temporary_files_and_the_still_image_is_an_option() {
    let bench = Bench::new();
    let extra = json!({"workflow": {"nodes": [], "extra": {"VHS_MetadataImage": false}}});
    let lossy = json!({"save_output": false, "format": "image/webp", "lossless": false, "pix_fmt": "yuv420p"});
    let (shown, path) = combined(&bench, &combine(&lossy), &extra);
    assert_eq!(shown["type"], "temp");
    assert!(path.starts_with(bench.root.path().join("temp/clips")) && !path.with_extension("png").exists());
    assert!(std::fs::read(&path).unwrap().windows(4).any(|w| w == b"VP8 "), "with losses");
    assert!(!bench.root.path().join("output/clips").exists());
}

#[test]
fn latents_are_decoded_by_the_autoencoder_that_is_linked() {
    let bench = Bench::new();
    let mut nodes = combine(&json!({"images": ["2", 0], "vae": ["3", 2], "format": "image/webp"}));
    nodes["2"] = json!({"class_type": "EmptyLatentImage", "inputs": {"width": 32, "height": 16, "batch_size": 2}});
    nodes["3"] = json!({"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": MODEL}});
    nodes["4"] = json!({"class_type": "VAEDecode", "inputs": {"samples": ["2", 0], "vae": ["3", 2]}});
    let (_, latents) = combined(&bench, &nodes, &Json::Null);
    nodes["1"]["inputs"]["images"] = json!(["4", 0]);
    let (_, images) = combined(&bench, &nodes, &Json::Null);
    assert_eq!((load_image(&latents).unwrap().count, pixels(&latents)), (2, pixels(&images)));
    nodes["1"]["inputs"]["images"] = json!(["2", 0]);
    nodes["1"]["inputs"].as_object_mut().unwrap().remove("vae");
    let message = bench.refused_as_it_is(&nodes);
    assert!(message.contains("VHS_VideoCombine") && message.contains("link the autoencoder"), "{message}");
}

#[test]
fn a_rate_may_be_a_whole_number_of_another_node() {
    let bench = Bench::new();
    let mut nodes = combine(&json!({"frame_rate": ["2", 0]}));
    nodes["2"] = json!({"class_type": "INTConstant", "inputs": {"value": 20}});
    let (shown, path) = combined(&bench, &nodes, &Json::Null);
    assert_eq!((shown["frame_rate"].clone(), loops_and_times(&path).1), (json!(20.0), vec![5; 3]));
    nodes["1"]["inputs"]["frame_rate"] = json!(["pictures", 0]);
    let message = bench.refused_as_it_is(&nodes);
    assert!(message.contains("`frame_rate` wants FLOAT,INT, got IMAGE"), "{message}");
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_runs() {
    let bench = Bench::new();
    for (inputs, parts) in [
        (json!({"format": "video/h264-mp4"}), &["video/h264-mp4", "ffmpeg", "image/gif, image/webp or image/apng"][..]),
        (json!({"format": "video/ProRes", "audio": null}), &["video/ProRes", "SaveImage"]),
        (json!({"format": "image/jpeg"}), &["image/jpeg", "image/gif, image/webp or image/apng"]),
        (json!({"filename_prefix": "../../moving"}), &["outside"]),
        (json!({"frame_rate": 0}), &["frame_rate"]),
    ] {
        let message = bench.refused_as_it_is(&combine(&inputs));
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    assert!(!bench.root.path().join("output/clips").exists());
    let error = bench.run(&combine(&json!({"format": "video/h264-mp4"})), &[]).unwrap_err().to_string();
    assert_eq!(error.matches("ffmpeg").count(), 1, "one word about one mistake: {error}");
}

#[test]
fn nothing_is_saved_of_nothing_and_nothing_half_of_what_fails() {
    let bench = Bench::new();
    let mut nodes = combine(&json!({}));
    nodes["pictures"]["inputs"]["count"] = json!(0);
    let report = bench.run(&nodes, &[]).unwrap();
    assert_eq!(report.ui("1").and_then(|ui| ui.get("gifs")), None);
    nodes["pictures"] = json!({"class_type": "EmptyImage",
        "inputs": {"width": 16384, "height": 1, "batch_size": 2, "color": 0}});
    nodes["1"]["inputs"]["format"] = json!("image/webp");
    let message = bench.refused_as_it_is(&nodes);
    assert!(message.contains("VHS_VideoCombine") && message.contains("at most 16383"), "{message}");
    let left = std::fs::read_dir(bench.root.path().join("output/clips")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}
