//! The command, run as a person would.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;
mod graphs;
mod looking;
mod setting;
mod wording;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

fn kiln(args: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Command::new(env!("CARGO_BIN_EXE_kiln")).args(args).current_dir(root).output().expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A graph of plain values with one output node, as a file.
fn graph(folder: &Path, json: &str) -> String {
    let file = folder.join("graph.json");
    std::fs::write(&file, json).unwrap();
    file.to_string_lossy().into_owned()
}

const SHOW: &str = r#"{"1": {"class_type": "PrimitiveInt", "inputs": {"value": 42}},
                       "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}}"#;

#[test]
fn every_example_graph_is_fit_to_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/workflows");
    let graphs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(graphs.len() >= 5);
    for graph in graphs {
        let answer = kiln(&["validate", &graph.to_string_lossy(), "--input-directory", "examples/input"]);
        assert!(answer.status.success(), "{}: {}", graph.display(), text(&answer.stderr));
    }
}

#[test]
fn events_are_one_json_object_per_line_and_the_last_is_the_summary() {
    let folder = tempfile::tempdir().unwrap();
    let answer = kiln(&["run", &graph(folder.path(), SHOW), "--events", "jsonl", "--retention", "0"]);
    assert!(answer.status.success(), "{}", text(&answer.stderr));
    let out = text(&answer.stdout);
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let executed: Vec<&str> = lines
        .iter()
        .filter(|line| line["type"] == "executing")
        .filter_map(|line| line["data"]["node"].as_str())
        .collect();
    assert_eq!(executed, ["1", "2"]);
    let summary = lines.last().unwrap();
    assert_eq!(summary["type"], "summary");
    assert_eq!(summary["executed"], 2);
    assert_eq!(summary["reexecuted"], 0);
    for key in ["cached", "peak_bytes", "live_bytes_at_end"] {
        assert!(summary[key].is_u64(), "{key}");
    }
}

/// The command with nobody at the other end of what it writes: how it ends, and what it left on standard error, if anyone
/// reads that.
fn unread(args: &[&str], errors: bool) -> (std::process::ExitStatus, String) {
    let closed = || std::io::pipe().unwrap().1;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.args(args).current_dir(root).stdout(closed());
    if errors {
        command.stderr(std::process::Stdio::piped());
    } else {
        command.stderr(closed());
    }
    let answer = command.spawn().unwrap().wait_with_output().unwrap();
    (answer.status, text(&answer.stderr))
}

