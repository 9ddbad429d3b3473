//! What reading a prompt costs per node, from a thousand to a million nodes: processor time, and memory that the prompt
//! takes.
//!
//! `cargo bench -p kiln-graph --bench read`. `KILN_BENCH_MAX` limits the number of nodes.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints its table")]

use std::hint::black_box;

use kiln_graph::Document;
use rustix::time::{ClockId, clock_gettime};

#[path = "common/big.rs"]
mod big;

use big::{Shape, Style};

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

fn main() {
    let most: usize = std::env::var("KILN_BENCH_MAX").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    println!(
        "{:<26} {:>9} {:>12} {:>13} {:>12} {:>12}",
        "prompt", "nodes", "bytes/node", "read, ns/node", "held", "dropped"
    );
    let plain = ["chain", "fan", "diamonds", "texts", "backwards"].map(|name| (name, Style::default()));
    let other = Style { long_ids: true, pretty: true, titles: true };
    for (shape, style) in plain.into_iter().chain([("chain", other)]) {
        let shape = Shape::named(shape).unwrap();
        let name = format!("{}{}", shape.name(), if style.pretty { ", long, pretty, titles" } else { "" });
        for n in SIZES.into_iter().filter(|n| *n <= most) {
            let mut text = Vec::new();
            big::write(&mut text, shape, n, style).unwrap();
            let rounds = (1_000_000 / n).clamp(3, 200);
            let (mut read, mut dropped, mut held) = (f64::MAX, f64::MAX, 0);
            for _ in 0..rounds {
                let (before, begun) = (resident(), cpu());
                let document = Document::from_json(black_box(&text)).unwrap();
                read = read.min((cpu() - begun) / n as f64);
                held = held.max(resident().saturating_sub(before));
                let begun = cpu();
                drop(black_box(document));
                dropped = dropped.min((cpu() - begun) / n as f64);
            }
            let (size, held) = (text.len() / n, held / n as u64);
            println!("{name:<26} {n:>9} {size:>12} {read:>13.0} {held:>12} {dropped:>12.0}");
        }
    }
}

/// Nanoseconds of processor time that this process took so far.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Bytes of memory that this process holds.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
