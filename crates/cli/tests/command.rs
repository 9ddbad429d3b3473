//! The command, run as a person would.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Command, Output};

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

#[test]
fn a_second_run_of_the_same_graph_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let answer = kiln(&["run", &graph(folder.path(), SHOW), "--events", "jsonl", "--repeat", "2"]);
    let last: serde_json::Value = serde_json::from_str(text(&answer.stdout).lines().last().unwrap()).unwrap();
    assert_eq!(last["executed"], 0);
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
fn a_missing_file_is_told_by_name() {
    let answer = kiln(&["run", "no/such/graph.json"]);
    assert_eq!(answer.status.code(), Some(1));
    assert!(text(&answer.stderr).contains("no/such/graph.json"));
}
