//! Weight files of every format, written from their descriptions and independent of the readers.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::Path;

use half::{bf16, f16};

use super::tiny::Tensors;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    F32,
    F16,
    Bf16,
    E4m3,
    E5m2,
    /// Q8_0 where the rows are blocks of 32, f16 elsewhere, f32 for vectors.
    Gguf,
    /// PyTorch's archive: f16 in columns where there are two sides, f16 in rows where there are more, f32 for vectors.
    Pth,
}

/// A tensor as a file holds it: the type's name, its GGUF number, bytes, and the numbers that these bytes stand for.
struct Stored {
    dtype: &'static str,
    gguf: u32,
    bytes: Vec<u8>,
    meant: Vec<f32>,
}

impl Format {
    /// Writes a file, and answers what it then holds.
    pub(crate) fn write(self, path: &Path, tensors: &Tensors) -> Tensors {
        let stored: Vec<(&String, &Vec<usize>, Stored)> =
            tensors.iter().map(|(name, (shape, values))| (name, shape, self.store(shape, values))).collect();
        let bytes = match self {
            Self::Gguf => gguf(&stored),
            Self::Pth => pth(&stored),
            _ => safetensors(&stored),
        };
        std::fs::write(path, bytes).unwrap();
        stored.into_iter().map(|(name, shape, stored)| (name.clone(), (shape.clone(), stored.meant))).collect()
    }

    fn store(self, shape: &[usize], values: &[f32]) -> Stored {
        match self {
            Self::F32 => f32s(values),
            Self::Bf16 => {
                let narrow: Vec<bf16> = values.iter().map(|v| bf16::from_f32(*v)).collect();
                let bytes = narrow.iter().flat_map(|v| v.to_le_bytes()).collect();
                Stored { dtype: "BF16", gguf: 30, bytes, meant: narrow.iter().map(|v| v.to_f32()).collect() }
            }
            Self::E4m3 => bytes("F8_E4M3", e4m3, values),
            Self::E5m2 => bytes("F8_E5M2", e5m2, values),
            Self::Gguf | Self::Pth if shape.len() < 2 => f32s(values),
            Self::Gguf if shape.last().unwrap().is_multiple_of(32) => q8_0(values),
            Self::F16 | Self::Gguf | Self::Pth => f16s(values),
        }
    }
}

fn f32s(values: &[f32]) -> Stored {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Stored { dtype: "F32", gguf: 0, bytes, meant: values.to_vec() }
}

fn f16s(values: &[f32]) -> Stored {
    let narrow: Vec<f16> = values.iter().map(|v| f16::from_f32(*v)).collect();
    let bytes = narrow.iter().flat_map(|v| v.to_le_bytes()).collect();
    Stored { dtype: "F16", gguf: 1, bytes, meant: narrow.iter().map(|v| v.to_f32()).collect() }
}

/// Sign, 4 bits of exponent (bias 7), 3 of mantissa; no infinities, S.1111.111 is not a number.
fn e4m3(byte: u8) -> Option<f32> {
    let (exponent, mantissa) = (i32::from(byte >> 3 & 15), f32::from(byte & 7));
    let size =
        if exponent == 0 { mantissa / 8.0 * 2f32.powi(-6) } else { (1.0 + mantissa / 8.0) * 2f32.powi(exponent - 7) };
    (byte & 0x7f != 0x7f).then_some(if byte < 128 { size } else { -size })
}

/// Sign, 5 bits of exponent (bias 15), 2 of mantissa; the upper half of an f16.
fn e5m2(byte: u8) -> Option<f32> {
    let value = f16::from_bits(u16::from(byte) << 8).to_f32();
    value.is_finite().then_some(value)
}

fn bytes(dtype: &'static str, decode: fn(u8) -> Option<f32>, values: &[f32]) -> Stored {
    let mut table: Vec<(f32, u8)> = (0..=255).filter_map(|byte| Some((decode(byte)?, byte))).collect();
    table.sort_by(|a, b| a.0.total_cmp(&b.0));
    let nearest = |v: &f32| {
        let above = table.partition_point(|(known, _)| known < v).min(table.len() - 1);
        let below = above.saturating_sub(1);
        if (table[above].0 - v).abs() < (table[below].0 - v).abs() { table[above] } else { table[below] }
    };
    let (meant, bytes) = values.iter().map(nearest).unzip();
    Stored { dtype, gguf: 0, bytes, meant }
}

fn q8_0(values: &[f32]) -> Stored {
    let (mut bytes, mut meant) = (Vec::new(), Vec::new());
    for block in values.chunks(32) {
        let largest = block.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
        let scale = f16::from_f32(largest / 127.0);
        bytes.extend(scale.to_le_bytes());
        for v in block {
            let q = if scale.to_f32() == 0.0 { 0.0 } else { (v / scale.to_f32()).round().clamp(-127.0, 127.0) };
            bytes.push(q as i8 as u8);
            meant.push(scale.to_f32() * q);
        }
    }
    Stored { dtype: "", gguf: 8, bytes, meant }
}

