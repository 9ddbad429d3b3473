//! Writes a full-size checkpoint of random weights: what memory and time are measured with where no real one is at hand.
//! Knows lists of names and a recipe for numbers; knows no network.
//!
//!     cargo run --release -p kiln-models --example random_checkpoint -- sd15 /tmp/sd15_f16.safetensors
//!     cargo run --release -p kiln-models --example random_checkpoint -- sdxl /tmp/sdxl_f16.safetensors
//!
//! The weights are "hash-uniform v1" (`kiln_memory::hash_uniform`): a function of name and shape alone, rounded to f16. The
//! same file on every machine; images made with it are noise.
#![allow(clippy::print_stderr)]

use std::{
    error::Error,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use kiln_memory::{Dtype, encode_f32, hash_uniform};
use serde_json::{Map, json};

type Keys = Vec<(String, Vec<usize>)>;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [family, path] = args.as_slice() else {
        return Err("give a family (sd15 or sdxl) and the file to write".into());
    };
    let list = match family.as_str() {
        "sd15" => include_str!("../tests/data/keys_sd15.txt"),
        "sdxl" => include_str!("../tests/data/keys_sdxl.txt"),
        other => return Err(format!("`{other}` is no family known here: sd15 or sdxl").into()),
    };
    let bytes = write(Path::new(path), &keys(list)?)?;
    eprintln!("{path}: {bytes} bytes");
    Ok(())
}

/// Names and shapes of a compact list: see the head of the lists.
fn keys(text: &str) -> Result<Keys, Box<dyn Error>> {
    let (mut found, mut modules) = (Keys::new(), vec![String::new()]);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(list) = line.strip_prefix("@ ") {
            modules = list.split(' ').map(|module| format!("{module}.")).collect();
            continue;
        }
        let mut parts = line.split(' ');
        let name = parts.next().unwrap_or_default();
        let shape: Vec<usize> = parts.map(str::parse).collect::<Result<_, _>>()?;
        found.extend(modules.iter().map(|module| (format!("{module}{name}"), shape.clone())));
    }
    found.sort();
    Ok(found)
}

/// Position ids are integers in checkpoints; everything else is f16 here.
fn dtype(name: &str) -> (Dtype, &'static str, usize) {
    if name.ends_with("position_ids") { (Dtype::I64, "I64", 8) } else { (Dtype::F16, "F16", 2) }
}

fn write(path: &Path, keys: &Keys) -> Result<usize, Box<dyn Error>> {
    let (mut header, mut at) = (Map::new(), 0);
    for (name, shape) in keys {
        let (_, written, size) = dtype(name);
        let end = at + shape.iter().product::<usize>() * size;
        header.insert(name.clone(), json!({"dtype": written, "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for (name, shape) in keys {
        let mut values = vec![0.0; shape.iter().product()];
        hash_uniform(name, shape, &mut values);
        match dtype(name) {
            (Dtype::I64, ..) => values.iter().try_for_each(|v| file.write_all(&(*v as i64).to_le_bytes()))?,
            (dtype, ..) => file.write_all(&encode_f32(dtype, &values)?)?,
        }
    }
    file.flush()?;
    Ok(8 + header.len() + at)
}
