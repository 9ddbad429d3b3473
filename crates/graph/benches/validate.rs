//! What validation costs per node, for chains and fans from a thousand to a million nodes.
//!
//! `cargo bench -p kiln-graph` prints time per prompt and, as throughput, nodes per second: 1 Mitem/s is 1 us per node.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use kiln_graph::{
    InputDef, Link, NoValidators, NodeDef, NodeDefs, NodeId, OutputDef, Prompt, PromptNode, View, validate,
};

fn main() {
    divan::main();
}

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

fn defs() -> NodeDefs {
    [
        NodeDef::new("Pass").input(InputDef::new("x", "*").optional()).output(OutputDef::new("*")),
        NodeDef::new("Step")
            .input(InputDef::new("x", "LATENT"))
            .input(InputDef::new("steps", "INT").option("min", 1).option("max", 100))
            .output(OutputDef::new("LATENT")),
        NodeDef::new("Start").output(OutputDef::new("LATENT")),
        NodeDef::new("Sink").input(InputDef::new("x", "*")).output_node(true),
        NodeDef::new("Gather").output_node(true),
    ]
    .into_iter()
    .collect()
}

fn ids(n: usize) -> Vec<NodeId> {
    (0..n).map(|i| NodeId::from(i.to_string())).collect()
}

/// Start, then steps with a literal each, then a sink; written in the order in which they run.
fn chain(n: usize) -> Prompt {
    let ids = ids(n);
    let node = |i: usize| match i {
        0 => PromptNode::new("Start"),
        i if i + 1 == n => PromptNode::new("Sink").with("x", Link::new(&ids[i - 1], 0)),
        i => PromptNode::new("Step").with("x", Link::new(&ids[i - 1], 0)).with("steps", serde_json::json!(20)),
    };
    (0..n).map(|i| (ids[i].clone(), node(i))).collect()
}

/// One start, many steps that read it, one output that reads them all.
fn fan(n: usize) -> Prompt {
    let ids = ids(n);
    let mut gather = PromptNode::new("Gather");
    for (i, id) in ids.iter().enumerate().take(n - 1).skip(1) {
        gather = gather.with(format!("in{i}"), Link::new(id, 0));
    }
    let node = |i: usize| match i {
        0 => PromptNode::new("Start"),
        i if i + 1 == n => gather.clone(),
        _ => PromptNode::new("Step").with("x", Link::new(&ids[0], 0)).with("steps", serde_json::json!(20)),
    };
    (0..n).map(|i| (ids[i].clone(), node(i))).collect()
}

fn validated(bencher: Bencher<'_, '_>, mut prompt: Prompt) {
    let defs = defs();
    let n = prompt.len();
    bencher
        .counter(ItemsCount::new(n))
        .bench_local(|| validate(black_box(&mut prompt), &defs, &NoValidators, None).is_ok());
}

#[divan::bench(args = SIZES, max_time = 2)]
fn validate_chain(bencher: Bencher<'_, '_>, n: usize) {
    validated(bencher, chain(n));
}

#[divan::bench(args = SIZES, max_time = 2)]
fn validate_fan(bencher: Bencher<'_, '_>, n: usize) {
    validated(bencher, fan(n));
}

#[divan::bench(args = SIZES, max_time = 2)]
fn read_json(bencher: Bencher<'_, '_>, n: usize) {
    let text = serde_json::to_string(&chain(n)).unwrap_or_default();
    bencher.counter(ItemsCount::new(n)).bench_local(|| Prompt::from_json(black_box(&text)).is_ok());
}

#[divan::bench(args = SIZES, max_time = 2)]
fn topological_order(bencher: Bencher<'_, '_>, n: usize) {
    let prompt = chain(n);
    bencher.counter(ItemsCount::new(n)).bench_local(|| View::of(black_box(&prompt)).order().is_ok());
}
