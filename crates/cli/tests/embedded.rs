//! An engine inside an app moves what the command moves.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;

use kiln_exec::Prompt;
use kiln_memory::{Controls, human_bytes};
use kiln_nodes::Environment;
use kiln_nodes::files::Folders;

const GRAPH: &str = r#"{
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "fluent-tiny.safetensors"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "a red apple"}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": ""}},
    "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "5": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0],
        "latent_image": ["4", 0], "seed": 7, "steps": 4, "cfg": 4.0, "sampler_name": "euler", "scheduler": "normal",
        "denoise": 1.0}},
    "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
    "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "same"}}
}"#;

/// One line per model: its name, how often its weights were brought to stay, how often for one use, and the bytes of both.
fn command(root: &Path, assets: &Path, limit: &str) -> Vec<String> {
    let graph = root.join("graph.json");
    std::fs::write(&graph, GRAPH).unwrap();
    let house = assets.parent().unwrap();
    let run = ["run", graph.to_str().unwrap(), "--vram-limit", limit, "--memory-report", "--base-directory"];
    let kiln = Command::new(env!("CARGO_BIN_EXE_kiln")).args(run).arg(root).current_dir(house).output().unwrap();
    assert!(kiln.status.success(), "{}", String::from_utf8_lossy(&kiln.stderr));
    let shown = String::from_utf8(kiln.stdout).unwrap();
    let table = shown.lines().skip_while(|line| !line.starts_with("weights ")).skip(1);
    let rows = table.take_while(|line| line.contains(" of fluent-tiny"));
    // `unet of fluent-tiny  8.1 MiB of 62.3 MiB  120  30  200  250.1 MiB`
    rows.map(|row| {
        let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        format!("{}: {} {} {}", cells[0], cells[3], cells[4], cells[5])
    })
    .collect()
}

fn embedded(root: &Path, assets: &Path, limit: u64) -> Vec<String> {
    let controls = Controls { vram_limit: Some(limit), ..Controls::default() };
    let environment = Environment::new(Folders::under(root).with_bundled(assets)).with_controls(controls);
    // The engine keeps the models, and so what is known of their weights.
    let engine = environment.clone().into_engine();
    engine.run(Prompt::from_json(GRAPH).unwrap()).unwrap();
    let rows = environment.pager().describe().rows;
    let line = |c: kiln_memory::Counters| format!("{} {} {}", c.fills, c.streams, human_bytes(c.moved()));
    rows.iter().map(|row| format!("{}: {}", row.name, line(row.counters))).collect()
}

#[test]
fn an_embedded_run_moves_the_bytes_that_the_command_moves() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets").canonicalize().unwrap();
    let [command_root, app_root] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let command = command(command_root.path(), &assets, "20M");
    let embedded = embedded(app_root.path(), &assets, 20 << 20);
    assert_eq!(embedded.len(), 3, "{embedded:?}");
    assert_eq!(command, embedded);
    let image = |root: &Path| std::fs::read(root.join("output/same_00001_.png")).unwrap();
    assert!(image(command_root.path()) == image(app_root.path()), "the images differ");
}
