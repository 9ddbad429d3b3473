//! Operators that only move pixels: nearest-neighbour resizing and the pixel shuffle.

use burn::tensor::{Int, Tensor, TensorData};

use super::{OpError, check::Check};

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
    let [_, _, from_height, from_width] = x.dims();
    let device = x.device();
    let indices = |from: usize, to: usize| {
        let sources: Vec<i64> = nearest_sources(from, to).into_iter().map(|i| i as i64).collect();
        Tensor::<1, Int>::from_data(TensorData::new(sources, [to]), &device)
    };
    let (rows, columns) = (indices(from_height, height), indices(from_width, width));
    Ok(x.select(2, rows).select(3, columns))
}

/// For each of `to` output positions the input position it shows.
fn nearest_sources(from: usize, to: usize) -> Vec<usize> {
    let scale = from as f32 / to as f32;
    (0..to).map(|i| ((i as f32 * scale).floor() as usize).min(from - 1)).collect()
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

#[cfg(test)]
mod tests {
    use super::nearest_sources;

    #[test]
    fn nearest_positions_are_those_of_torch() {
        assert_eq!(nearest_sources(2, 4), [0, 0, 1, 1]);
        assert_eq!(nearest_sources(3, 7), [0, 0, 0, 1, 1, 2, 2]);
        assert_eq!(nearest_sources(5, 3), [0, 1, 3]);
    }
}
