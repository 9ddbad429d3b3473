//! Validation: every error by its sentence, in ComfyUI's shape (snapshots) and in words for people.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{chain, defs, prompt};
use kiln_graph::{
    ErrorKind, Input, NoValidators, NodeId, Prompt, PromptError, Validated, ValidatorCall, Validators, Verdict,
    validate,
};
use serde_json::{Value, json};

fn check(prompt: &mut Prompt) -> Result<Validated, PromptError> {
    validate(prompt, &defs(), &NoValidators, None)
}

fn refused(nodes: Value) -> PromptError {
    check(&mut prompt(nodes)).expect_err("must be refused")
}

/// The kinds of errors by node.
fn kinds(error: &PromptError) -> Vec<(String, ErrorKind)> {
    let nodes = error.node_errors.iter();
    nodes.flat_map(|(id, node)| node.errors.iter().map(move |e| (id.to_string(), e.kind))).collect()
}

fn literal(prompt: &Prompt, node: &str, input: &str) -> Value {
    match &prompt.get(node).unwrap().inputs[input] {
        Input::Literal(value) => (**value).clone(),
        other => panic!("{other:?}"),
    }
}

/// A sampler whose inputs are right but for those given, decoded and saved.
fn sampler_with(changes: Value) -> Value {
    let mut inputs =
        json!({"model": ["1", 0], "seed": 1, "steps": 20, "cfg": 8.0, "sampler_name": "euler", "scheduler": "simple"});
    for (key, value) in changes.as_object().unwrap() {
        if value == "ABSENT" {
            inputs.as_object_mut().unwrap().shift_remove(key);
        } else {
            inputs[key] = value.clone();
        }
    }
    json!({
        "1": {"class_type": "Loader", "inputs": {"ckpt_name": "model_3.safetensors"}},
        "2": {"class_type": "Sampler", "inputs": inputs},
        "3": {"class_type": "Decode", "inputs": {"samples": ["2", 0], "vae": ["1", 2]}},
        "4": {"class_type": "Save", "inputs": {"images": ["3", 0]}},
    })
}

fn shown(error: &PromptError) -> String {
    format!("{}\n---\n{error}", serde_json::to_string_pretty(error).unwrap())
}

#[test]
fn a_right_prompt_answers_its_outputs() {
    let validated = check(&mut prompt(sampler_with(json!({})))).unwrap();
    assert_eq!(validated.outputs, [NodeId::from("4")]);
    assert!(validated.node_errors.is_empty());
}

#[test]
fn an_unknown_class_is_named_with_its_nearest_even_when_nothing_needs_it() {
    let error = refused(json!({
        "1": {"class_type": "Pass", "inputs": {}},
        "2": {"class_type": "Sink", "inputs": {"x": ["1", 0]}},
        "3": {"class_type": "Samplr", "inputs": {}, "_meta": {"title": "My sampler"}},
    }));
    insta::assert_snapshot!(shown(&error));
}

#[test]
fn a_node_without_class_is_refused() {
    insta::assert_snapshot!(shown(&refused(json!({"3": {"inputs": {}}}))));
}

#[test]
fn a_prompt_without_outputs_is_refused() {
    let error = refused(json!({"1": {"class_type": "Pass", "inputs": {}}}));
    insta::assert_snapshot!(shown(&error));
    assert_eq!(refused(json!({})).error.kind, ErrorKind::PromptNoOutputs);
}

#[test]
fn targets_choose_among_outputs_and_none_of_them_is_an_error() {
    let nodes = json!({
        "1": {"class_type": "Pass", "inputs": {}},
        "2": {"class_type": "Sink", "inputs": {"x": ["1", 0]}},
        "3": {"class_type": "Sink", "inputs": {}},
    });
    let target = |ids: &[&str]| {
        let ids: Vec<NodeId> = ids.iter().map(|id| NodeId::from(*id)).collect();
        validate(&mut prompt(nodes.clone()), &defs(), &NoValidators, Some(&ids))
    };
    let good = target(&["2", "1", "nowhere"]).unwrap();
    assert_eq!(good.outputs, [NodeId::from("2")]);
    assert!(good.node_errors.is_empty(), "output 3 was not asked for");
    assert_eq!(target(&[]).unwrap_err().error.kind, ErrorKind::PromptNoOutputs);
    assert_eq!(target(&["1"]).unwrap_err().error.kind, ErrorKind::PromptNoOutputs);
}

