//! `kiln run` with inputs that stand otherwise than in the file, and with a file that changes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{SHOW, graph, kiln, text};

/// What a run of [`SHOW`] with these flags shows, or how it fails.
fn shown(flags: &[&str]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = graph(folder.path(), SHOW);
    let answer = kiln(&[&["run", &file, "--events", "jsonl"][..], flags].concat());
    if !answer.status.success() {
        return Err(format!("{:?} {}", answer.status.code(), text(&answer.stderr)));
    }
    let lines = text(&answer.stdout);
    let mut lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let shown = lines.find(|line| line["type"] == "executed" && line["node"] == "2").unwrap();
    Ok(shown["data"]["output"]["text"][0].to_string())
}

#[test]
fn inputs_are_set_by_id_or_class_before_the_graph_is_checked() {
    assert_eq!(shown(&[]).unwrap(), "\"42\"");
    assert_eq!(shown(&["--set", "1.value=7"]).unwrap(), "\"7\"");
    assert_eq!(shown(&["--set", "PrimitiveInt.value=8", "--set", "1.value=9"]).unwrap(), "\"9\"");
    assert_eq!(shown(&["--set", "2.source=a red fox"]).unwrap(), "\"a red fox\"");
}

#[test]
fn what_can_not_be_set_ends_the_command_with_a_sentence() {
    let refused = |setting| shown(&["--set", setting]).unwrap_err();
    assert!(refused("3.value=7").starts_with("Some(1) error: --set 3.value: the graph has no node `3`"));
    assert!(refused("1.valu=7").contains("PrimitiveInt \"1\" has no input `valu` (did you mean `value`?)"));
    assert!(refused("1.value=many").contains("PrimitiveInt \"1\": input `value`"));
    assert!(refused("value").starts_with("Some(2)"));
}

#[test]
fn a_watched_graph_runs_again_when_its_file_changes_and_an_error_is_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = graph(folder.path(), SHOW);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.args(["run", &file, "--watch", "--events", "jsonl"]).current_dir(root);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(running.stdout.take().unwrap()).lines();
    let mut errors = BufReader::new(running.stderr.take().unwrap()).lines();
    let mut next_summary = || loop {
        let line: Value = serde_json::from_str(&out.next().unwrap().unwrap()).unwrap();
        if line["type"] == "summary" {
            return line["executed"].clone();
        }
    };
    let mut until_waiting = || -> Vec<String> {
        errors.by_ref().map(Result::unwrap).take_while(|line| !line.starts_with("waiting for a change")).collect()
    };
    assert_eq!(next_summary(), 2);
    until_waiting();
    graph(folder.path(), "{ broken");
    assert!(until_waiting().iter().any(|line| line.starts_with("error: ")));
    graph(folder.path(), &SHOW.replace("42", "4321"));
    assert_eq!(next_summary(), 2);
    until_waiting();
    // As Ctrl-C does, where there are signals.
    let ended = Command::new("kill").args(["-INT", &running.id().to_string()]).status();
    let asked = ended.is_ok_and(|status| status.success());
    if !asked {
        running.kill().unwrap();
    }
    let code = running.wait().unwrap().code();
    assert!(!asked || code == Some(0), "{code:?}");
}
