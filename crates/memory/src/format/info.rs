//! What a source knows of a tensor without its bytes. Knows no file.

use super::dtype::Dtype;
use std::ops::Range;

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