#[test]
fn one_good_output_is_enough_and_the_bad_one_is_reported() {
    let validated = check(&mut prompt(json!({
        "1": {"class_type": "Pass", "inputs": {}},
        "good": {"class_type": "Sink", "inputs": {"x": ["1", 0]}},
        "bad": {"class_type": "Sink", "inputs": {}},
    })))
    .unwrap();
    assert_eq!(validated.outputs, [NodeId::from("good")]);
    assert_eq!(validated.node_errors["bad"].dependent_outputs(), [NodeId::from("bad")]);
    assert_eq!(
        validated.to_string(),
        "1 outputs will run, others cannot\n  Sink \"bad\": input `x` is required and not given; link an output of type * to it"
    );
}

#[test]
fn a_missing_required_input_is_named() {
    let error = refused(sampler_with(json!({"model": "ABSENT", "steps": "ABSENT", "sampler_name": "ABSENT"})));
    insta::assert_snapshot!(shown(&error));
}

#[test]
fn a_misspelt_input_is_pointed_at() {
    let error = refused(sampler_with(json!({"steps": "ABSENT", "stepps": 20})));
    assert!(error.to_string().contains("(`stepps` is given: is that meant?)"), "{error}");
}

#[test]
fn errors_of_the_output_itself_stand_in_the_details() {
    let error = refused(json!({"9": {"class_type": "Save", "inputs": {}}}));
    assert_eq!(error.error.details, "Required input is missing: images");
    assert_eq!(refused(sampler_with(json!({"steps": 0}))).error.details, "");
}

#[test]
fn a_list_that_is_no_link_is_a_bad_link() {
    insta::assert_snapshot!(shown(&refused(sampler_with(json!({"model": ["1"], "seed": [1, 0]})))));
}

#[test]
fn a_link_to_a_missing_node_names_both_ends() {
    insta::assert_snapshot!(shown(&refused(sampler_with(json!({"model": ["99", 0]})))));
}

#[test]
fn a_link_to_a_missing_socket_names_both_ends() {
    insta::assert_snapshot!(shown(&refused(sampler_with(json!({"model": ["1", 7]})))));
}

#[test]
fn a_link_of_the_wrong_type_says_which_output_would_fit() {
    insta::assert_snapshot!(shown(&refused(sampler_with(json!({"model": ["1", 2]})))));
}

#[test]
fn numbers_out_of_range_are_refused_at_both_ends() {
    insta::assert_snapshot!(shown(&refused(sampler_with(json!({"steps": 0, "cfg": 100.5, "seed": -1})))));
}

#[test]
fn values_that_cannot_become_their_type_are_refused() {
    let error = refused(sampler_with(json!({"steps": "3.7", "cfg": "much", "seed": null})));
    insta::assert_snapshot!(shown(&error));
}

#[test]
fn nan_and_infinity_are_no_numbers() {
    for text in ["nan", "NaN", "-inf", "Infinity"] {
        let error = refused(sampler_with(json!({ "cfg": text })));
        assert_eq!(kinds(&error), [("2".to_owned(), ErrorKind::InvalidInputType)], "{text}");
        assert!(error.to_string().contains("is not a finite number from 0.0 to 100.0"), "{error}");
    }
}

#[test]
fn an_unknown_choice_names_the_nearest() {
    insta::assert_snapshot!(shown(&refused(sampler_with(json!({"sampler_name": "eulr", "scheduler": 5})))));
}

#[test]
fn a_long_list_of_choices_is_not_sent_back() {
    let mut nodes = sampler_with(json!({}));
    nodes["1"]["inputs"]["ckpt_name"] = json!("modle_7.safetensors");
    insta::assert_snapshot!(shown(&refused(nodes)));
}

