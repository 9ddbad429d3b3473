//! One tensor of a file in the making: its bytes as they are stored, or its numbers as they are used.

use std::io::{self, Write};

use bytes::Bytes;
use kiln_memory::{Dtype, Weight, encode_f32};

use super::names::Fused;
use crate::weights::ModelWeights;

/// A tensor to be written.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) dtype: Dtype,
    pub(super) numbers: Numbers,
}

/// Where its numbers come from.
#[derive(Debug)]
pub(super) enum Numbers {
    /// Bytes as the source stores them, one part behind the other.
    Stored(Vec<Bytes>),
    /// Weights as they are used, one behind the other, as a matrix with so many columns exchanged with its rows if that
    /// is asked for.
    Used { parts: Vec<Weight>, columns: Option<usize> },
    /// Numbers at hand.
    Values(Vec<f32>),
}

impl Tensor {
    /// A network's weight under its key; `None` where the source lacks it. Changed weights are stored as `changed`.
    pub(super) fn of(weights: &ModelWeights, key: &str, name: String, changed: Dtype) -> Option<Self> {
        let fused = Fused { name: String::new(), keys: vec![key.to_owned()], transposed: false };
        Self::fused(weights, &fused, name, changed)
    }

    /// Several weights as one tensor.
    pub(super) fn fused(weights: &ModelWeights, fused: &Fused, name: String, changed: Dtype) -> Option<Self> {
        let parts = fused.keys.iter().map(|key| weights.weights().weight(key).ok());
        let parts = parts.collect::<Option<Vec<Weight>>>()?;
        let first = parts.first()?;
        let mut shape = first.shape().to_vec();
        if let (Some(rows), true) = (shape.first_mut(), parts.len() > 1) {
            *rows = parts.iter().map(|part| part.shape()[0]).sum();
        }
        let stored = || {
            let storable = Dtype::from_safetensors(first.dtype().name()).is_some();
            let alike = parts.iter().all(|part| !part.is_patched() && part.dtype() == first.dtype());
            let source = weights.weights().source();
            let bytes = || parts.iter().map(|part| source.slice(part.name())).collect::<Option<Vec<Bytes>>>();
            (storable && alike && !fused.transposed).then(bytes).flatten()
        };
        if let Some(bytes) = stored() {
            return Some(Self { name, shape, dtype: first.dtype(), numbers: Numbers::Stored(bytes) });
        }
        let columns = fused.transposed.then(|| shape.last().copied().unwrap_or(1));
        if fused.transposed {
            shape.reverse();
        }
        // What a file stores as f16 is f16 also when rows and columns change places.
        let unchanged = parts.iter().all(|part| !part.is_patched() && part.dtype() == Dtype::F16);
        let dtype = if unchanged { Dtype::F16 } else { changed };
        Some(Self { name, shape, dtype, numbers: Numbers::Used { parts, columns } })
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.numbers {
            Numbers::Stored(parts) => parts.iter().try_for_each(|bytes| out.write_all(bytes)),
            Numbers::Values(values) => self.encode(values, out),
            Numbers::Used { parts, columns } => parts.iter().try_for_each(|part| {
                let values = part.read().map_err(|error| io::Error::other(error.to_string()))?;
                match columns {
                    Some(columns) => self.encode(&exchanged(&values, *columns), out),
                    None => self.encode(&values, out),
                }
            }),
        }
    }

    fn encode(&self, values: &[f32], out: &mut dyn Write) -> io::Result<()> {
        let bytes = encode_f32(self.dtype, values).map_err(|error| io::Error::other(error.to_string()))?;
        out.write_all(&bytes)
    }
}

/// A matrix of so many columns, row by row, with rows and columns exchanged.
fn exchanged(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns.max(1);
    (0..values.len()).map(|i| values[i % rows * columns + i / rows]).collect()
}
