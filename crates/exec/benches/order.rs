//! How good the chosen order is: peak bytes of runs against the optimum over all orders, on random graphs of up to
//! nine nodes. `cargo bench -p kiln-exec --bench order`. Prints mean and worst ratio; exits non-zero above 1.02 or 1.25.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::wildcard_imports, missing_docs)]

use std::collections::HashMap;

use kiln_exec::graph::{Input, InputDef, NodeDef, OutputDef, PromptNode};
use kiln_exec::*;

#[derive(Clone)]
struct Bytes(u64);
object!(Bytes, "BYTES", |b| b.0);

/// A fixed sequence of pseudo-random numbers (xorshift64*).
struct Random(u64);
impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }
}

/// Sizes, and the nodes each one reads; the last reads everything that nobody else does.
struct Graph {
    bytes: Vec<u64>,
    reads: Vec<Vec<usize>>,
}

fn random_graph(random: &mut Random) -> Graph {
    let count = 3 + random.below(6) as usize;
    let mut graph = Graph { bytes: Vec::new(), reads: Vec::new() };
    for at in 0..count {
        let mut reads: Vec<usize> = (0..at).filter(|_| random.below(3) == 0).collect();
        reads.truncate(3);
        graph.bytes.push(1 + random.below(100));
        graph.reads.push(reads);
    }
    let unread = (0..count).filter(|n| graph.reads.iter().all(|reads| !reads.contains(n))).collect();
    graph.bytes.push(0);
    graph.reads.push(unread);
    graph
}

/// The lowest peak over all orders, by trying every next node from every reachable set.
fn optimum(graph: &Graph, done: usize, known: &mut HashMap<usize, u64>) -> u64 {
    let count = graph.bytes.len();
    if done == (1 << count) - 1 {
        return 0;
    }
    if let Some(peak) = known.get(&done) {
        return *peak;
    }
    let is_done = |n: usize| done >> n & 1 == 1;
    let read_later = |n: usize| (0..count).any(|r| !is_done(r) && graph.reads[r].contains(&n));
    let live: u64 = (0..count).filter(|n| is_done(*n) && read_later(*n)).map(|n| graph.bytes[n]).sum();
    let next = (0..count).filter(|n| !is_done(*n) && graph.reads[*n].iter().all(|r| is_done(*r)));
    let best = next.map(|n| (live + graph.bytes[n]).max(optimum(graph, done | 1 << n, known))).min().unwrap();
    known.insert(done, best);
    best
}

fn prompt(graph: &Graph) -> Prompt {
    let mut prompt = Prompt::new();
    let last = graph.bytes.len() - 1;
    for (at, reads) in graph.reads.iter().enumerate() {
        let mut node = PromptNode::new(if at == last { "End" } else { "Node" }).with("bytes", json!(graph.bytes[at]));
        for read in reads {
            node = node.with(format!("in{read}"), Input::link(read.to_string(), 0));
        }
        prompt.insert(at.to_string(), node);
    }
    prompt
}

fn peak(order: Order, graph: &Graph) -> u64 {
    let def = |class: &str| NodeDef::new(class).input(InputDef::new("bytes", "INT"));
    let make = |args: &mut Args, _: &mut Cx| Ok(Value::object(Bytes(args.get_as("bytes")?)));
    let end = |_: &mut Args, _: &mut Cx| Ok(());
    let registry = Registry::new()
        .with_dyn(DynNode::new(def("Node").output(OutputDef::new("*")), make))
        .with_dyn(DynNode::new(def("End").output_node(true), end));
    let engine = Engine::builder(registry).cache(CachePolicy::None).build();
    let run = || engine.start(prompt(graph)).options(RunOptions::default().with_order(order)).run().unwrap();
    run(); // sizes are learnt from the run before
    run().summary.peak_bytes
}

fn main() {
    let mut random = Random(0x5EED_0000_0001);
    let graphs: Vec<Graph> = (0..400).map(|_| random_graph(&mut random)).collect();
    let mut failed = false;
    for (name, order) in [("by peak bytes", Order::Peak), ("as ComfyUI", Order::Comfy)] {
        let ratios: Vec<f64> =
            graphs.iter().map(|g| peak(order, g) as f64 / optimum(g, 0, &mut HashMap::new()) as f64).collect();
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        let worst = ratios.iter().copied().fold(0.0, f64::max);
        println!("{name:<14} {} graphs: mean {mean:.4}, worst {worst:.4} of the optimum", ratios.len());
        failed |= order == Order::Peak && (mean > 1.02 || worst > 1.25);
    }
    std::process::exit(i32::from(failed));
}