#[test]
fn several_choices_are_checked_one_by_one() {
    let many = |tags: Value| {
        check(&mut prompt(json!({
            "1": {"class_type": "Many", "inputs": {"tags": {"__value__": tags}}},
            "2": {"class_type": "Sink", "inputs": {"x": ["1", 0]}},
        })))
    };
    assert!(many(json!(["red", "blue"])).is_ok());
    assert!(many(json!([])).is_ok());
    let error = many(json!(["red", "pink", "teal"])).unwrap_err();
    assert_eq!(error.node_errors["1"].errors[0].details, "tags: 'pink', 'teal' not in ['red', 'green', 'blue']");
}

#[test]
fn a_combo_that_the_page_fills_is_not_checked() {
    let remote = json!({
        "1": {"class_type": "Remote", "inputs": {"file": "anything"}},
        "2": {"class_type": "Sink", "inputs": {"x": ["1", 0]}},
    });
    assert!(check(&mut prompt(remote)).is_ok());
}

#[test]
fn values_are_brought_to_their_types_in_place() {
    let nodes = |class: &str, input: &str, value: &Value| {
        json!({
            "1": {"class_type": class, "inputs": {input: value, "extra": "5"}},
            "2": {"class_type": "Sink", "inputs": {"x": ["1", 0]}},
        })
    };
    for (class, input, given, becomes) in [
        ("Int", "value", json!(3.7), json!(3)),
        ("Int", "value", json!(-3.7), json!(-3)),
        ("Int", "value", json!(true), json!(1)),
        ("Int", "value", json!(" 3 "), json!(3)),
        ("Int", "value", json!("+0_7"), json!(7)),
        ("Int", "value", json!({"__value__": "4"}), json!(4)),
        ("Float", "value", json!(5), json!(5.0)),
        ("Float", "value", json!("1e3"), json!(1000.0)),
        ("Float", "value", json!(false), json!(0.0)),
        ("Text", "text", json!(5), json!("5")),
        ("Text", "text", json!(5.0), json!("5.0")),
        ("Text", "text", json!(1e16), json!("1e+16")),
        ("Text", "text", json!(0.00001), json!("1e-05")),
        ("Text", "text", json!(null), json!("None")),
        ("Text", "text", json!({"__value__": [1, "a", "it's", true]}), json!("[1, 'a', \"it's\", True]")),
        ("Text", "text", json!({"a": null}), json!("{'a': None}")),
    ] {
        let mut prompt = prompt(nodes(class, input, &given));
        check(&mut prompt).unwrap_or_else(|e| panic!("{given}: {e}"));
        assert_eq!(literal(&prompt, "1", input), becomes, "{given}");
        assert_eq!(literal(&prompt, "1", "extra"), json!("5"), "undeclared values stay");
    }
}

#[test]
fn booleans_follow_pythons_idea_of_truth() {
    for (given, becomes) in [
        (json!("false"), true),
        (json!(""), false),
        (json!(0), false),
        (json!(0.0), false),
        (json!(-1), true),
        (json!(null), false),
        (json!({"__value__": []}), false),
        (json!({}), false),
    ] {
        let mut prompt = prompt(json!({
            "1": {"class_type": "Pass", "inputs": {}},
            "s": {"class_type": "Switch", "inputs": {"on_true": ["1", 0], "on_false": ["1", 0], "which": given}},
            "2": {"class_type": "Sink", "inputs": {"x": ["s", 0]}},
        }));
        check(&mut prompt).unwrap();
        assert_eq!(literal(&prompt, "s", "which"), json!(becomes), "{given}");
    }
}