#[test]
fn a_reader_who_has_gone_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().to_string_lossy().into_owned();
    let image = r#"{"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
                    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "seen"}}}"#;
    let graph = graph(folder.path(), image);
    let run = |more: &[&'static str]| [&["run", &graph, "--base-directory", &base][..], more].concat();
    let commands = [
        vec!["nodes"],
        vec!["nodes", "KSampler"],
        vec!["validate", &graph],
        vec!["memory", "plan", "assets/fluent-tiny.safetensors"],
        run(&[]),
        run(&["--events", "jsonl", "--explain"]),
        vec!["--help"],
    ];
    for args in &commands {
        let (status, errors) = unread(args, true);
        assert!(status.success() && !errors.contains("panicked"), "{args:?}: {status} {errors}");
        assert!(unread(args, false).0.success(), "{args:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path().join("output")).unwrap().count(), 4);
    let (status, _) = unread(&["run", "no such file"], false);
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_second_run_of_the_same_graph_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let answer = kiln(&["run", &graph(folder.path(), SHOW), "--events", "jsonl", "--repeat", "2"]);
    let last: serde_json::Value = serde_json::from_str(text(&answer.stdout).lines().last().unwrap()).unwrap();
    assert_eq!(last["executed"], 0);
}

#[test]
fn varied_seeds_run_again_what_depends_on_them() {
    let folder = tempfile::tempdir().unwrap();
    let seeded = r#"{"1": {"class_type": "RandomNoise", "inputs": {"noise_seed": 7}},
                     "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}}"#;
    let answer = kiln(&["run", &graph(folder.path(), seeded), "--events", "jsonl", "--repeat", "2", "--vary-seed"]);
    let last: serde_json::Value = serde_json::from_str(text(&answer.stdout).lines().last().unwrap()).unwrap();
    assert_eq!(last["executed"], 2);
}

/// Eight images of 48 MiB, each made small and shown, so that only the cache reads them again.
fn large_images() -> String {
    let mut nodes = serde_json::Map::new();
    for n in 0..8 {
        let made = json!({"width": 2048, "height": 2048, "batch_size": 1, "color": n});
        let small = json!({"image": [format!("made{n}"), 0], "upscale_method": "area", "width": 8, "height": 8, "crop": "disabled"});
        nodes.insert(format!("made{n}"), json!({"class_type": "EmptyImage", "inputs": made}));
        nodes.insert(format!("small{n}"), json!({"class_type": "ImageScale", "inputs": small}));
        let shown = json!({"images": [format!("small{n}"), 0]});
        nodes.insert(format!("shown{n}"), json!({"class_type": "PreviewImage", "inputs": shown}));
    }
    serde_json::Value::Object(nodes).to_string()
}

#[test]
fn a_cache_gives_way_to_the_limit_of_the_process_and_what_is_shown_stays_known() {
    let folder = tempfile::tempdir().unwrap();
    let graph = graph(folder.path(), &large_images());
    let base = folder.path().to_string_lossy().into_owned();
    let summary = |more: &[&str]| -> serde_json::Value {
        let run =
            ["run", &graph, "--base-directory", &base, "--events", "jsonl", "--cache", "classic", "--repeat", "2"];
        let answer = kiln(&[&run, more].concat());
        assert!(answer.status.success(), "{}", text(&answer.stderr));
        serde_json::from_str(text(&answer.stdout).lines().last().unwrap()).unwrap()
    };
    let [free, limited] = [summary(&[]), summary(&["--ram-limit", "250M"])];
    assert_eq!(free["executed"], 0, "all of it is kept");
    // The small ones and what is shown may stay, not eight large ones of 48 MiB each.
    assert!(limited["peak_bytes"].as_u64().unwrap() < 250 << 20, "{limited}");
    assert_eq!(limited["executed"], 0, "what the outputs were made of is not missed");
}

#[test]
fn broken_json_is_told_with_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let answer = kiln(&["run", &graph(folder.path(), "{\n  \"1\": nothing\n}")]);
    assert_eq!(answer.status.code(), Some(1));
    assert!(text(&answer.stderr).contains("line 2, column"), "{}", text(&answer.stderr));
}

#[test]
fn an_unknown_class_is_told_with_the_node_and_the_nearest_name() {
    let folder = tempfile::tempdir().unwrap();
    let answer = kiln(&["run", &graph(folder.path(), r#"{"7": {"class_type": "KSamplr", "inputs": {}}}"#)]);
    assert_eq!(answer.status.code(), Some(1));
    let said = text(&answer.stderr);
    assert!(said.contains("\"7\"") && said.contains("KSampler"), "{said}");
}

#[test]
fn an_image_or_a_latent_that_carries_a_graph_is_a_graph_and_one_that_does_not_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let graph = r#"{"1": {"class_type": "PrimitiveInt", "inputs": {"value": 7}}, "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}}"#;
    let chunk = |kind: &[u8], data: &[u8]| [&(data.len() as u32).to_be_bytes(), kind, data, &[0; 4]].concat();
    let image = |texts: &[u8]| [b"\x89PNG\r\n\x1a\n", &*chunk(b"IHDR", &[0; 13]), texts, &chunk(b"IEND", &[])].concat();
    let header = serde_json::json!({"__metadata__": {"prompt": graph}}).to_string();
    let latent = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), b"numbers"].concat();
    let text = chunk(b"tEXt", format!("prompt\0{graph}").as_bytes());
    for (name, bytes) in
        [("a.png", image(&text)), ("a.latent", latent), ("a.json", [b"\xef\xbb\xbf", graph.as_bytes()].concat())]
    {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        for command in ["run", "validate"] {
            let answer =
                kiln(&[command, &file.to_string_lossy(), "--base-directory", &folder.path().to_string_lossy()]);
            assert!(answer.status.success(), "{command} {name}: {}", self::text(&answer.stderr));
        }
    }
    let file = folder.path().join("plain.png");
    std::fs::write(&file, image(&[])).unwrap();
    let answer = kiln(&["run", &file.to_string_lossy()]);
    assert_eq!(answer.status.code(), Some(1));
    let said = self::text(&answer.stderr);
    assert!(said.contains("plain.png") && said.contains("a PNG image that carries no graph"), "{said}");
}

#[test]
fn a_missing_file_is_told_by_name() {
    let answer = kiln(&["run", "no/such/graph.json"]);
    assert_eq!(answer.status.code(), Some(1));
    assert!(text(&answer.stderr).contains("no/such/graph.json"));
}

/// The parts of a file as files of their own.
fn part_of(folder: &Path, prefix: &str, name: &str) -> String {
    let whole = kiln_memory::WeightFile::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL)).unwrap();
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (tensor, info) in whole.tensors().filter(|(tensor, _)| tensor.starts_with(prefix)) {
        let start = data.len();
        data.extend_from_slice(whole.bytes(tensor).unwrap());
        let entry = serde_json::json!({"dtype": "F16", "shape": info.shape, "data_offsets": [start, data.len()]});
        header.insert(tensor.trim_start_matches(prefix).to_owned(), entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let file = folder.join(name);
    std::fs::write(&file, [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()).unwrap();
    file.to_string_lossy().into_owned()
}

const MODEL: &str = "../../assets/fluent-tiny.safetensors";

fn plan(file: &str, more: &[&str]) -> String {
    let answer = kiln(&[&["memory", "plan", file], more].concat());
    assert!(answer.status.success(), "{}", text(&answer.stderr));
    text(&answer.stdout)
}

#[test]
fn a_plan_says_what_stays_what_is_brought_and_why() {
    let plan = plan("assets/fluent-tiny.safetensors", &["--vram-limit", "20M", "--steps", "10"]);
    for part in [
        "assets/fluent-tiny.safetensors: SD1, 32.5 MiB of weights in the file\n",
        "at most 20.0 MiB of them decoded in memory; 10 steps of euler, one image\n",
        "in the file         decoded          passes            stay  brought a pass\n",
        "clip of fluent-tiny         6.2 MiB       391.0 KiB               2       391.0 KiB             0 B\n",
        "unet of fluent-tiny        19.7 MiB        39.5 MiB              10  ",
        "clip of fluent-tiny: fits, and stays from image to image (6.0 MiB are tables",
        "unet of fluent-tiny: larger than its room: ",
        "stay, spread evenly over a pass; the rest is brought between them, in each of 10 passes\n",
        "vae of fluent-tiny: ",
        "first image: ",
        "a step: ",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
}

#[test]
fn a_plan_is_made_for_any_file_with_weights() {
    let folder = tempfile::tempdir().unwrap();
    let unet = part_of(folder.path(), "model.diffusion_model.", "drawer.safetensors");
    assert!(plan(&unet, &["--vram-limit", "20M", "--sampler", "heun"]).contains("unet of drawer"));
    let vae = part_of(folder.path(), "first_stage_model.", "eye.safetensors");
    assert!(plan(&vae, &["--novram"]).contains("vae of eye: nothing may stay"));
    let index = folder.path().join("pieces.safetensors.index.json");
    let map = |prefix: &str, file: &str| {
        let whole = kiln_memory::WeightFile::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL)).unwrap();
        let names = whole.names().filter(|name| name.starts_with(prefix)).map(|name| name.trim_start_matches(prefix));
        names.map(|name| (name.to_owned(), file.into())).collect::<Vec<(String, serde_json::Value)>>()
    };
    let entries: serde_json::Map<_, _> = map("model.diffusion_model.", "drawer.safetensors").into_iter().collect();
    std::fs::write(&index, serde_json::json!({"weight_map": entries}).to_string()).unwrap();
    assert!(plan(&index.to_string_lossy(), &[]).contains("unet of pieces: fits"));
    assert!(plan("assets/realesr-animevideov3-x2.safetensors", &[]).contains("upscaler of realesr-animevideov3-x2"));
}

#[test]
fn a_plan_for_what_holds_no_network_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image.safetensors");
    std::fs::write(&image, b"\x89PNG\r\n\x1a\n and so on").unwrap();
    let lora = part_of(folder.path(), "model.diffusion_model.time_embed.", "lora.safetensors");
    let none = folder.path().join("none.safetensors").to_string_lossy().into_owned();
    for (file, says) in [(image.to_string_lossy().into_owned(), "PNG"), (lora, "network"), (none, "No such file")] {
        let answer = kiln(&["memory", "plan", &file]);
        let said = text(&answer.stderr);
        assert_eq!(answer.status.code(), Some(1), "{said}");
        assert!(said.contains(says) && said.contains(&file), "{said}");
    }
}

