//! Writes a full-size checkpoint of random weights: what memory and time are measured with where no real one is at hand.
//!
//!     cargo run --release -p kiln-models --example random_checkpoint -- sd15 /tmp/sd15_f16.safetensors
//!     cargo run --release -p kiln-models --example random_checkpoint -- sdxl /tmp/sdxl_f16.safetensors
#![allow(clippy::print_stderr)]

use std::{error::Error, path::Path};

use kiln_models::RandomCheckpoint;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [family, path] = args.as_slice() else {
        return Err("give a family (sd15 or sdxl) and the file to write".into());
    };
    let checkpoint = RandomCheckpoint::named(family);
    let checkpoint = checkpoint.ok_or_else(|| format!("`{family}` is no family known here: sd15 or sdxl"))?;
    checkpoint.write(Path::new(path))?;
    eprintln!("{path}: {} bytes", checkpoint.bytes());
    Ok(())
}
