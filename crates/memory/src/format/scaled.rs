//! Files of narrow numbers with a scale beside each weight: the weight is the stored number times the scale.
//!
//! Knows the names that such files use. Where the scale is one number, it holds for the whole weight; a list of as many
//! numbers as the weight has rows holds row by row. Scales of inputs are for processors that multiply narrow numbers, and
//! are left out.

use super::{decode::DecodeError, error::SourceError, info::TensorInfo, source::TensorSource};
use bytes::Bytes;
use indexmap::IndexMap;
use std::{ops::Range, sync::Arc};

/// Endings of scales, in place of a weight's `.weight`.
const SCALES: [&str; 2] = [".scale_weight", ".weight_scale"];
/// Endings of what is for other processors.
const INPUTS: [&str; 2] = [".scale_input", ".input_scale"];
/// The mark of such a file; its own type names the weights'.
const MARK: &str = "scaled_fp8";

/// The source itself, or, where it has scales, its weights with their scales.
pub fn apply_scales(source: Arc<dyn TensorSource>) -> Arc<dyn TensorSource> {
    let names = source.names();
    let scale = |name: &&str| {
        let stem = SCALES.iter().find_map(|end| name.strip_suffix(end))?;
        let weight = format!("{stem}.weight");
        source.info(&weight)?;
        Some((weight, (*name).to_owned()))
    };
    let scales: IndexMap<String, String> = names.iter().filter_map(scale).collect();
    if scales.is_empty() && !names.iter().any(|name| is_mark(name)) {
        return source;
    }
    Arc::new(Scaled { scales, inner: source })
}

fn is_mark(name: &str) -> bool {
    name.strip_suffix(MARK).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('.'))
}

/// A source whose weights are multiplied by their scales.
struct Scaled {
    inner: Arc<dyn TensorSource>,
    /// The scale of each weight that has one.
    scales: IndexMap<String, String>,
}

impl Scaled {
    fn hides(&self, name: &str) -> bool {
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        is_mark(name) || ends(&INPUTS) || (ends(&SCALES) && self.scales.values().any(|scale| scale == name))
    }

    /// Multiplies elements of a weight, from number `first` on, by its scale.
    fn scaled(&self, name: &str, first: usize, out: &mut [f32]) -> Result<(), SourceError> {
        let (Some(scale), Some(weight)) = (self.scales.get(name), self.inner.info(name)) else { return Ok(()) };
        let scale = self.factors(scale, weight)?;
        let row = (weight.elements() / scale.len().max(1)).max(1);
        out.iter_mut().enumerate().for_each(|(i, v)| *v *= scale[(first + i) / row]);
        Ok(())
    }

    fn factors(&self, name: &str, weight: &TensorInfo) -> Result<Vec<f32>, SourceError> {
        let elements = self.inner.info(name).map_or(0, TensorInfo::elements);
        let rows = weight.shape.first().copied().unwrap_or(1);
        if elements != 1 && elements != rows {
            let (dtype, bytes) = (weight.dtype, elements * 4);
            let error = DecodeError::Length { dtype, elements: rows, bytes };
            return Err(SourceError::Decode { tensor: name.to_owned(), error });
        }
        let mut values = vec![0.0; elements];
        self.inner.read_f32(name, &mut values)?;
        Ok(values)
    }
}

impl TensorSource for Scaled {
    fn inner(&self) -> &[Arc<dyn TensorSource>] {
        std::slice::from_ref(&self.inner)
    }

    fn label(&self) -> String {
        self.inner.label()
    }

    fn names(&self) -> Vec<&str> {
        self.inner.names().into_iter().filter(|name| !self.hides(name)).collect()
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        if self.hides(name) { None } else { self.inner.info(name) }
    }

    /// The bytes of a weight with a scale mean nothing alone.
    fn slice(&self, name: &str) -> Option<Bytes> {
        if self.hides(name) || self.scales.contains_key(name) { None } else { self.inner.slice(name) }
    }

    fn read_f32(&self, name: &str, out: &mut [f32]) -> Result<(), SourceError> {
        self.inner.read_f32(name, out)?;
        self.scaled(name, 0, out)
    }

    fn read_part(&self, name: &str, elements: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        let first = elements.start;
        self.inner.read_part(name, elements, out)?;
        self.scaled(name, first, out)
    }

    fn scale(&self, name: &str) -> Result<Option<f32>, SourceError> {
        let (Some(scale), Some(weight)) = (self.scales.get(name), self.inner.info(name)) else { return Ok(None) };
        let factors = self.factors(scale, weight)?;
        Ok(if let [factor] = factors.as_slice() { Some(*factor) } else { None })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::format::{Dtype, MemorySource};

    fn read(source: &dyn TensorSource, name: &str, count: usize) -> Vec<f32> {
        let mut values = vec![0.0; count];
        source.read_f32(name, &mut values).unwrap();
        values
    }

    /// 1, 2, -1.5 and 448 as e4m3fn.
    const BYTES: [u8; 4] = [0x38, 0x40, 0xbc, 0x7e];

    fn source(scale: &str, values: Vec<f32>) -> Arc<dyn TensorSource> {
        let mut source = MemorySource::new("scaled");
        source.insert("a.weight", Dtype::F8E4M3, &[2, 2], BYTES.to_vec()).unwrap();
        source.insert_f32(scale, &[values.len()], values).unwrap();
        source.insert_f32("a.scale_input", &[1], vec![9.0]).unwrap();
        source.insert("b.weight", Dtype::F8E4M3, &[4], BYTES.to_vec()).unwrap();
        source.insert("scaled_fp8", Dtype::F8E4M3, &[0], Vec::new()).unwrap();
        apply_scales(Arc::new(source))
    }

    #[test]
    fn a_weight_is_its_number_times_its_scale_and_scales_are_no_tensors() {
        for name in ["a.scale_weight", "a.weight_scale"] {
            let source = source(name, vec![0.25]);
            assert_eq!(source.names(), ["a.weight", "b.weight"]);
            assert_eq!(read(&*source, "a.weight", 4), [0.25, 0.5, -0.375, 112.0]);
            assert_eq!(read(&*source, "b.weight", 4), [1.0, 2.0, -1.5, 448.0]);
            assert!(source.slice("a.weight").is_none() && source.slice("b.weight").is_some());
        }
    }

    #[test]
    fn scales_may_go_row_by_row_and_no_other_way() {
        assert_eq!(read(&*source("a.weight_scale", vec![2.0, 0.5]), "a.weight", 4), [2.0, 4.0, -0.75, 224.0]);
        let mut part = [0.0; 2];
        source("a.weight_scale", vec![2.0, 0.5]).read_part("a.weight", 1..3, &mut part).unwrap();
        assert_eq!(part, [4.0, -0.75]);
        let error = source("a.weight_scale", vec![1.0; 3]).read_f32("a.weight", &mut [0.0; 4]).unwrap_err();
        assert!(error.to_string().contains("a.weight_scale"), "{error}");
    }

    #[test]
    fn a_file_without_scales_is_left_as_it_is() {
        let mut plain = MemorySource::new("plain");
        plain.insert_f32("a.weight", &[1], vec![1.0]).unwrap();
        let plain: Arc<dyn TensorSource> = Arc::new(plain);
        assert!(Arc::ptr_eq(&plain, &apply_scales(plain.clone())));
    }
}