#[test]
fn a_memory_report_says_who_holds_what_and_what_each_model_moved() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().to_string_lossy().into_owned();
    let graph = "examples/workflows/text_to_image.json";
    let answer = kiln(&["run", graph, "--output", &output, "--memory-report", "--vram-limit", "20M"]);
    assert!(answer.status.success(), "{}", text(&answer.stderr));
    let (said, told) = (text(&answer.stdout), text(&answer.stderr));
    assert!(told.contains("after KSampler") && told.contains("held by unet of fluent-tiny"), "{told}");
    for part in ["now        peak", "unet of fluent-tiny", "activations", "at most 20.0 MiB of weights stay decoded"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// The field case: a LoRA and an embedding that lie in another program's folders, three steps at 64x64.
#[test]
fn a_graph_is_drawn_with_what_lies_in_another_programs_folders() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/extra_paths");
    let (config, graph) = (data.join("extra_model_paths.yaml"), data.join("graph.json"));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_string_lossy();
    let config = config.to_string_lossy();
    let run = ["run", "--extra-model-paths-config", &config, "--output-directory", &out, &graph.to_string_lossy()];
    let answer = kiln(&run);
    assert!(answer.status.success(), "{}", text(&answer.stderr));
    let [drawn, right] = [folder.path().join("t_00001_.png"), data.join("expected_9_0.png")]
        .map(|file| kiln_nodes::files::load_image(&file).unwrap().rgb);
    let squares: f64 = drawn.iter().zip(&right).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let decibels = -10.0 * (squares / right.len() as f64).log10();
    assert!(drawn.len() == right.len() && decibels > 45.0, "{decibels} dB from ComfyUI's picture");
    let answer = kiln(&["validate", &graph.to_string_lossy()]);
    assert_eq!(answer.status.code(), Some(1), "without the file the LoRA is missing");
}

