//! Definitions as `/object_info` shows them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln_graph::{Group, InputDef, NodeDef, NodeDefs, OutputDef, SocketType, ValidatorDef};
use serde_json::{Value, json};

#[test]
fn what_object_info_shows_reads_back_and_shows_the_same() {
    let text = include_str!("data/object_info.json");
    let shown: Value = serde_json::from_str(text).unwrap();
    let defs = NodeDefs::from_object_info(&shown).unwrap();
    assert_eq!(NodeDefs::from_object_info(&defs.to_object_info()).unwrap(), defs);
    let without_empty_options = |mut info: Value| {
        for group in info["input"].as_object_mut().unwrap().values_mut() {
            for spec in group.as_object_mut().unwrap().values_mut() {
                if spec.get(1) == Some(&json!({})) {
                    spec.as_array_mut().unwrap().pop();
                }
            }
        }
        info
    };
    for def in defs.iter() {
        let expected = without_empty_options(shown[&*def.class_type].clone());
        assert_eq!(def.to_object_info(), expected, "{}", def.class_type);
    }
}

#[test]
fn a_definition_made_in_code_shows_every_field() {
    let mut def = NodeDef::new("Smooth")
        .display_name("Smooth an image")
        .category("image/filter")
        .description("Repeatedly smooths an image.")
        .input(InputDef::new("image", "IMAGE"))
        .input(InputDef::new("passes", "INT").option("default", 3).option("min", 1).tooltip("How many passes to run."))
        .input(InputDef::combo("mode", ["box", "gauss"]))
        .input(InputDef::new("mask", "MASK").optional().lazy())
        .input(InputDef::new("loop", "FLOW_CONTROL").optional().raw_link())
        .input(InputDef::new("unique_id", "UNIQUE_ID").hidden())
        .output(OutputDef::new("IMAGE").named("smooth").list())
        .output(OutputDef::new(SocketType::combo(["box", "gauss"])).named("mode"))
        .output_node(true);
    def.experimental = true;
    def.outputs[0].tooltip = Some("The result.".into());
    def.search_aliases = vec!["blur".into()];
    insta::assert_snapshot!(serde_json::to_string_pretty(&def.to_object_info()).unwrap());
}

#[test]
fn both_forms_of_combos_and_hidden_inputs_are_read() {
    let def = NodeDef::from_object_info(
        "A",
        &json!({"input": {
            "required": {"old": [["a", "b"], {"default": "b"}], "new": ["COMBO", {"options": ["a", "b"]}]},
            "hidden": {"old_id": "UNIQUE_ID", "new_id": ["UNIQUE_ID"]}
        }, "output": ["IMAGE", ["a", "b"]]}),
    )
    .unwrap();
    for name in ["old", "new"] {
        assert_eq!(def.find_input(name).unwrap().choices().unwrap(), [json!("a"), json!("b")]);
    }
    assert_eq!(def.find_input("old").unwrap().default_value(), Some(json!("b")));
    assert_eq!(def.find_input("new").unwrap().default_value(), Some(json!("a")));
    assert!(def.group(Group::Hidden).all(|input| input.ty.is("UNIQUE_ID")));
    assert_eq!(def.outputs[1].ty, SocketType::combo(["a", "b"]));
}

#[test]
fn inputs_stand_in_the_order_that_input_order_gives() {
    let info = json!({"input": {"required": {"a": ["INT"], "b": ["INT"], "c": ["INT"]}}, "input_order": {"required": ["c", "a"]}});
    let def = NodeDef::from_object_info("A", &info).unwrap();
    let names: Vec<&str> = def.inputs.iter().map(|input| &*input.name).collect();
    assert_eq!(names, ["c", "a", "b"]);
}

#[test]
fn what_is_no_definition_is_refused_with_its_class() {
    let refused = |info: Value| NodeDefs::from_object_info(&info).unwrap_err().to_string();
    assert_eq!(refused(json!([])), "object_info, class \"\": not an object of classes by name");
    assert_eq!(refused(json!({"A": 5})), "object_info, class \"A\": not an object");
    assert_eq!(
        refused(json!({"A": {"input": {"required": {"x": []}}}})),
        "object_info, class \"A\": input `x` has no type"
    );
    assert_eq!(refused(json!({"A": {"output": [5]}})), "object_info, class \"A\": an output has no type");
}

#[test]
fn a_validator_takes_what_it_names_or_everything() {
    let named = ValidatorDef { inputs: vec!["a".into()], ..ValidatorDef::default() };
    assert!(named.takes("a") && !named.takes("b"));
    assert!(ValidatorDef { takes_kwargs: true, ..ValidatorDef::default() }.takes("b"));
}
