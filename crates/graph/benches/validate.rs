//! What validation costs per node, for chains and fans from a thousand to a million nodes.
//!
//! `cargo bench -p kiln-graph` prints nanoseconds per node and their ratio to the smallest size, then divan's table, whose
//! throughput is nodes per second.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use kiln_graph::{
    InputDef, Link, NoValidators, NodeDef, NodeDefs, NodeId, OutputDef, Prompt, PromptNode, View, validate,
};

fn main() {
    // `cargo test --benches` and the like only ask whether it starts.
    if std::env::args().all(|arg| arg != "--test" && arg != "--list") {
        per_node();
    }
    divan::main();
}

/// The best time per node at each size, and how much more that is than at the smallest.
fn per_node() {
    let defs = defs();
    let best = |n: usize, run: &mut dyn FnMut() -> bool| {
        let mut least = f64::MAX;
        for _ in 0..(2_000_000 / n).clamp(2, 500) {
            let start = std::time::Instant::now();
            assert!(run());
            least = least.min(start.elapsed().as_secs_f64());
        }
        least * 1e9 / n as f64
    };
    println!("ns per node   {:>20}{:>20}{:>20}", "read JSON", "validate chain", "validate fan");
    let mut first: Option<[f64; 3]> = None;
    for n in SIZES {
        let (mut chain, mut fan) = (chain(n), fan(n));
        let text = serde_json::to_string(&chain).unwrap_or_default();
        let row = [
            best(n, &mut || Prompt::from_json(&text).is_ok()),
            best(n, &mut || validate(&mut chain, &defs, &NoValidators, None).is_ok()),
            best(n, &mut || validate(&mut fan, &defs, &NoValidators, None).is_ok()),
        ];
        let first = first.get_or_insert(row);
        let cells = row.iter().zip(first.iter()).map(|(ns, at_first)| format!("{ns:>10.0} ({:>5.2} x)", ns / at_first));
        println!("{n:>9}     {}", cells.collect::<String>());
    }
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
