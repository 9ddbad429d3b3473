//! Resizing of tensors by the image operations of `kiln-models`, with errors that name the input.

use burn::tensor::Tensor;
use kiln_exec::NodeError;
pub(crate) use kiln_models::image::{Crop, Method};
use kiln_models::image::{Planes, common_upscale};

/// The method of that name.
pub(crate) fn method_named(name: &str) -> Result<Method, NodeError> {
    Ok(name.parse()?)
}

/// The way of cutting of that name.
pub(crate) fn crop_named(name: &str) -> Result<Crop, NodeError> {
    match name {
        "disabled" => Ok(Crop::Disabled),
        "center" => Ok(Crop::Center),
        other => Err(NodeError::new(format!("`crop` is `{other}`; it can be `disabled` or `center`"))),
    }
}

/// Resizes `[batch, channels, height, width]` to `[height, width]`.
pub(crate) fn resize(
    x: Tensor<4>,
    [height, width]: [usize; 2],
    method: Method,
    crop: Crop,
) -> Result<Tensor<4>, NodeError> {
    let device = x.device();
    Ok(common_upscale(&Planes::from_tensor(&x)?, width, height, method, crop)?.to_tensor(&device))
}

/// [`resize`], unless it has that size already.
pub(crate) fn fit(x: Tensor<4>, size: [usize; 2], method: Method, crop: Crop) -> Result<Tensor<4>, NodeError> {
    if x.dims()[2..] == size { Ok(x) } else { resize(x, size, method, crop) }
}

/// As many items as `batch`: repeated as a whole, then cut.
pub(crate) fn repeat_to(x: Tensor<4>, batch: usize) -> Tensor<4> {
    let count = x.dims()[0];
    if count == batch || count == 0 {
        return x;
    }
    x.repeat_dim(0, batch.div_ceil(count)).narrow(0, 0, batch)
}
