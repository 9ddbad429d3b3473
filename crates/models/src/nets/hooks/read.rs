//! Activations read back from their device.

use burn::tensor::Tensor;

use crate::error::ModelError;

/// The values of a tensor, row-major.
pub(super) fn read<const D: usize>(x: &Tensor<D>) -> Result<Vec<f32>, ModelError> {
    let unreadable = |error: String| ModelError::Unrecognised {
        what: "an activation".into(),
        detail: format!("it can't be read from its device: {error}"),
    };
    x.try_to_vec_as::<f32>().map_err(|error| unreadable(error.to_string()))
}
