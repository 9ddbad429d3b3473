//! What an operator returns when its arguments do not fit. Knows shapes and names, no tensors.

use kiln_kernels::KernelError;

/// Why an operator of [`ops`](crate::ops) was not run. Nothing has been computed when it is returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// A tensor has another shape than the other arguments ask for.
    #[error("{op}: {argument} should be {expected}, found {found:?}")]
    Shape {
        /// The operator, as the function is called.
        op: &'static str,
        /// The wrong argument, as the parameter is called.
        argument: &'static str,
        /// What would have fitted, e.g. `[4, 320]`.
        expected: String,
        /// The shape that came.
        found: Vec<usize>,
    },
    /// A plain number is outside of what the operator can do.
    #[error("{op}: {argument} should be {expected}, found {found}")]
    Argument {
        /// The operator, as the function is called.
        op: &'static str,
        /// The wrong argument, as the parameter is called.
        argument: &'static str,
        /// What would have fitted, in words.
        expected: String,
        /// The value that came.
        found: String,
    },
    /// Tensors that meet in one operator lie on different devices. Move one of them first.
    #[error("{op}: {argument} should lie on {expected} as the input does, found {found}")]
    Device {
        /// The operator, as the function is called.
        op: &'static str,
        /// The wrong argument, as the parameter is called.
        argument: &'static str,
        /// Where the operator's input lies.
        expected: String,
        /// Where the argument lies.
        found: String,
    },
    /// A CPU kernel refused what the operator gave it: the operator's own checks let something through.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// Tensors that meet in one operator have different element types. Cast one of them first.
    #[error("{op}: {argument} should hold {expected} as the input does, found {found}")]
    Type {
        /// The operator, as the function is called.
        op: &'static str,
        /// The wrong argument, as the parameter is called.
        argument: &'static str,
        /// The element type of the operator's input.
        expected: String,
        /// The element type of the argument.
        found: String,
    },
}
