//! Why an adapter can't be applied to a weight.

use super::matrix::Matrix;

/// Why an adapter can't be applied to a weight. The weight stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// A tensor of the adapter doesn't fit the weight.
    #[error("its tensor `{tensor}` {found:?} doesn't fit a weight of {weight:?} (a LoRA for another model?)")]
    Shape {
        /// The tensor, by its ending in the file.
        tensor: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The weight's shape.
        weight: Vec<usize>,
    },
    /// The adapter's own tensors don't fit each other.
    #[error("the {kind} factors don't fit each other")]
    Factors {
        /// The kind of adapter.
        kind: &'static str,
    },
    /// A tensor of the adapter could not be read.
    #[error("{0}")]
    Read(String),
}

/// The error of a tensor that doesn't fit the weight.
pub(super) fn shape_error(tensor: &'static str, found: &Matrix, weight: &Matrix) -> AdapterError {
    AdapterError::Shape { tensor, found: found.shape.clone(), weight: weight.shape.clone() }
}
