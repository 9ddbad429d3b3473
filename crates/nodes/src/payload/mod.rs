//! Payloads: what travels over links besides numbers and text. Socket types are ComfyUI's.
//!
//! Each knows its bytes, so that runs can be held to a budget. None knows a node.

mod image;
mod latent;
mod mask;
mod model;
mod sampling;

pub use image::Image;
pub use latent::Latent;
pub use mask::Mask;
pub use model::{Clip, Conditioning, Model, PerpNegative, UpscaleModel, Vae};
pub use sampling::{Guider, Noise, Sampler, Sigmas};

use burn::tensor::Tensor;
use kiln_exec::NodeError;

/// Bytes of a tensor's values.
pub(crate) fn tensor_bytes<const D: usize>(x: &Tensor<D>) -> u64 {
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

fn check_count(found: usize, dims: &[usize]) -> Result<(), NodeError> {
    if found == dims.iter().product::<usize>() {
        return Ok(());
    }
    Err(NodeError::new(format!("{found} values do not make a tensor {dims:?}")))
}
