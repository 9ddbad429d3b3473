//! What the command says of itself: help, exit codes, completions, and an environment that it can't follow.

use std::path::Path;
use std::process::Command;

use crate::{SHOW, graph, kiln, text};

#[test]
fn help_teaches_with_lines_to_copy_and_names_the_exit_codes() {
    let help = text(&kiln(&["--help"]).stdout);
    for part in ["First steps:", "Exit codes:", "130  stopped by Ctrl-C", "KILN_ISA"] {
        assert!(help.contains(part), "{part}: {help}");
    }
    for command in
        ["run", "validate", "explain", "graph", "convert", "nodes", "models", "doctor", "bench", "completions"]
    {
        let help = text(&kiln(&[command, "--help"]).stdout);
        assert!(help.contains(&format!("  kiln {command} ")), "{command} shows no line to copy: {help}");
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2_and_says_what_was_meant() {
    for (args, says) in
        [(&["validat"][..], "'validate'"), (&["run"], "<FILE>"), (&["run", "a", "--sett", "x"], "--set")]
    {
        let answer = kiln(args);
        assert_eq!((answer.status.code(), &*answer.stdout), (Some(2), &b""[..]), "{args:?}");
        assert!(text(&answer.stderr).contains(says), "{args:?}: {}", text(&answer.stderr));
    }
}

#[test]
fn every_shell_has_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let answer = kiln(&["completions", shell]);
        let script = text(&answer.stdout);
        assert!(answer.status.success() && script.contains("validate") && script.contains("retention"), "{shell}");
    }
    assert_eq!(kiln(&["completions", "csh"]).status.code(), Some(2));
}

#[test]
fn an_instruction_set_that_the_machine_lacks_is_an_error_that_names_those_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = graph(folder.path(), SHOW);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let run = |set: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.args(["run", &file]).env("KILN_ISA", set).current_dir(&root).output().unwrap()
    };
    let refused = run("sse9");
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.contains("KILN_ISA: \"sse9\" is no instruction set of this machine; it has portable"), "{said}");
    for set in ["portable", ""] {
        assert!(run(set).status.success(), "{set}");
    }
}

#[test]
fn a_class_has_a_page_and_the_same_as_json() {
    let page = text(&kiln(&["nodes", "KSampler"]).stdout);
    for part in
        ["KSampler, in sampling\n", "Inputs\n", "seed", "default 20; 1 to 10000", "Outputs\n  0  LATENT", "Example\n"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
    let json: serde_json::Value = serde_json::from_slice(&kiln(&["nodes", "KSampler", "--json"]).stdout).unwrap();
    assert_eq!(json["input"]["required"]["steps"][1]["default"], 20);
    let all: serde_json::Value = serde_json::from_slice(&kiln(&["nodes", "--json"]).stdout).unwrap();
    assert_eq!(all["KSampler"], json);
    let answer = kiln(&["nodes", "ksampler"]);
    assert_eq!(answer.status.code(), Some(1));
    assert!(text(&answer.stderr).contains("did you mean KSampler"), "{}", text(&answer.stderr));
}

#[test]
fn the_example_of_every_class_is_json_with_the_inputs_that_it_needs() {
    let all: serde_json::Value = serde_json::from_slice(&kiln(&["nodes", "--json"]).stdout).unwrap();
    for class in ["VAEDecode", "SaveImage", "CheckpointLoaderSimple", "EmptyLatentImage", "LoraLoader"] {
        let page = text(&kiln(&["nodes", class]).stdout);
        let example = page.split("\nExample\n").nth(1).unwrap();
        let end = example.rfind("  }\n").map_or(example.len(), |at| at + 4);
        let node: serde_json::Value = serde_json::from_str(&example[..end]).unwrap_or_else(|e| panic!("{class}: {e}"));
        let node = node.as_object().unwrap().values().next().unwrap();
        assert_eq!(node["class_type"], class);
        let names = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&node["inputs"]), names(&all[class]["input"]["required"]), "{class}");
    }
}
