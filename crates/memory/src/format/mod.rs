//! Weight files: one map, many named tensors. Knows formats; knows no budget and no device.

mod gguf;
mod mapped;
mod safetensors;
mod sharded;
mod sniff;

pub use mapped::{Identity, MappedFile};
pub use sharded::{ShardedFile, open_weights};

use crate::{Dtype, FormatError, MissingTensor};
use indexmap::IndexMap;
use std::{ops::Range, path::Path, sync::Arc};

/// Where a tensor lies in its file and what its bytes mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// How its numbers are stored.
    pub dtype: Dtype,
    /// Its dimensions, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its bytes, counted from the start of the file (for sources without a file: from 0).
    pub range: Range<usize>,
}

impl TensorInfo {
    /// The number of elements; 1 for a scalar, 0 if a dimension is 0.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Its size as stored.
    pub fn bytes(&self) -> usize {
        self.range.len()
    }
}

/// A checkpoint opened by pointer: a map of the file and its checked header. Opening costs the header and no more.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.safetensors");
/// # let header = r#"{"bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
/// # let mut file = (header.len() as u64).to_le_bytes().to_vec();
/// # file.extend(header.bytes());
/// # file.extend([1.0f32, 2.0].iter().flat_map(|v| v.to_le_bytes()));
/// # std::fs::write(&path, file)?;
/// let file = kiln_memory::WeightFile::open(&path)?;
/// assert_eq!(file.get("bias").map(|t| t.shape.as_slice()), Some(&[2][..]));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct WeightFile {
    file: MappedFile,
    tensors: IndexMap<String, TensorInfo>,
    metadata: IndexMap<String, String>,
}

impl WeightFile {
    /// Maps a safetensors or GGUF file and checks its header.
    ///
    /// # Errors
    /// [`FormatError`], with the file and the byte: unreadable, not a weight file, truncated, or a header that
    /// contradicts itself or the file.
    pub fn open(path: impl AsRef<Path>) -> Result<Arc<Self>, FormatError> {
        let file = MappedFile::open(path)?;
        let parse = if file.bytes().starts_with(gguf::MAGIC) { gguf::parse } else { safetensors::parse };
        let header = parse(file.bytes()).map_err(|p| FormatError::new(file.path(), p))?;
        Ok(Arc::new(Self { file, tensors: header.tensors, metadata: header.metadata }))
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The map below.
    pub fn mapped(&self) -> &MappedFile {
        &self.file
    }

    /// All tensor names, in the header's order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// All tensors, in the header's order.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &TensorInfo)> {
        self.tensors.iter().map(|(name, info)| (name.as_str(), info))
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// The file's free-form metadata: safetensors' `__metadata__`, GGUF's key-value pairs as text.
    pub fn metadata(&self) -> &IndexMap<String, String> {
        &self.metadata
    }

    /// The bytes of a tensor, straight from the map.
    ///
    /// # Errors
    /// [`MissingTensor`], with the closest name that exists.
    pub fn bytes(&self, name: &str) -> Result<&[u8], MissingTensor> {
        match self.get(name) {
            Some(info) => Ok(&self.file.bytes()[info.range.clone()]),
            None => Err(MissingTensor::new(name, self.path().display().to_string(), self.names())),
        }
    }
}
