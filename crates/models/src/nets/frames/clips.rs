//! Frames of a batch as clips, and back.

use burn::tensor::Tensor;

/// `[clips · frames, channels, h, w]` to `[clips, channels, frames, h · w]`; the batch is a multiple of `frames`.
pub(crate) fn to_clips(x: Tensor<4>, frames: usize) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch / frames, frames, channels, height * width]).swap_dims(1, 2)
}

/// `[clips, channels, frames, h · w]` to `[clips · frames, channels, h, w]`.
pub(crate) fn to_frames(x: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [clips, channels, frames, _] = x.dims();
    x.swap_dims(1, 2).reshape([clips * frames, channels, height, width])
}
