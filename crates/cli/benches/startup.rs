//! From the start of the process to a validated graph, and to its end.
//!
//!     cargo bench -p kiln-cli --bench startup
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 20;

fn main() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let since = Instant::now();
            let status = Command::new(env!("CARGO_BIN_EXE_kiln"))
                .args(["validate", "examples/workflows/text_to_image.json"])
                .current_dir(root)
                .stdout(Stdio::null())
                .status()
                .expect("the command starts");
            assert!(status.success(), "the graph is fit to run");
            since.elapsed()
        })
        .collect();
    times.sort();
    let shown = [times[0], times[RUNS / 2], times[RUNS - 1]].map(|time| time.as_secs_f64() * 1e3);
    println!(
        "process start to validated graph, of {RUNS}: {:.1} ms least, {:.1} median, {:.1} most",
        shown[0], shown[1], shown[2]
    );
}