fn safetensors(tensors: &[(&String, &Vec<usize>, Stored)]) -> Vec<u8> {
    let (mut header, mut at) = (serde_json::Map::new(), 0);
    for (name, shape, stored) in tensors {
        let offsets = [at, at + stored.bytes.len()];
        header.insert(
            (*name).clone(),
            serde_json::json!({"dtype": stored.dtype, "shape": shape, "data_offsets": offsets}),
        );
        at += stored.bytes.len();
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    for (_, _, stored) in tensors {
        file.extend(&stored.bytes);
    }
    file
}

fn gguf(tensors: &[(&String, &Vec<usize>, Stored)]) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    file.extend(3u32.to_le_bytes());
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend(0u64.to_le_bytes());
    let mut at = 0u64;
    for (name, shape, stored) in tensors {
        file.extend((name.len() as u64).to_le_bytes());
        file.extend(name.bytes());
        file.extend((shape.len() as u32).to_le_bytes());
        shape.iter().rev().for_each(|side| file.extend((*side as u64).to_le_bytes()));
        file.extend(stored.gguf.to_le_bytes());
        file.extend(at.to_le_bytes());
        at += (stored.bytes.len() as u64).next_multiple_of(32);
    }
    file.resize(file.len().next_multiple_of(32), 0);
    for (_, _, stored) in tensors {
        file.extend(&stored.bytes);
        file.resize(file.len().next_multiple_of(32), 0);
    }
    file
}

/// A zip archive of a pickle and one stored entry per tensor, under `state_dict` as training programs have it.
fn pth(tensors: &[(&String, &Vec<usize>, Stored)]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}(X\x0b\0\0\0global_stepK\x09X\x0a\0\0\0state_dict}(".to_vec();
    for (key, (name, shape, stored)) in tensors.iter().enumerate() {
        let class = if stored.dtype == "F32" { "FloatStorage" } else { "HalfStorage" };
        let strides = match shape[..] {
            [rows, _] => vec![1, rows],
            _ => (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect(),
        };
        pickled_text(&mut pickle, name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        pickled_text(&mut pickle, "storage");
        pickle.extend(format!("ctorch\n{class}\n").bytes());
        pickled_text(&mut pickle, &key.to_string());
        pickled_text(&mut pickle, "cpu");
        pickled_number(&mut pickle, stored.meant.len());
        pickle.extend(b"tQK\0");
        for sizes in [shape.as_slice(), &strides] {
            pickle.push(b'(');
            for size in sizes {
                pickled_number(&mut pickle, *size);
            }
            pickle.push(b't');
        }
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"uu.");
    let entries = tensors.iter().enumerate().map(|(key, (_, shape, stored))| {
        let bytes = match shape[..] {
            [_, columns] => transposed(&stored.bytes, columns),
            _ => stored.bytes.clone(),
        };
        (format!("archive/data/{key}"), bytes)
    });
    zip(std::iter::once(("archive/data.pkl".to_owned(), pickle)).chain(entries))
}

fn pickled_text(to: &mut Vec<u8>, text: &str) {
    to.push(b'X');
    to.extend((text.len() as u32).to_le_bytes());
    to.extend(text.bytes());
}

fn pickled_number(to: &mut Vec<u8>, number: usize) {
    to.push(b'J');
    to.extend((number as u32).to_le_bytes());
}

/// Rows of halves as columns.
fn transposed(bytes: &[u8], columns: usize) -> Vec<u8> {
    let (halves, _) = bytes.as_chunks::<2>();
    (0..columns).flat_map(|column| halves.iter().skip(column).step_by(columns).flatten().copied()).collect()
}

fn zip(entries: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let (mut file, mut directory, mut count) = (Vec::new(), Vec::new(), 0u16);
    for (name, bytes) in entries {
        let (length, at) = ((bytes.len() as u32).to_le_bytes(), (file.len() as u32).to_le_bytes());
        let lengths = [length, length].concat();
        let name_length = (name.len() as u16).to_le_bytes();
        // Version, flags, method 0, time, date, no checksum; then lengths.
        let header = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &lengths, &name_length, &[0, 0]].concat();
        directory.extend([b"PK\x01\x02\x14\0", &header[..], &[0; 10], &at, name.as_bytes()].concat());
        file.extend([b"PK\x03\x04", &header[..], name.as_bytes(), &bytes].concat());
        count += 1;
    }
    let (at, length) = ((file.len() as u32).to_le_bytes(), (directory.len() as u32).to_le_bytes());
    let counts = [count.to_le_bytes(), count.to_le_bytes()].concat();
    file.extend([&directory[..], b"PK\x05\x06\0\0\0\0", &counts, &length, &at, &[0, 0]].concat());
    file
}
