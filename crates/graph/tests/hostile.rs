//! Whatever comes in, a result comes out: no panic, no hang, no memory without bound.
//!
//! Every file of `tests/data` is the seed of a corpus: bytes are changed, parts of the tree are swapped, repeated,
//! removed and replaced by what should not be there. `KILN_FUZZ_CASES` sets how many (the default takes seconds).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::{Duration, Instant};

use kiln_graph::{
    Document, InputDef, LowerOptions, NoValidators, NodeDef, NodeDefs, OutputDef, Prompt, View, Workflow, validate,
};
use serde_json::{Value, json};

const SEEDS: &[&str] = &[
    include_str!("data/workflow_0.4.json"),
    include_str!("data/workflow_1.json"),
    include_str!("data/workflow_proxy_widgets.json"),
    include_str!("data/workflow_group_nodes.json"),
    include_str!("data/workflow_older.json"),
    include_str!("data/workflow_virtual.json"),
];

/// No single document of a few kilobytes may take longer than this, in a test build on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);

fn defs() -> NodeDefs {
    let mut defs = common::page::object_info();
    defs.extend(common::defs().iter().cloned());
    defs.extend([NodeDef::new("PrimitiveInt").input(InputDef::new("value", "INT")).output(OutputDef::new("INT"))]);
    defs
}

/// Nor may all of them together ever have held more memory than this, in bytes, where the system reports it.
const MOST: u64 = 3 << 30;

fn most_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

/// Everything that can be done with a text.
fn digest(text: &[u8], defs: &NodeDefs) {
    let start = Instant::now();
    if let Ok(mut workflow) = Workflow::from_json(text) {
        workflow.advance(defs, 7);
        let _ = workflow.lower(defs, &LowerOptions { seed: 7, now: None });
    }
    let document = Document::from_json(text).and_then(|d| d.into_prompt(defs, &LowerOptions::default()));
    for prompt in [Prompt::from_json(text).ok(), document.ok()].into_iter().flatten() {
        digest_prompt(prompt, defs);
    }
    let shown = || String::from_utf8_lossy(&text[..text.len().min(10_000)]).into_owned();
    assert!(start.elapsed() < LONGEST, "{:?} for {}", start.elapsed(), shown());
    assert!(most_memory().is_none_or(|bytes| bytes < MOST), "{:?} bytes for {}", most_memory(), shown());
}

fn digest_prompt(mut prompt: Prompt, defs: &NodeDefs) {
    let written = serde_json::to_string(&prompt).unwrap();
    assert_eq!(Prompt::from_json(&written).unwrap(), prompt, "what was written reads back");
    let view = View::of(&prompt);
    assert_eq!(view.order().is_ok(), view.cycles().is_empty());
    let _ = (view.to_dot(), view.to_mermaid(), view.to_svg(&|_| None));
    let known = prompt.nodes.values().all(|node| defs.get(&node.class_type).is_some());
    match validate(&mut prompt, defs, &NoValidators, None) {
        Ok(validated) => assert!(!validated.outputs.is_empty() && known),
        Err(error) => {
            serde_json::to_string(&error).unwrap();
            assert!(!error.to_string().is_empty());
        }
    }
}

/// splitmix64: a case is its number.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

fn odd(random: &mut Random) -> Value {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!(-0.0),
        json!(0.5),
        json!(""),
        json!("-10"),
        json!("-20"),
        json!("{a|{b|c}"),
        json!("/*//*/{{{|||}"),
        json!("%%date:%a.b%"),
        json!("*"),
        json!(",,,"),
        json!("nan"),
        json!([]),
        json!({}),
        json!(["1", 0]),
        json!([[[[]]]]),
        json!({"__value__": ["1", 0]}),
        json!({"__value__": null}),
        json!({"class_type": "Sink", "inputs": {"x": ["1", 0]}}),
        json!("Reroute"),
        json!("PrimitiveNode"),
        json!("SetNode"),
        json!("GetNode"),
        json!("Anything Everywhere"),
        json!("vae"),
        json!("(a*)*(?=b)"),
        json!("workflow>Make"),
        json!(4),
        json!(2),
        json!("1f0d0d1c-0000-4000-8000-000000000001"),
    ];
    random.pick(&odd).clone()
}

/// Changes one place of the tree.
fn mutate(value: &mut Value, spare: &Value, random: &mut Random) {
    let mut at = value;
    for _ in 0..random.below(12) {
        let children = match at {
            Value::Array(items) => items.len(),
            Value::Object(map) => map.len(),
            _ => 0,
        };
        if children == 0 {
            break;
        }
        let chosen = random.below(children);
        at = match at {
            Value::Array(items) => &mut items[chosen],
            Value::Object(map) => map.values_mut().nth(chosen).unwrap(),
            _ => unreachable!("has children"),
        };
    }
    match (random.below(6), &mut *at) {
        (0, Value::Array(items)) if !items.is_empty() => drop(items.remove(random.below(items.len()))),
        (1, Value::Array(items)) if !items.is_empty() => items.push(items[random.below(items.len())].clone()),
        (2, Value::Object(map)) if !map.is_empty() => {
            let key = map.keys().nth(random.below(map.len())).unwrap().clone();
            map.remove(&key);
        }
        (3, Value::Object(map)) => drop(map.insert(random.below(20).to_string(), odd(random))),
        (4, at) => *at = spare.clone(),
        (_, at) => *at = odd(random),
    }
}