#[test]
fn a_list_literal_is_unwrapped_and_validates_again() {
    let mut prompt = prompt(json!({
        "1": {"class_type": "Many", "inputs": {"tags": {"__value__": ["red"]}}},
        "2": {"class_type": "Sink", "inputs": {"x": {"__type__": "CURVE", "__value__": [[0, 1]]}}},
        "3": {"class_type": "Sink", "inputs": {"x": ["1", 0]}},
    }));
    for _ in 0..2 {
        check(&mut prompt).unwrap();
        assert_eq!(literal(&prompt, "1", "tags"), json!(["red"]));
        assert_eq!(literal(&prompt, "2", "x"), json!([[0, 1]]));
    }
}

#[test]
fn integers_that_do_not_fit_are_refused_and_not_rounded() {
    for value in [json!(1e300), json!(-1e19), json!("99999999999999999999"), json!(1.8446744073709552e19)] {
        let error = refused(sampler_with(json!({ "seed": value })));
        assert!(error.node_errors["2"].errors[0].details.ends_with("does not fit in 64 bits"), "{value}");
    }
}

#[test]
fn the_largest_seed_is_in_range_and_one_more_is_not() {
    assert!(check(&mut prompt(sampler_with(json!({"seed": u64::MAX})))).is_ok());
    assert!(check(&mut prompt(sampler_with(json!({"seed": u64::MAX.to_string()})))).is_ok());
    assert!(check(&mut prompt(sampler_with(json!({"seed": "18446744073709551616"})))).is_err());
}

#[test]
fn lazy_inputs_are_validated_too() {
    let error = refused(json!({
        "bad": {"class_type": "Int", "inputs": {"value": 11}},
        "s": {"class_type": "Switch", "inputs": {"on_true": ["bad", 0], "on_false": ["bad", 0], "which": true}},
        "2": {"class_type": "Sink", "inputs": {"x": ["s", 0]}},
    }));
    assert_eq!(kinds(&error), [("bad".to_owned(), ErrorKind::ValueBiggerThanMax)]);
}

#[test]
fn what_no_output_needs_is_not_validated() {
    let validated = check(&mut prompt(json!({
        "bad": {"class_type": "Int", "inputs": {"value": 11}},
        "1": {"class_type": "Pass", "inputs": {}},
        "2": {"class_type": "Sink", "inputs": {"x": ["1", 0]}},
    })));
    assert!(validated.unwrap().node_errors.is_empty());
}

#[test]
fn undeclared_links_are_followed_and_undeclared_values_ignored() {
    let error = refused(json!({
        "bad": {"class_type": "Int", "inputs": {"value": 11}},
        "1": {"class_type": "Pass", "inputs": {"input7": ["bad", 0], "input8": ["gone", 0], "input9": [1, 2, 3]}},
        "2": {"class_type": "Sink", "inputs": {"x": ["1", 0]}},
    }));
    assert_eq!(
        kinds(&error),
        [("1".to_owned(), ErrorKind::LinkedNodeMissing), ("bad".to_owned(), ErrorKind::ValueBiggerThanMax)]
    );
}

#[test]
fn hidden_inputs_may_be_given_and_are_not_validated() {
    let nodes = json!({
        "1": {"class_type": "OpenLoop", "inputs": {"remaining": 2, "initial_value0": {"any": "thing"}}},
        "2": {"class_type": "Sink", "inputs": {"x": ["1", 1]}},
    });
    assert!(check(&mut prompt(nodes)).is_ok());
}

#[test]
fn a_cycle_is_named_on_each_of_its_nodes() {
    let error = refused(json!({
        "out": {"class_type": "Sink", "inputs": {"x": ["a", 0]}},
        "a": {"class_type": "Pass", "inputs": {"x": ["b", 0]}},
        "b": {"class_type": "Pair", "inputs": {"a": ["c", 0], "b": ["c", 0]}},
        "c": {"class_type": "Pass", "inputs": {"x": ["a", 0]}},
    }));
    insta::assert_snapshot!(shown(&error));
}

#[test]
fn a_node_that_links_to_itself_is_a_cycle_of_one() {
    let error = refused(
        json!({"out": {"class_type": "Sink", "inputs": {"x": ["p", 0]}}, "p": {"class_type": "Pass", "inputs": {"x": ["p", 0]}}}),
    );
    assert_eq!(error.node_errors["p"].errors[0].details, "p (Pass) -> p (Pass)");
}

