//! A source seen under a network's own keys: renamed, cut into rows, reshaped or transposed, without a copy where the
//! bytes lie in order.
//!
//! Knows sources and key maps, no network.

use super::{
    decode::DecodeError,
    error::SourceError,
    info::TensorInfo,
    key_map::{KeyMap, Slice, TensorRef},
    source::TensorSource,
};
use bytes::Bytes;
use indexmap::IndexMap;
use std::{ops::Range, sync::Arc};

/// A source whose tensors are those of another, or parts of them, under a network's own keys.
pub struct RenamedSource {
    inner: Arc<dyn TensorSource>,
    tensors: IndexMap<String, TensorView>,
}

/// One key's tensor: which of the inner source's it is made of.
struct TensorView {
    tensor: String,
    part: Slice,
    info: TensorInfo,
}

impl RenamedSource {
    /// Keys whose tensor `inner` lacks, or whose part is outside of it, are left out: a network then reports them missing.
    pub fn new(inner: Arc<dyn TensorSource>, map: &KeyMap) -> Self {
        let seen = |(key, place): (&str, &TensorRef)| {
            let whole = inner.info(&place.tensor)?;
            let elements: usize = place.shape.iter().product();
            let bytes = whole.dtype.bytes_for(elements)?;
            let start = match place.part {
                Slice::Rows(start, _) => start * (bytes / place.shape.first().copied().unwrap_or(1).max(1)),
                _ => 0,
            };
            let range = start..start + bytes;
            let fits = range.end <= whole.bytes();
            let info = TensorInfo { dtype: whole.dtype, shape: place.shape.clone(), range };
            fits.then(|| (key.to_owned(), TensorView { tensor: place.tensor.clone(), part: place.part.clone(), info }))
        };
        let tensors = map.iter().filter_map(seen).collect();
        Self { inner, tensors }
    }

    fn seen(&self, name: &str) -> Result<&TensorView, SourceError> {
        self.tensors.get(name).ok_or_else(|| self.missing(name).into())
    }

    /// The whole tensor decoded, for parts whose bytes are not in order.
    fn whole(&self, seen: &TensorView) -> Result<Vec<f32>, SourceError> {
        let elements = self.inner.info(&seen.tensor).map_or(0, TensorInfo::elements);
        let mut values = vec![0.0; elements];
        self.inner.read_f32(&seen.tensor, &mut values)?;
        Ok(values)
    }
}

impl TensorSource for RenamedSource {
    fn inner(&self) -> &[Arc<dyn TensorSource>] {
        std::slice::from_ref(&self.inner)
    }

    fn label(&self) -> String {
        self.inner.label()
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name).map(|seen| &seen.info)
    }

    fn slice(&self, name: &str) -> Option<Bytes> {
        let seen = self.tensors.get(name)?;
        let bytes = self.inner.slice(&seen.tensor)?;
        match seen.part {
            Slice::Whole | Slice::Reshaped => Some(bytes),
            Slice::Rows(..) => bytes.get(seen.info.range.clone()).map(|part| bytes.slice_ref(part)),
            Slice::Transposed => None,
        }
    }

    fn read_f32(&self, name: &str, out: &mut [f32]) -> Result<(), SourceError> {
        let seen = self.seen(name)?;
        if seen.info.elements() != out.len() {
            let (dtype, elements, bytes) = (seen.info.dtype, out.len(), seen.info.bytes());
            let error = DecodeError::Length { dtype, elements, bytes };
            return Err(SourceError::Decode { tensor: seen.tensor.clone(), error });
        }
        match seen.part {
            Slice::Whole | Slice::Reshaped => self.inner.read_f32(&seen.tensor, out),
            Slice::Rows(start, _) => {
                let row = out.len() / seen.info.shape.first().copied().unwrap_or(1).max(1);
                self.inner.read_part(&seen.tensor, start * row..start * row + out.len(), out)
            }
            Slice::Transposed => {
                let (whole, columns) = (self.whole(seen)?, seen.info.shape.first().copied().unwrap_or(1));
                let rows = out.len() / columns.max(1);
                out.iter_mut().enumerate().for_each(|(i, v)| *v = whole[(i % rows) * columns + i / rows]);
                Ok(())
            }
        }
    }

    fn read_part(&self, name: &str, elements: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        let seen = self.seen(name)?;
        let first = match seen.part {
            Slice::Whole | Slice::Reshaped => 0,
            Slice::Rows(start, _) => {
                start * (seen.info.elements() / seen.info.shape.first().copied().unwrap_or(1).max(1))
            }
            Slice::Transposed => {
                let mut whole = vec![0.0; seen.info.elements()];
                self.read_f32(name, &mut whole)?;
                out.copy_from_slice(&whole[elements]);
                return Ok(());
            }
        };
        self.inner.read_part(&seen.tensor, first + elements.start..first + elements.end, out)
    }

    fn scale(&self, name: &str) -> Result<Option<f32>, SourceError> {
        self.inner.scale(&self.seen(name)?.tensor)
    }

    fn touch(&self, name: &str, bytes: Range<usize>) -> Result<(), SourceError> {
        let seen = self.seen(name)?;
        let start = seen.info.range.start;
        self.inner.touch(&seen.tensor, start + bytes.start..start + bytes.end)
    }

    fn done_with(&self, name: &str) {
        // A part of a tensor is followed by its other parts: only the last one lets the tensor go.
        if let Some(seen) = self.tensors.get(name) {
            let last = self.inner.info(&seen.tensor).is_some_and(|whole| seen.info.range.end == whole.bytes());
            if last || !matches!(seen.part, Slice::Rows(..)) {
                self.inner.done_with(&seen.tensor);
            }
        }
    }
}
