//! Full-size checkpoints of random weights: what memory and time are measured with where no real one is at hand.
//!
//! Knows lists of names and a recipe for numbers; knows no network. The weights are "hash-uniform v1"
//! ([`kiln_memory::hash_uniform`]): a function of name and shape alone, rounded to f16. The same file on every machine; images
//! made with it are noise.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use kiln_memory::{Dtype, encode_f32, hash_uniform};
use serde_json::{Map, json};

type Keys = Vec<(String, Vec<usize>)>;

/// A checkpoint that can be written with random weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RandomCheckpoint {
    /// Stable Diffusion 1.5, 2.1 GB.
    Sd15,
    /// Stable Diffusion XL, 6.9 GB.
    Sdxl,
}

impl RandomCheckpoint {
    /// The one of that name: `sd15` or `sdxl`.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Sd15, Self::Sdxl].into_iter().find(|one| one.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sd15 => "sd15",
            Self::Sdxl => "sdxl",
        }
    }

    /// Bytes of the file.
    pub fn bytes(self) -> u64 {
        let keys = self.keys();
        let weights: usize = keys.iter().map(|(name, shape)| bytes_of(name, shape)).sum();
        (8 + header(&keys).len() + weights) as u64
    }

    /// Writes the file, as safetensors.
    ///
    /// # Errors
    /// Of the file. What is there then is not whole.
    pub fn write(self, path: &Path) -> io::Result<()> {
        let keys = self.keys();
        let header = header(&keys);
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        for (name, shape) in &keys {
            let mut values = vec![0.0; shape.iter().product()];
            hash_uniform(name, shape, &mut values);
            if is_ids(name) {
                values.iter().try_for_each(|v| file.write_all(&(*v as i64).to_le_bytes()))?;
            } else {
                file.write_all(&encode_f32(Dtype::F16, &values).map_err(io::Error::other)?)?;
            }
        }
        file.flush()
    }

    fn keys(self) -> Keys {
        keys(match self {
            Self::Sd15 => include_str!("../../tests/data/keys_sd15.txt"),
            Self::Sdxl => include_str!("../../tests/data/keys_sdxl.txt"),
        })
    }
}

/// Names and shapes of a compact list: see the head of the lists.
fn keys(text: &str) -> Keys {
    let (mut found, mut modules) = (Keys::new(), vec![String::new()]);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(list) = line.strip_prefix("@ ") {
            modules = list.split(' ').map(|module| format!("{module}.")).collect();
            continue;
        }
        let mut parts = line.split(' ');
        let name = parts.next().unwrap_or_default();
        let shape: Vec<usize> = parts.filter_map(|side| side.parse().ok()).collect();
        found.extend(modules.iter().map(|module| (format!("{module}{name}"), shape.clone())));
    }
    found.sort();
    found
}

/// Position ids are integers in checkpoints; everything else is f16 here.
fn is_ids(name: &str) -> bool {
    name.ends_with("position_ids")
}

fn bytes_of(name: &str, shape: &[usize]) -> usize {
    shape.iter().product::<usize>() * if is_ids(name) { 8 } else { 2 }
}

fn header(keys: &Keys) -> Vec<u8> {
    let (mut header, mut at) = (Map::new(), 0);
    for (name, shape) in keys {
        let end = at + bytes_of(name, shape);
        let dtype = if is_ids(name) { "I64" } else { "F16" };
        header.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_have_the_sizes_of_the_real_ones() {
        assert_eq!(RandomCheckpoint::named("sd15").map(|one| one.bytes() >> 20), Some(2033));
        assert_eq!(RandomCheckpoint::named("sdxl").map(|one| one.bytes() >> 20), Some(6616));
        assert_eq!(RandomCheckpoint::named("sd3"), None);
    }
}
