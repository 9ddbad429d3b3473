//! A source seen under a network's own keys: renamed, cut into rows, joined, reshaped or transposed, without a copy where
//! the bytes lie in order.
//!
//! Knows sources and key maps, no network.

use super::{
    decode::DecodeError,
    dtype::Dtype,
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
            if matches!(place.part, Slice::Joined(_)) {
                return joined(&*inner, place).map(|view| (key.to_owned(), view));
            }
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

    /// Reads the parts of a joined tensor one after the other.
    fn read_joined(&self, parts: &[&str], mut out: &mut [f32]) -> Result<(), SourceError> {
        for part in parts {
            let elements = self.inner.info(part).map_or(0, TensorInfo::elements).min(out.len());
            let (own, rest) = out.split_at_mut(elements);
            self.inner.read_f32(part, own)?;
            out = rest;
        }
        Ok(())
    }
}

impl TensorView {
    /// Every tensor that it takes something of.
    fn tensors(&self) -> Vec<&str> {
        let more: &[String] = if let Slice::Joined(more) = &self.part { more } else { &[] };
        std::iter::once(&self.tensor).chain(more).map(String::as_str).collect()
    }
}

/// A tensor made of the rows of several; in f32 where they are stored differently. Nothing unless all of them are there and
/// make up its shape.
fn joined(inner: &dyn TensorSource, place: &TensorRef) -> Option<TensorView> {
    let parts = place.tensors().map(|name| inner.info(name)).collect::<Option<Vec<_>>>()?;
    let elements: usize = place.shape.iter().product();
    if parts.iter().map(|part| part.elements()).sum::<usize>() != elements {
        return None;
    }
    let first = parts.first()?.dtype;
    let dtype = if parts.iter().all(|part| part.dtype == first) { first } else { Dtype::F32 };
    let range = 0..dtype.bytes_for(elements)?;
    let info = TensorInfo { dtype, shape: place.shape.clone(), range };
    Some(TensorView { tensor: place.tensor.clone(), part: place.part.clone(), info })
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
            Slice::Transposed | Slice::Joined(_) | Slice::Swapped => None,
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
            Slice::Joined(_) => self.read_joined(&seen.tensors(), out),
            Slice::Swapped => {
                self.inner.read_f32(&seen.tensor, out)?;
                out.rotate_left(out.len() / 2);
                Ok(())
            }
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
            Slice::Transposed | Slice::Joined(_) | Slice::Swapped => {
                let mut whole = vec![0.0; seen.info.elements()];
                self.read_f32(name, &mut whole)?;
                out.copy_from_slice(&whole[elements]);
                return Ok(());
            }
        };
        self.inner.read_part(&seen.tensor, first + elements.start..first + elements.end, out)
    }

    fn scale(&self, name: &str) -> Result<Option<f32>, SourceError> {
        let mut scales = self.seen(name)?.tensors().into_iter().map(|tensor| self.inner.scale(tensor));
        let Some(first) = scales.next().transpose()?.flatten() else { return Ok(None) };
        // Parts with scales of their own have none in common.
        let same = scales.try_fold(true, |same, scale| Ok::<_, SourceError>(same && scale? == Some(first)))?;
        Ok(same.then_some(first))
    }

    fn touch(&self, name: &str, bytes: Range<usize>) -> Result<(), SourceError> {
        let seen = self.seen(name)?;
        if matches!(seen.part, Slice::Joined(_)) {
            let whole = |tensor: &str| 0..self.inner.info(tensor).map_or(0, TensorInfo::bytes);
            return seen.tensors().into_iter().try_for_each(|tensor| self.inner.touch(tensor, whole(tensor)));
        }
        let start = seen.info.range.start;
        self.inner.touch(&seen.tensor, start + bytes.start..start + bytes.end)
    }

    fn done_with(&self, name: &str) {
        // A part of a tensor is followed by its other parts: only the last one lets the tensor go.
        if let Some(seen) = self.tensors.get(name) {
            if matches!(seen.part, Slice::Joined(_)) {
                return seen.tensors().into_iter().for_each(|tensor| self.inner.done_with(tensor));
            }
            let last = self.inner.info(&seen.tensor).is_some_and(|whole| seen.info.range.end == whole.bytes());
            if last || !matches!(seen.part, Slice::Rows(..)) {
                self.inner.done_with(&seen.tensor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::format::MemorySource;

    fn place(tensor: &str, part: Slice, shape: &[usize]) -> TensorRef {
        TensorRef { tensor: tensor.into(), part, shape: shape.to_vec() }
    }

    fn read(source: &dyn TensorSource, name: &str, count: usize) -> Vec<f32> {
        let mut values = vec![0.0; count];
        source.read_f32(name, &mut values).unwrap();
        values
    }

    #[test]
    fn parts_are_joined_row_by_row_and_halves_change_places() {
        let mut inner = MemorySource::new("parts");
        inner.insert_f32("q", &[1, 2], vec![1.0, 2.0]).unwrap();
        inner.insert_f32("k", &[2, 2], vec![3.0, 4.0, 5.0, 6.0]).unwrap();
        inner.insert("h", Dtype::F16, &[1, 2], vec![0x00, 0x3c, 0x00, 0x40]).unwrap();
        let mut map = KeyMap::default();
        map.insert("qk", place("q", Slice::Joined(vec!["k".into()]), &[3, 2]));
        map.insert("mixed", place("h", Slice::Joined(vec!["q".into()]), &[2, 2]));
        map.insert("swapped", place("k", Slice::Swapped, &[2, 2]));
        map.insert("too short", place("q", Slice::Joined(vec!["k".into()]), &[4, 2]));
        map.insert("lost", place("q", Slice::Joined(vec!["v".into()]), &[3, 2]));
        let source = RenamedSource::new(Arc::new(inner), &map);
        assert_eq!(source.names(), ["qk", "mixed", "swapped"]);
        assert_eq!(read(&source, "qk", 6), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(read(&source, "swapped", 4), [5.0, 6.0, 3.0, 4.0]);
        assert_eq!(
            (read(&source, "mixed", 4), source.info("mixed").unwrap().dtype),
            (vec![1.0, 2.0, 1.0, 2.0], Dtype::F32)
        );
        let mut part = [0.0; 3];
        source.read_part("qk", 1..4, &mut part).unwrap();
        assert_eq!(part, [2.0, 3.0, 4.0]);
        assert!(source.slice("qk").is_none() && source.scale("qk").unwrap().is_none());
        source.touch("qk", 0..24).unwrap();
        source.done_with("qk");
    }
}
