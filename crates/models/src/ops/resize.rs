//! Operators that only move pixels: nearest-neighbour resizing and the pixel shuffle.

use burn::tensor::{Int, Tensor, TensorData};

use super::{
    check::Check,
    error::OpError,
    flat::{self, Flat},
};

/// Resizes to `height` x `width`: output pixel `i` shows input pixel `floor(i · (in / out))`, the quotient rounded to
/// f32 first, which is torch's mode `nearest`.
///
/// # Shapes
/// `x` `[batch, channels, h, w]`; returns `[batch, channels, height, width]`.
/// # Errors
/// [`OpError`] when a size is 0.
pub fn upsample_nearest(x: Tensor<4>, height: usize, width: usize) -> Result<Tensor<4>, OpError> {
    let check = Check("upsample_nearest");
    check.filled("x", &x)?;
    if height == 0 || width == 0 {
        return Err(check.argument("height and width", "at least 1", format!("{height} x {width}")));
    }
    let [batch, channels, from_height, from_width] = x.dims();
    let x = match Flat::take(x) {
        Ok(x) => x,
        Err(x) => return Ok(stock(x, height, width)),
    };
    let mut out = vec![0.0; batch * channels * height * width];
    kiln_kernels::nearest([from_height, from_width], [height, width], x.as_slice(), &mut out)?;
    Ok(flat::tensor(out, [batch, channels, height, width]))
}

pub(super) fn stock(x: Tensor<4>, height: usize, width: usize) -> Tensor<4> {
    let ([_, _, from_height, from_width], device) = (x.dims(), x.device());
    let indices = |from: usize, to: usize| {
        let scale = from as f32 / to as f32;
        let sources: Vec<i64> = (0..to).map(|i| ((i as f32 * scale) as i64).min(from as i64 - 1)).collect();
        Tensor::<1, Int>::from_data(TensorData::new(sources, [to]), &device)
    };
    let (rows, columns) = (indices(from_height, height), indices(from_width, width));
    x.select(2, rows).select(3, columns)
}

/// Moves channels into space: channel `c · r² + i · r + j` becomes pixel `(i, j)` of each `r` x `r` block of channel `c`.
///
/// # Shapes
/// `x` `[batch, channels · r², h, w]`; returns `[batch, channels, h · r, w · r]`.
/// # Errors
/// [`OpError`] when `r²` does not divide the channels or an axis is empty.
pub fn pixel_shuffle(x: Tensor<4>, r: usize) -> Result<Tensor<4>, OpError> {
    let check = Check("pixel_shuffle");
    check.filled("x", &x)?;
    let [batch, channels, height, width] = x.dims();
    check.divides("r", r, channels)?;
    check.divides("r", r, channels / r)?;
    let channels = channels / (r * r);
    let blocks = x.reshape([batch, channels, r, r, height, width]).permute([0, 1, 4, 2, 5, 3]);
    Ok(blocks.reshape([batch, channels, height * r, width * r]))
}

/// Moves space into channels, as [`pixel_shuffle`] moves it back: pixel `(i, j)` of each `r` x `r` block of channel `c`
/// becomes channel `c · r² + i · r + j`.
///
/// # Shapes
/// `x` `[batch, channels, h, w]`; returns `[batch, channels · r², h / r, w / r]`.
/// # Errors
/// [`OpError`] when `r` does not divide both sides or an axis is empty.
pub fn pixel_unshuffle(x: Tensor<4>, r: usize) -> Result<Tensor<4>, OpError> {
    let check = Check("pixel_unshuffle");
    check.filled("x", &x)?;
    let [batch, channels, height, width] = x.dims();
    check.divides("r", r, height)?;
    check.divides("r", r, width)?;
    let (rows, columns) = (height / r, width / r);
    let blocks = x.reshape([batch, channels, rows, r, columns, r]).permute([0, 1, 3, 5, 2, 4]);
    Ok(blocks.reshape([batch, channels * r * r, rows, columns]))
}
