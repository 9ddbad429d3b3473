//! What the command says of graphs, models, memory and the machine before anything runs.

use std::path::Path;

use serde_json::{Value, json};

use crate::{MODEL, SHOW, graph, kiln, part_of, text};

const CLASSIC: &str = "examples/workflows/text_to_image.json";

fn said(args: &[&str]) -> String {
    let answer = kiln(args);
    assert!(answer.status.success(), "{args:?}: {}", text(&answer.stderr));
    text(&answer.stdout)
}

#[test]
fn an_outlook_says_who_runs_for_whom_with_which_files() {
    let outlook = said(&["explain", CLASSIC]);
    for part in [
        "CheckpointLoaderSimple \"",
        "  runs: read by ",
        "    ckpt_name fluent-tiny.safetensors: 32.6 MiB, SD1; decoded clip ",
        "runs: it is an output",
        "7 nodes: 7 runs, 0 perhaps, 0 known from before, 0 not needed\n",
    ] {
        assert!(outlook.contains(part), "{part}: {outlook}");
    }
    let lazy = said(&["explain", "examples/workflows/lazy_switch.json"]);
    assert!(lazy.contains("perhaps: if ComfySwitchNode \"") && lazy.contains(" asks for `on_"), "{lazy}");
    let folder = tempfile::tempdir().unwrap();
    let idle = SHOW.replacen('{', "{\"9\": {\"class_type\": \"PrimitiveInt\", \"inputs\": {\"value\": 1}},", 1);
    let idle = said(&["explain", &graph(folder.path(), &idle)]);
    assert!(idle.contains("PrimitiveInt \"9\"  not needed: no output reads it"), "{idle}");
}

#[test]
fn an_outlook_after_another_run_says_what_changed_and_what_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let before = graph(folder.path(), SHOW);
    let after = said(&["explain", &before, "--after", &before, "--set", "1.value=43"]);
    assert!(after.contains("PrimitiveInt \"1\"  runs: input `value` 42 → 43"), "{after}");
    assert!(after.contains("PreviewAny \"2\"    runs: input `source` reads from \"1\", which changed"), "{after}");
    let same = said(&["explain", &before, "--after", &before]);
    assert!(same.contains("2 nodes: 0 runs, 0 perhaps, 2 known from before"), "{same}");
}

#[test]
fn an_outlook_on_what_is_missing_names_it_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let classic = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(CLASSIC)).unwrap();
    let file = graph(folder.path(), &classic.replace("fluent-tiny", "fluent-tinny"));
    let answer = kiln(&["explain", &file]);
    assert_eq!(answer.status.code(), Some(1));
    let (out, errors) = (text(&answer.stdout), text(&answer.stderr));
    assert!(out.contains("KSampler"), "what can be said is said all the same: {out}");
    assert!(errors.contains("ckpt_name") && errors.contains("fluent-tinny.safetensors"), "{errors}");
}

#[test]
fn the_models_in_the_folders_are_told_by_their_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let at = |kind: &str| {
        let at = folder.path().join("models").join(kind);
        std::fs::create_dir_all(&at).unwrap();
        at
    };
    part_of(&at("diffusion_models"), "model.diffusion_model.", "a_vae.safetensors");
    std::fs::write(at("loras").join("broken.safetensors"), b"\x89PNG\r\n\x1a\n").unwrap();
    let base = folder.path().to_string_lossy().into_owned();
    let listed = said(&["models", "--base-directory", &base]);
    for part in [
        "checkpoints\n  fluent-tiny.safetensors",
        "SD1, F16\n      decoded: clip ",
        "diffusion_models\n  a_vae.safetensors",
        "      needs: the text encoder clip_l, a VAE of SD1\n",
        " 8 B  cannot be used: ",
    ] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    let json: Value = serde_json::from_str(&said(&["models", "--base-directory", &base, "--json"])).unwrap();
    let model = &json["diffusion_models"][0];
    assert_eq!((&model["holds"], &model["dtypes"]), (&json!("SD1"), &json!(["F16"])));
    assert!(json["loras"][0]["error"].as_str().unwrap().contains("PNG"), "{json}");
    let answer = kiln(&["models", "lora"]);
    assert_eq!(answer.status.code(), Some(1));
    assert!(text(&answer.stderr).contains("did you mean `loras`?"), "{}", text(&answer.stderr));
}

#[test]
fn a_plan_is_made_for_every_model_of_a_graph_by_holder() {
    let plan = said(&["memory", "plan", CLASSIC, "--vram-limit", "20M"]);
    for part in
        ["at most 20.0 MiB of weights decoded", "clip of fluent-tiny", "unet of fluent-tiny", "vae of fluent-tiny"]
    {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    let unlimited = said(&["memory", "plan", CLASSIC, "--highvram"]);
    assert_ne!(plan, unlimited);
    let folder = tempfile::tempdir().unwrap();
    assert!(said(&["memory", "plan", &graph(folder.path(), SHOW)]).contains("no node of it runs a model"));
    let answer = kiln(&["memory", "plan", &graph(folder.path(), "{\"1\": 7}")]);
    assert_eq!(answer.status.code(), Some(1));
    assert!(text(&answer.stderr).contains("node \"1\" must be"), "{}", text(&answer.stderr));
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL).exists());
}

#[test]
fn the_doctor_says_what_is_well_and_how_to_mend_what_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().to_string_lossy().into_owned();
    let well = said(&["doctor", "--base-directory", &base]);
    for part in
        ["processor", "instruction sets", "devices", "memory", "models", "output folder", "data folder", "portable"]
    {
        assert!(well.contains(part), "{part}: {well}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "looking leaves nothing behind");

    std::fs::write(folder.path().join("output"), b"a file where a folder should be").unwrap();
    let answer = kiln(&["doctor", "--base-directory", &base, "--json"]);
    assert_eq!(answer.status.code(), Some(1));
    let found: Vec<Value> = serde_json::from_slice(&answer.stdout).unwrap();
    let output = found.iter().find(|finding| finding["topic"] == "output folder").unwrap();
    assert_eq!(output["verdict"], "wrong");
    assert!(output["remedy"].is_string(), "{output}");

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kiln"));
    let answer = command.args(["doctor"]).env("KILN_ISA", "sse9").current_dir(root).output().unwrap();
    assert_eq!(answer.status.code(), Some(1));
    let said = text(&answer.stdout);
    assert!(said.contains("wrong  instruction sets") && said.contains("-> unset KILN_ISA"), "{said}");
}