#[test]
fn the_file_in_the_base_directory_is_read_by_itself_and_others_by_name_in_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let touch = |name: &str| {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, b"").unwrap();
    };
    for name in ["own/a.safetensors", "second/b.safetensors", "third/c.sft", "third/readme.txt"] {
        touch(name);
    }
    let write = |name: &str, yaml: &str| std::fs::write(folder.path().join(name), yaml).unwrap();
    write("extra_model_paths.yaml", "mine:\n    loras: own\n    LLM: own\n    custom_nodes: own\n");
    write("second.yaml", "x:\n    base_path: $KILN_UNSET_DISK/..\n    loras: second/\n");
    write("third.yaml", "x:\n    loras: |\n        third\n");
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (base, second, third) = (at(""), at("second.yaml"), at("third.yaml"));
    let flags =
        ["--base-directory", &base, "--extra-model-paths-config", &second, "--extra-model-paths-config", &third];
    let answer = kiln(&[&["nodes", "LoraLoaderModelOnly", "--json"], &flags[..]].concat());
    assert!(answer.status.success(), "{}", text(&answer.stderr));
    let class: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    let names = &class["input"]["required"]["lora_name"];
    assert!(names.to_string().contains(r#"["a.safetensors","b.safetensors","c.sft"]"#), "{names}");

    write("third.yaml", "x:\n    vae: fine\n    loras: [a, b]\n");
    let graph = graph(folder.path(), SHOW);
    for command in [&["run", &*graph][..], &["validate", &graph], &["nodes"]] {
        let answer = kiln(&[command, &flags[..]].concat());
        assert_eq!(answer.status.code(), Some(1), "{command:?}");
        let said = text(&answer.stderr);
        assert!(said.contains("third.yaml`, line 3: `loras` is a list"), "{said}");
        assert!(!said.contains("warning") && !folder.path().join("output").exists(), "{said}");
    }
    let missing = at("nowhere.yaml");
    let answer = kiln(&["nodes", "--extra-model-paths-config", &missing]);
    assert_eq!(answer.status.code(), Some(1));
    assert!(text(&answer.stderr).contains("nowhere.yaml"), "{}", text(&answer.stderr));
}