fn any_part(value: &Value, random: &mut Random) -> Value {
    let mut at = value;
    for _ in 0..random.below(8) {
        at = match at {
            Value::Array(items) if !items.is_empty() => random.pick(items),
            Value::Object(map) if !map.is_empty() => map.values().nth(random.below(map.len())).unwrap(),
            _ => break,
        };
    }
    at.clone()
}

fn cases() -> u64 {
    std::env::var("KILN_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(3000)
}

/// The workflows and the prompts that they lower to.
fn corpus(defs: &NodeDefs) -> Vec<Value> {
    let workflows: Vec<Value> = SEEDS.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let lower = |workflow: &Value| {
        Workflow::from_value(workflow).unwrap().lower(defs, &LowerOptions::default()).unwrap().to_value()
    };
    let prompts: Vec<Value> = workflows.iter().map(lower).collect();
    workflows.into_iter().chain(prompts).collect()
}

#[test]
fn mutated_trees_are_answered() {
    let defs = defs();
    let corpus = corpus(&defs);
    for case in 0..cases() {
        let mut random = Random(case);
        let mut value = random.pick(&corpus).clone();
        for _ in 0..=random.below(6) {
            let donor = random.pick(&corpus);
            let spare = any_part(donor, &mut random);
            mutate(&mut value, &spare, &mut random);
        }
        digest(value.to_string().as_bytes(), &defs);
    }
}

#[test]
fn mutated_bytes_are_answered() {
    let defs = defs();
    let corpus = corpus(&defs);
    for case in 0..cases() {
        let mut random = Random(!case);
        let mut text = random.pick(&corpus).to_string().into_bytes();
        for _ in 0..=random.below(4) {
            let at = random.below(text.len());
            match random.below(4) {
                0 => text.truncate(at),
                1 => text.insert(at, random.below(256) as u8),
                2 => drop(text.remove(at)),
                _ => text[at] = *random.pick(b"{}[]\",:0-9eE.\\ \x00\xffnul"),
            }
            if text.is_empty() {
                break;
            }
        }
        digest(&text, &defs);
    }
}

#[test]
fn deep_nesting_of_every_kind_is_an_error_and_no_crash() {
    let defs = defs();
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{\"nodes\":[", "]}"), ("{\"1\":{\"inputs\":{\"x\":", "}}}")] {
        let deep = format!("{}0{}", open.repeat(100_000), close.repeat(100_000));
        assert!(Workflow::from_json(&deep).is_err());
        assert!(Prompt::from_json(&deep).is_err());
        digest(deep.as_bytes(), &defs);
        digest(open.repeat(100_000).as_bytes(), &defs);
    }
}

#[test]
fn long_texts_that_invite_searching_are_read_in_one_pass() {
    let defs = defs();
    let n = 300_000;
    for text in ["/*", "//", "{", "}", "{|", "%", "%a.b%", "%date:", "\\", "{}", "/"] {
        for ty in ["CLIPTextEncode", "SaveImage"] {
            let values = json!([text.repeat(n)]);
            let workflow = json!({"nodes": [{"id": 1, "type": ty, "widgets_values": values}], "links": []});
            digest(workflow.to_string().as_bytes(), &defs);
        }
    }
}

#[test]
fn many_levels_of_subgraphs_end_in_an_answer() {
    let defs = defs();
    let level = |i: usize| {
        json!({"id": format!("L{i}"), "inputs": [{"name": "a"}], "outputs": [{"name": "b"}],
        "nodes": [{"id": 1, "type": format!("L{}", i + 1), "inputs": [{"name": "a", "type": "*", "link": 1}], "outputs": [{"type": "*"}]}],
        "links": [{"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 1, "target_slot": 0},
                  {"id": 2, "origin_id": 1, "origin_slot": 0, "target_id": -20, "target_slot": 0}]})
    };
    for depth in [50, 2000] {
        let subgraphs: Vec<Value> = (0..depth).map(level).collect();
        let workflow = json!({"nodes": [{"id": 1, "type": "L0", "inputs": []}], "links": [], "definitions": {"subgraphs": subgraphs}});
        digest(workflow.to_string().as_bytes(), &defs);
    }
}

#[test]
fn a_prompt_of_one_node_with_a_hundred_thousand_inputs_is_answered() {
    let inputs: serde_json::Map<String, Value> = (0..100_000).map(|i| (format!("x{i}"), json!(["1", 0]))).collect();
    digest(json!({"1": {"class_type": "Sink", "inputs": inputs}}).to_string().as_bytes(), &defs());
}
