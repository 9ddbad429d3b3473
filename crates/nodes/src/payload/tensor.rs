//! What payloads ask of a tensor: its bytes, and its values on the host. Knows no socket type.

use burn::tensor::Tensor;
use kiln_exec::NodeError;

/// Bytes of a tensor's values.
pub fn tensor_bytes<const D: usize>(x: &Tensor<D>) -> u64 {
    (x.dims().iter().product::<usize>() * x.dtype().size()) as u64
}

/// A tensor's values on the host, row-major, in f32.
pub(crate) fn values<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>, NodeError> {
    let dims = x.dims();
    let data = x.try_into_data().map_err(|e| NodeError::new(format!("reading a tensor {dims:?} failed: {e:?}")))?;
    data.convert::<f32>()
        .try_to_vec::<f32>()
        .map_err(|e| NodeError::new(format!("a tensor {dims:?} does not hold numbers: {e:?}")))
}

/// Whether `found` values make a tensor of `dims`.
pub(super) fn check_count(found: usize, dims: &[usize]) -> Result<(), NodeError> {
    if found == dims.iter().product::<usize>() {
        return Ok(());
    }
    Err(NodeError::new(format!("{found} values do not make a tensor {dims:?}")))
}
