//! Graphs checked, drawn and converted.

use std::path::Path;

use serde_json::{Value, json};

use crate::{SHOW, graph, kiln, text};

/// A saved workflow of two nodes, the first one's widget without a name, and a note.
fn workflow() -> String {
    json!({
        "version": 0.4, "last_node_id": 3, "last_link_id": 1,
        "nodes": [
            {"id": 1, "type": "PrimitiveInt", "mode": 0, "inputs": [], "widgets_values": [42, "fixed"],
             "outputs": [{"name": "INT", "type": "INT", "links": [1]}]},
            {"id": 2, "type": "PreviewAny", "mode": 0, "inputs": [{"name": "source", "type": "*", "link": 1}], "outputs": []},
            {"id": 3, "type": "Note", "mode": 0, "inputs": [], "outputs": [], "widgets_values": ["of no use"]}
        ],
        "links": [[1, 1, 0, 2, 0, "*"]], "groups": []
    })
    .to_string()
}

fn converted(file: &str, more: &[&str]) -> Value {
    let answer = kiln(&[&["convert", file][..], more].concat());
    assert!(answer.status.success(), "{}", text(&answer.stderr));
    serde_json::from_slice(&answer.stdout).unwrap()
}

#[test]
fn a_saved_workflow_and_a_picture_become_what_would_run() {
    let folder = tempfile::tempdir().unwrap();
    let prompt = converted(&graph(folder.path(), &workflow()), &[]);
    assert_eq!(prompt["1"]["inputs"]["value"], 42);
    assert_eq!(prompt["2"]["inputs"]["source"], json!(["1", 0]));
    assert_eq!(prompt.as_object().unwrap().len(), 2, "{prompt}");

    let image = json!({"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 5}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "carrier"}}});
    let out = folder.path().to_string_lossy().into_owned();
    let run = kiln(&["run", &graph(folder.path(), &image.to_string()), "--out", &out]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let picture = folder.path().join("carrier_00001_.png").to_string_lossy().into_owned();
    let carried = converted(&picture, &["--set", "1.color=6"]);
    assert_eq!((&carried["1"]["inputs"]["color"], &carried["2"]["class_type"]), (&json!(6), &json!("SaveImage")));
}

#[test]
fn what_holds_no_graph_is_not_converted_and_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for (content, says) in [("[1, 2]", "a list"), ("{\"nodes\": [7]}", "nodes[0]"), ("", "EOF")] {
        let answer = kiln(&["convert", &graph(folder.path(), content)]);
        assert_eq!((answer.status.code(), &*answer.stdout), (Some(1), &b""[..]), "{content}");
        assert!(text(&answer.stderr).contains(says), "{content}: {}", text(&answer.stderr));
    }
}

#[test]
fn a_graph_is_drawn_in_three_languages_with_every_name_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let titled =
        SHOW.replace("\"inputs\": {\"value\"", "\"_meta\": {\"title\": \"a <b> \\\"c\\\"\"}, \"inputs\": {\"value\"");
    let file = graph(folder.path(), &titled);
    let drawn = |flags: &[&str]| {
        let answer = kiln(&[&["graph", &file][..], flags].concat());
        assert!(answer.status.success(), "{}", text(&answer.stderr));
        text(&answer.stdout)
    };
    let [dot, svg, mermaid] = [drawn(&["--dot"]), drawn(&["--svg"]), drawn(&["--mermaid"])];
    assert!(dot.starts_with("digraph") && dot.contains("n0 -> n1 [label=\"0 > source\"]"), "{dot}");
    assert!(dot.contains(r#"a <b> \"c\""#), "{dot}");
    assert!(svg.starts_with("<svg") && svg.contains("a &lt;b&gt; &quot;c&quot;") && !svg.contains("<b>"), "{svg}");
    assert!(mermaid.starts_with("flowchart") && mermaid.contains("#quot;c#quot;"), "{mermaid}");
    assert_eq!(drawn(&[]), dot);
    assert_eq!(kiln(&["graph", &file, "--dot", "--svg"]).status.code(), Some(2));
}

#[test]
fn errors_show_the_lines_of_the_file_with_a_mark() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = "{\n  \"1\": {\n    \"class_type\": \"EmptyImage\",\n    \"inputs\": {\"width\": 0, \"height\": 8, \"batch_size\": 1, \"color\": 0}\n  },\n  \"2\": {\"class_type\": \"PreviewImage\", \"inputs\": {\"images\": [\"1\", 0]}}\n}\n";
    let said = |content: &str, command: &str| {
        let answer = kiln(&[command, &graph(folder.path(), content)]);
        assert_eq!(answer.status.code(), Some(1));
        text(&answer.stderr)
    };
    let of_value = said(wrong, "validate");
    assert!(
        of_value.contains("graph.json:4:25]") && of_value.contains("│     \"inputs\": {\"width\": 0"),
        "{of_value}"
    );
    let of_class = said(&wrong.replace("EmptyImage", "EmptyImag"), "run");
    assert!(of_class.contains("graph.json:3:19]"), "{of_class}");
    let of_syntax = said(&wrong.replace("8,", "8"), "run");
    assert!(of_syntax.contains("graph.json:4:40]"), "{of_syntax}");
    let minified: Value = serde_json::from_str(wrong).unwrap();
    let mut minified = minified;
    minified["0"] = json!({"class_type": "PrimitiveString", "inputs": {"value": "x".repeat(300)}});
    let of_long = said(&minified.to_string(), "validate");
    assert!(of_long.contains("graph.json, line 1, column ") && of_long.contains("\"width\":0"), "{of_long}");
    let of_workflow = said(&workflow().replace("PrimitiveInt", "PrimitivInt"), "validate");
    assert!(of_workflow.contains("no such class"), "{of_workflow}");
    for said in [of_value, of_class, of_syntax, of_long, of_workflow] {
        assert!(!said.contains('\u{1b}'), "no colours off a terminal: {said:?}");
    }
    assert!(Path::new(&graph(folder.path(), wrong)).exists());
}
