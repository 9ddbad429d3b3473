//! Writes prompts of any size, of classes that `kiln run` has: for measuring what a node costs.
//!
//!     cargo run --release -p kiln-graph --example big_prompt -- chain 1000000 chain.json
//!
//! Knows the text of a prompt and nothing else; the file is written as it is made.
#![allow(clippy::print_stderr, missing_docs)]

use std::fs::File;
use std::io::{self, BufWriter};
use std::process::ExitCode;

#[path = "../benches/common/big.rs"]
mod big;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [shape, nodes, file, style @ ..] = arguments.as_slice() else { return usage() };
    let (Some(shape), Ok(nodes)) = (big::Shape::named(shape), nodes.parse()) else { return usage() };
    let style = big::Style {
        long_ids: style.iter().any(|word| word == "--long-ids"),
        pretty: style.iter().any(|word| word == "--pretty"),
        titles: style.iter().any(|word| word == "--titles"),
    };
    match write(file, shape, nodes, style) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{file}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(file: &str, shape: big::Shape, nodes: usize, style: big::Style) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    big::write(&mut out, shape, nodes, style)?;
    out.into_inner()?.sync_all()
}

fn usage() -> ExitCode {
    eprintln!("usage: big_prompt chain|fan|diamonds|texts|backwards NODES FILE [--long-ids] [--pretty] [--titles]");
    ExitCode::FAILURE
}
