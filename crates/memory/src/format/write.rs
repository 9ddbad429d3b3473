//! A safetensors file written piece by piece: the header first, then each tensor's bytes in turn. Knows no source.

use std::io::{self, Write};

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::dtype::Dtype;

/// A tensor to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its name.
    pub name: String,
    /// How its numbers are stored; GGUF's block types can't be.
    pub dtype: Dtype,
    /// Its dimensions, outermost first; none for a scalar.
    pub shape: Vec<usize>,
}

impl Outgoing {
    /// Its size in bytes; `None` when the shape doesn't fit the type's blocks.
    pub fn bytes(&self) -> Option<usize> {
        self.dtype.bytes_for(self.shape.iter().product())
    }
}

/// Writes a file of `tensors`, in this order. `fill` is asked for each tensor's bytes, little-endian.
///
/// Wider types should come before narrower ones, so that every tensor starts at a multiple of its width.
///
/// # Errors
/// Of the writer and of `fill`; `InvalidInput` naming a tensor that safetensors can't hold or that `fill` gave another
/// number of bytes for.
pub fn write_safetensors(
    out: &mut dyn Write,
    metadata: &IndexMap<String, String>,
    tensors: &[Outgoing],
    mut fill: impl FnMut(usize, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let header = header(metadata, tensors)?;
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (i, tensor) in tensors.iter().enumerate() {
        let mut counted = Counted { inner: out, bytes: 0 };
        fill(i, &mut counted)?;
        if Some(counted.bytes) != tensor.bytes() {
            let found = counted.bytes;
            return Err(refused(tensor, &format!("{found} bytes were given for {:?}", tensor.shape)));
        }
    }
    Ok(())
}

/// The header as JSON, with blanks up to a multiple of 8.
fn header(metadata: &IndexMap<String, String>, tensors: &[Outgoing]) -> io::Result<Vec<u8>> {
    let mut entries = Map::new();
    if !metadata.is_empty() {
        entries.insert("__metadata__".to_owned(), json!(metadata));
    }
    let mut at = 0usize;
    for tensor in tensors {
        let held = Dtype::from_safetensors(tensor.dtype.name()).and_then(|_| tensor.bytes());
        let end = held.and_then(|bytes| at.checked_add(bytes));
        let end = end.ok_or_else(|| refused(tensor, &format!("{} {:?} can't be held", tensor.dtype, tensor.shape)))?;
        let entry = json!({"dtype": tensor.dtype.name(), "shape": tensor.shape, "data_offsets": [at, end]});
        if entries.insert(tensor.name.clone(), entry).is_some() {
            return Err(refused(tensor, "there are two of this name"));
        }
        at = end;
    }
    let mut text = Value::Object(entries).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    Ok(text)
}

fn refused(tensor: &Outgoing, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("tensor `{}`: {what}", tensor.name))
}

struct Counted<'a> {
    inner: &'a mut dyn Write,
    bytes: usize,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::format::TensorSource;

    fn outgoing(name: &str, dtype: Dtype, shape: &[usize]) -> Outgoing {
        Outgoing { name: name.to_owned(), dtype, shape: shape.to_vec() }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let tensors = [
            outgoing("a", Dtype::F32, &[2]),
            outgoing("scalar", Dtype::F32, &[]),
            outgoing("b", Dtype::F16, &[1, 3]),
            outgoing("marker", Dtype::F16, &[0]),
        ];
        let metadata = IndexMap::from([("prompt".to_owned(), "{\"é\": 1}".to_owned())]);
        let bytes: [&[u8]; 4] = [&[0, 0, 128, 63, 0, 0, 0, 64], &[0, 0, 0, 63], &[0, 60, 0, 64, 0, 66], &[]];
        let mut file = Vec::new();
        write_safetensors(&mut file, &metadata, &tensors, |i, out| out.write_all(bytes[i])).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        std::fs::write(&path, file).unwrap();
        let file = crate::WeightFile::open(&path).unwrap();
        let read = |name: &str, count: usize| {
            let mut values = vec![0f32; count];
            file.read_f32(name, &mut values).unwrap();
            values
        };
        assert_eq!((read("a", 2), read("scalar", 1), read("b", 3)), (vec![1.0, 2.0], vec![0.5], vec![1.0, 2.0, 3.0]));
        assert_eq!(file.get("marker").unwrap().shape, [0]);
        assert_eq!(file.metadata().get("prompt").map(String::as_str), Some("{\"é\": 1}"));
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_tensor() {
        let mut out = Vec::new();
        let mut write = |tensors: &[Outgoing]| {
            write_safetensors(&mut out, &IndexMap::new(), tensors, |_, out| out.write_all(&[0; 4]))
                .unwrap_err()
                .to_string()
        };
        assert!(write(&[outgoing("two", Dtype::F32, &[2])]).contains("`two`: 4 bytes were given"));
        assert!(write(&[outgoing("block", Dtype::Q8_0, &[32])]).contains("`block`: Q8_0 [32] can't be held"));
        let one = outgoing("one", Dtype::F32, &[1]);
        assert!(write(&[one.clone(), one]).contains("two of this name"));
    }
}
