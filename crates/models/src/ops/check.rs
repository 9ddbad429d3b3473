//! Checks that run before burn sees a tensor: burn panics where these return an error.

use burn::tensor::Tensor;

use super::error::OpError;

/// Names the operator in every error it makes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check(pub(super) &'static str);

impl Check {
    /// `tensor` has exactly the extents `expected`.
    pub(super) fn shape<const D: usize>(
        self,
        argument: &'static str,
        tensor: &Tensor<D>,
        expected: [usize; D],
    ) -> Result<(), OpError> {
        if tensor.dims() == expected {
            return Ok(());
        }
        Err(self.shape_error(argument, tensor, format!("{expected:?}")))
    }

    /// The error for a tensor whose shape is not `expected`.
    pub(super) fn shape_error<const D: usize>(
        self,
        argument: &'static str,
        tensor: &Tensor<D>,
        expected: impl Into<String>,
    ) -> OpError {
        OpError::Shape { op: self.0, argument, expected: expected.into(), found: tensor.dims().to_vec() }
    }

    /// No axis of `tensor` is empty.
    pub(super) fn filled<const D: usize>(self, argument: &'static str, tensor: &Tensor<D>) -> Result<(), OpError> {
        if tensor.dims().contains(&0) {
            return Err(self.shape_error(argument, tensor, "at least 1 along every axis"));
        }
        Ok(())
    }

    /// `tensor` lies where `input` lies and holds the same element type.
    pub(super) fn alike<const D: usize, const E: usize>(
        self,
        argument: &'static str,
        tensor: &Tensor<D>,
        input: &Tensor<E>,
    ) -> Result<(), OpError> {
        let (here, there) = (input.device(), tensor.device());
        if here != there {
            let (expected, found) = (format!("{here:?}"), format!("{there:?}"));
            return Err(OpError::Device { op: self.0, argument, expected, found });
        }
        if tensor.dtype() == input.dtype() {
            return Ok(());
        }
        Err(OpError::Type {
            op: self.0,
            argument,
            expected: format!("{:?}", input.dtype()),
            found: format!("{:?}", tensor.dtype()),
        })
    }

    /// A vector of `len` elements of the input's type, such as a bias.
    pub(super) fn vector<const E: usize>(
        self,
        argument: &'static str,
        vector: &Tensor<1>,
        len: usize,
        input: &Tensor<E>,
    ) -> Result<(), OpError> {
        self.shape(argument, vector, [len])?;
        self.alike(argument, vector, input)
    }

    /// `value` is at least one and divides `total`, as a number of heads or groups must.
    pub(super) fn divides(self, argument: &'static str, value: usize, total: usize) -> Result<(), OpError> {
        if value != 0 && total.is_multiple_of(value) {
            return Ok(());
        }
        Err(self.argument(argument, format!("a divisor of {total}"), value))
    }

    /// The error for a number that is not `expected`.
    pub(super) fn argument(
        self,
        argument: &'static str,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> OpError {
        OpError::Argument { op: self.0, argument, expected: expected.into(), found: found.to_string() }
    }
}