#[test]
fn two_cycles_are_both_named_and_a_good_output_still_runs() {
    let validated = check(&mut prompt(json!({
        "o1": {"class_type": "Sink", "inputs": {"x": ["a", 0]}},
        "a": {"class_type": "Pass", "inputs": {"x": ["b", 0]}},
        "b": {"class_type": "Pass", "inputs": {"x": ["a", 0]}},
        "o2": {"class_type": "Sink", "inputs": {"x": ["q", 0]}},
        "q": {"class_type": "Pair", "inputs": {"a": ["q", 0], "b": ["a", 0]}},
        "o3": {"class_type": "Sink", "inputs": {"x": ["fine", 0]}},
        "fine": {"class_type": "Pass", "inputs": {}},
    })))
    .unwrap();
    assert_eq!(validated.outputs, [NodeId::from("o3")]);
    let named: Vec<&str> = validated.node_errors.keys().map(NodeId::as_str).collect();
    assert_eq!(named, ["a", "b", "q"]);
    assert_eq!(validated.node_errors["q"].dependent_outputs(), [NodeId::from("o2")]);
    assert_eq!(validated.node_errors["a"].dependent_outputs(), [NodeId::from("o1"), NodeId::from("o2")]);
}

#[test]
fn a_cycle_of_a_hundred_thousand_nodes_is_named_in_short() {
    let mut prompt = chain(100_000);
    prompt.nodes.get_mut("0").unwrap().inputs.insert("x".into(), Input::link("99999", 0));
    let error = check(&mut prompt).unwrap_err();
    let (_, first) = error.node_errors.get_index(0).unwrap();
    assert_eq!(first.errors[0].kind, ErrorKind::DependencyCycle);
    assert!(first.errors[0].details.contains(" more) ...") && first.errors[0].details.len() < 2000);
    assert_eq!(error.node_errors.len(), kiln_graph::MOST_REPORTED);
}

#[test]
fn many_links_back_do_not_make_naming_slow() {
    let mut prompt = chain(50_000);
    for (id, node) in &mut prompt.nodes {
        if id.as_str() != "50000" {
            node.class_type = "Pair".into();
            let x = node.inputs.shift_remove("x");
            node.inputs.extend(x.map(|x| ("b".into(), x)));
            node.inputs.insert("a".into(), Input::link("49999", 0));
        }
    }
    assert_eq!(check(&mut prompt).unwrap_err().node_errors["49999"].errors[0].kind, ErrorKind::DependencyCycle);
}

#[test]
fn a_chain_of_a_million_nodes_validates() {
    assert_eq!(check(&mut chain(1_000_000)).unwrap().outputs, [NodeId::from("1000000")]);
}

#[test]
fn a_deep_ladder_of_shared_sources_is_walked_once_per_node() {
    let mut nodes = json!({"0": {"class_type": "Pass", "inputs": {}}});
    for i in 1..60 {
        let below = json!([(i - 1).to_string(), 0]);
        nodes[i.to_string()] = json!({"class_type": "Pair", "inputs": {"a": below, "b": below}});
    }
    nodes["out"] = json!({"class_type": "Sink", "inputs": {"x": ["59", 0]}});
    assert!(check(&mut prompt(nodes)).is_ok());
}

#[test]
fn many_wrong_nodes_are_counted_but_not_all_listed() {
    let nodes = (0..5000).map(|i| (NodeId::from(i.to_string()), kiln_graph::PromptNode::new("Sink"))).collect();
    let error = check(&mut Prompt { nodes }).unwrap_err();
    assert_eq!(error.node_errors.len(), kiln_graph::MOST_REPORTED);
    assert_eq!(error.node_errors["0"].dependent_outputs().len(), 5000);
    let body = serde_json::to_value(&error).unwrap();
    assert_eq!(body["node_errors"]["0"]["dependent_outputs"].as_array().unwrap().len(), 100);
    assert!(error.to_string().ends_with("and 980 more"));
}

