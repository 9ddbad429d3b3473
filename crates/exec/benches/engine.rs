//! What the engine itself costs: no-op nodes, one core. `cargo bench -p kiln-exec --bench engine`.
//!
//! Prints microseconds per node for reading the JSON, validation, a first run without a cache, a first run with one,
//! and the same prompt again with everything cached; the ratio between the cheapest and the dearest size; bytes of engine memory
//! per live node; and, beside it, what ComfyUI v0.3.75 needs (measured on one core of a 2-core machine).
//! `KILN_BENCH_MIN` and `KILN_BENCH_MAX` limit the number of nodes (default 1 000 000 at most), `KILN_BENCH_GRAPH`
//! picks graphs by name.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::wildcard_imports,
    clippy::type_complexity,
    missing_docs
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kiln_exec::graph::{Input, PromptNode, Validated};
use kiln_exec::*;

#[derive(Node)]
struct Source {
    value: i64,
}
impl Execute for Source {
    type Output = i64;
    fn execute(self, _: &mut Cx) -> Result<i64, NodeError> {
        Ok(self.value)
    }
}
#[derive(Node)]
struct Pass {
    x: i64,
}
impl Execute for Pass {
    type Output = i64;
    fn execute(self, _: &mut Cx) -> Result<i64, NodeError> {
        Ok(self.x)
    }
}
#[derive(Node)]
struct Join {
    a: i64,
    b: i64,
}
impl Execute for Join {
    type Output = i64;
    fn execute(self, _: &mut Cx) -> Result<i64, NodeError> {
        Ok(self.a ^ self.b)
    }
}
#[derive(Node)]
struct Loop {
    left: i64,
}
impl Execute for Loop {
    type Output = Outcome<i64>;
    fn execute(self, cx: &mut Cx) -> Result<Outcome<i64>, NodeError> {
        if self.left == 0 {
            return Ok(Outcome::Done(0));
        }
        Ok(cx.expand(|g| {
            let left = g.add(Source::node().value(self.left - 1));
            g.add(Loop::node().left(left))
        }))
    }
}
/// Takes any number of links and tells how much memory is in use when it runs.
#[derive(Node)]
#[node(output_node)]
struct Sink {
    _all: Extras,
}
struct Meter(AtomicU64);
impl Execute for Sink {
    type Output = ();
    fn execute(self, cx: &mut Cx) -> Result<(), NodeError> {
        if let Some(meter) = cx.try_host::<Meter>() {
            meter.0.store(resident(), Ordering::Relaxed);
        }
        Ok(())
    }
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn node(class: &str) -> PromptNode {
    PromptNode::new(class)
}
fn link(id: usize) -> Input {
    Input::link(id.to_string().as_str(), 0)
}

fn chain(n: usize) -> Prompt {
    let mut prompt = Prompt::new();
    prompt.insert("0", node("Source").with("value", json!(1)));
    for i in 1..n - 1 {
        prompt.insert(i.to_string().as_str(), node("Pass").with("x", link(i - 1)));
    }
    prompt.insert("end", node("Sink").with("x", link(n - 2)));
    prompt
}
fn fan(n: usize) -> Prompt {
    let mut prompt = Prompt::new();
    let mut sink = node("Sink");
    prompt.insert("0", node("Source").with("value", json!(1)));
    for i in 1..n - 1 {
        prompt.insert(i.to_string().as_str(), node("Pass").with("x", link(0)));
        sink = sink.with(format!("in{i}"), link(i));
    }
    prompt.insert("end", sink);
    prompt
}
fn diamonds(n: usize) -> Prompt {
    let mut prompt = Prompt::new();
    prompt.insert("0", node("Source").with("value", json!(1)));
    let mut last = 0;
    while last + 4 < n {
        for side in [last + 1, last + 2] {
            prompt.insert(side.to_string().as_str(), node("Pass").with("x", link(last)));
        }
        prompt
            .insert((last + 3).to_string().as_str(), node("Join").with("a", link(last + 1)).with("b", link(last + 2)));
        last += 3;
    }
    prompt.insert("end", node("Sink").with("x", link(last)));
    prompt
}
/// `n` nodes, two per iteration.
fn expansion(n: usize) -> Prompt {
    let mut prompt = Prompt::new();
    prompt.insert("loop", node("Loop").with("left", json!(n / 2)));
    prompt.insert("end", node("Sink").with("x", Input::link("loop", 0)));
    prompt
}

fn engine(cache: CachePolicy) -> Engine {
    let registry = Registry::new().with::<Source>().with::<Pass>().with::<Join>().with::<Loop>().with::<Sink>();
    Engine::builder(registry).cache(cache).host(Host::new().with(Meter(AtomicU64::new(0)))).build()
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let value = work();
    (begun.elapsed(), value)
}

/// So many nodes in all are run at each size.
const NODES_MEASURED: usize = 5_000_000;

/// Microseconds per node.
struct Row {
    parse: f64,
    validate: f64,
    cold: f64,
    /// Validate, schedule, execute, drop.
    total: f64,
    keyed: f64,
    cached: f64,
    bytes: f64,
}

/// As many nodes at every size, so that each is measured equally often; the median of the runs at that size.
fn measure(make: fn(usize) -> Prompt, n: usize) -> Row {
    let text = serde_json::to_string(&make(n)).unwrap();
    let rows: Vec<Row> = (0..(NODES_MEASURED / n).clamp(5, 301)).map(|_| once(&text, n)).collect();
    let median = |of: fn(&Row) -> f64| {
        let mut all: Vec<f64> = rows.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Row {
        parse: median(|row| row.parse),
        validate: median(|row| row.validate),
        cold: median(|row| row.cold),
        total: median(|row| row.total),
        keyed: median(|row| row.keyed),
        cached: median(|row| row.cached),
        bytes: rows.iter().map(|row| row.bytes).fold(0.0, f64::max),
    }
}

fn once(text: &str, n: usize) -> Row {
    let per = |time: Duration| time.as_secs_f64() * 1e6 / n as f64;
    let (plain, classic) = (engine(CachePolicy::None), engine(CachePolicy::Classic));
    let (parse, mut prompt) = timed(|| Prompt::from_json(text).unwrap());
    let (validate, validated) = timed(|| plain.validate(&mut prompt, None).unwrap());
    let prompt = Arc::new(prompt);
    let run = |engine: &Engine, validated: &Validated| {
        let run = engine.start(Arc::clone(&prompt)).validated(validated.clone());
        per(timed(|| run.run().unwrap()).0)
    };
    let before = resident();
    let cold = run(&plain, &validated);
    let during = plain.host().get::<Meter>().unwrap().0.load(Ordering::Relaxed);
    let (validate, keyed, cached) = (per(validate), run(&classic, &validated), run(&classic, &validated));
    let bytes = during.saturating_sub(before) as f64 / n as f64;
    Row { parse: per(parse), validate, cold, total: validate + cold, keyed, cached, bytes }
}

fn main() {
    let most: usize = std::env::var("KILN_BENCH_MAX").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let least: usize = std::env::var("KILN_BENCH_MIN").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let only = std::env::var("KILN_BENCH_GRAPH").unwrap_or_default();
    let sizes: Vec<usize> =
        [1_000, 10_000, 100_000, 1_000_000].into_iter().filter(|n| (least..=most).contains(n)).collect();
    let graphs: [(&str, fn(usize) -> Prompt); 4] =
        [("chain", chain), ("fan", fan), ("diamonds", diamonds), ("loop by expansion", expansion)];
    println!("microseconds per node, no-op nodes, one thread");
    println!(
        "{:<18} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>11}",
        "graph", "nodes", "parse", "validate", "run", "end2end", "run+keys", "cached", "bytes/node"
    );
    for (name, make) in graphs.into_iter().filter(|(name, _)| name.contains(&only)) {
        let (mut low, mut high) = (f64::MAX, 0.0_f64);
        for n in &sizes {
            let Row { parse, validate, cold, total, keyed, cached, bytes } = measure(make, *n);
            (low, high) = (low.min(total), high.max(total));
            println!(
                "{name:<18} {n:>9} {parse:>9.3} {validate:>9.3} {cold:>9.3} {total:>9.3} {keyed:>9.3} {cached:>9.3} \
                 {bytes:>11.0}"
            );
        }
        println!("{name:<18} dearest / cheapest size: {:.2}", high / low);
    }
    println!(
        "\nComfyUI v0.3.75: chain of 20: 9 validate + 149 run, 118 cached; chain of 500: 5.6 + 9130, 6432 cached;"
    );
    println!("longest chain accepted: 986 nodes.");
}
