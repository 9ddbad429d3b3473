//! Tensors held in memory by name. Knows bytes and shapes; reads no file.

use super::{decode::DecodeError, dtype::Dtype, info::TensorInfo, source::TensorSource};
use bytes::Bytes;
use indexmap::IndexMap;
use std::sync::Arc;

/// Tensors held in memory by name. For merged or converted weights, and for tests.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    label: String,
    tensors: IndexMap<String, (TensorInfo, Bytes)>,
}

impl MemorySource {
    /// An empty source; `label` is what messages call it.
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), tensors: IndexMap::new() }
    }

    /// Adds (or replaces) a tensor of f32.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when values and shape disagree.
    pub fn insert_f32(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
        values: Vec<f32>,
    ) -> Result<(), DecodeError> {
        self.insert(name, Dtype::F32, shape, Bytes::from_owner(F32Bytes(values)))
    }

    /// Adds (or replaces) a tensor by its stored bytes, little-endian.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when bytes and shape disagree.
    pub fn insert(
        &mut self,
        name: impl Into<String>,
        dtype: Dtype,
        shape: &[usize],
        bytes: impl Into<Bytes>,
    ) -> Result<(), DecodeError> {
        let bytes = bytes.into();
        let elements: usize = shape.iter().product();
        if dtype.bytes_for(elements) != Some(bytes.len()) {
            return Err(DecodeError::Length { dtype, elements, bytes: bytes.len() });
        }
        let info = TensorInfo { dtype, shape: shape.to_vec(), range: 0..bytes.len() };
        self.tensors.insert(name.into(), (info, bytes));
        Ok(())
    }
}

impl TensorSource for MemorySource {
    fn inner(&self) -> &[Arc<dyn TensorSource>] {
        &[]
    }

    fn label(&self) -> String {
        self.label.clone()
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name).map(|(info, _)| info)
    }

    fn slice(&self, name: &str) -> Option<Bytes> {
        self.tensors.get(name).map(|(_, bytes)| bytes.clone())
    }
}

/// f32 values seen as bytes, so that they can be shared.
struct F32Bytes(Vec<f32>);

impl AsRef<[u8]> for F32Bytes {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}
