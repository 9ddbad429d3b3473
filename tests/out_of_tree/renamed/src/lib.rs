//! An app that calls `kiln` by another name and takes the engine alone.
#![cfg(test)]

use comfy::exec as engine;

#[path = "../../shared/attributes.rs"]
mod attributes;

#[test]
fn the_budget_of_memory_is_there_without_any_model() {
    let budget = comfy::memory::Budget::new("host", 1 << 20);
    assert_eq!(budget.report().used, 0);
}

#[test]
fn a_graph_is_a_file_of_comfyui_without_any_model() {
    let prompt = comfy::graph::Prompt::from_json(r#"{"1": {"class_type": "Sum", "inputs": {"a": 2, "b": 3}}}"#);
    assert_eq!(prompt.unwrap().nodes.len(), 1);
}