/// Returns the verdict it was made with, and keeps the calls.
struct Says(Verdict, std::cell::RefCell<Vec<String>>);

impl Says {
    fn new(verdict: Verdict) -> Self {
        Self(verdict, std::cell::RefCell::default())
    }
}

impl Validators for Says {
    fn check(&self, call: &ValidatorCall<'_>) -> Verdict {
        let inputs = call.inputs.iter().map(|(name, value)| match value {
            Some(value) => format!("{name}={value}"),
            None => format!("{name}=?"),
        });
        let types = call.input_types.iter().map(|(name, ty)| format!("{name}:{ty}"));
        self.1.borrow_mut().push(format!("{} {}", call.id, inputs.chain(types).collect::<Vec<_>>().join(" ")));
        self.0.clone()
    }
}

#[test]
fn a_validator_sees_coerced_literals_and_nothing_of_links() {
    let says = Says::new(Verdict::Good);
    let mut nodes = prompt(json!({
        "f": {"class_type": "Float", "inputs": {"value": 1}},
        "1": {"class_type": "Checked", "inputs": {"low": 7, "high": ["f", 0], "other": 3}},
        "2": {"class_type": "CheckedAll", "inputs": {"low": "0.5", "high": 1.5, "other": 3}},
        "3": {"class_type": "CheckedTypes", "inputs": {"input1": ["f", 0]}},
    }));
    let validated = validate(&mut nodes, &defs(), &says, None).unwrap();
    assert_eq!(validated.outputs.len(), 3, "ranges of inputs that a validator takes are its matter");
    assert_eq!(says.1.take(), ["1 low=7.0 high=?", "2 low=0.5 high=1.5", "3 input1:FLOAT"]);
}

#[test]
fn a_validator_that_takes_types_decides_about_links() {
    let nodes = json!({"i": {"class_type": "Int", "inputs": {"value": 1}}, "3": {"class_type": "CheckedTypes", "inputs": {"input1": ["i", 0]}}});
    let good = validate(&mut prompt(nodes.clone()), &defs(), &Says::new(Verdict::Good), None);
    assert!(good.is_ok());
    let bad = Says::new(Verdict::Bad(Some("Invalid type of input1: INT (expected IMAGE,FLOAT)".into())));
    insta::assert_snapshot!(shown(&validate(&mut prompt(nodes), &defs(), &bad, None).unwrap_err()));
}

#[test]
fn a_refusal_is_reported_once_per_input_that_the_validator_took() {
    let nodes = || prompt(json!({"2": {"class_type": "CheckedAll", "inputs": {"low": 0.5, "high": 1.5}}}));
    let details = |verdict| {
        let error = validate(&mut nodes(), &defs(), &Says::new(verdict), None).unwrap_err();
        error.node_errors["2"].errors.iter().map(|e| e.details.clone()).collect::<Vec<_>>()
    };
    assert_eq!(details(Verdict::Bad(None)), ["low", "high"]);
    assert_eq!(details(Verdict::Bad(Some("no".into()))), ["low - no", "high - no"]);
}

#[test]
fn a_validator_that_breaks_down_is_an_error_of_its_node() {
    let fails = || Says::new(Verdict::Failed { exception_type: "ValueError".into(), message: "boom".into() });
    let outer = prompt(json!({"1": {"class_type": "Checked", "inputs": {"low": 0.5}}}));
    insta::assert_snapshot!(
        "breaks_down_outer",
        shown(&validate(&mut outer.clone(), &defs(), &fails(), None).unwrap_err())
    );
    let inner = prompt(json!({
        "1": {"class_type": "Checked", "inputs": {"low": 0.5}},
        "2": {"class_type": "Sink", "inputs": {"x": ["1", 0]}},
    }));
    let target = [NodeId::from("2")];
    let error = validate(&mut inner.clone(), &defs(), &fails(), Some(&target)).unwrap_err();
    insta::assert_snapshot!("breaks_down_inner", shown(&error));
}
