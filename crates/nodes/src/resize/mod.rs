//! Resizing planes as PyTorch and Pillow do, so that pictures come out as ComfyUI's.
//!
//! Knows planes of numbers on the host. Knows no node.

mod bislerp;
mod lanczos;
mod taps;

use burn::tensor::{Tensor, TensorData};
use kiln_exec::NodeError;

use crate::files::nearest;
use crate::payload::values;
use taps::{Taps, apply};

/// Most values that one resize may make: 64 GiB in f32.
const MAX_VALUES: u128 = 1 << 34;

/// How values in between are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// The nearest value, centres aligned.
    NearestExact,
    /// Two neighbours per axis.
    Bilinear,
    /// The mean of what the new value covers.
    Area,
    /// Four neighbours per axis, A = -0.75.
    Bicubic,
    /// Pillow's filter, on bytes.
    Lanczos,
    /// Directions and lengths of channel vectors apart.
    Bislerp,
}

impl Method {
    const ALL: [(&'static str, Self); 6] = [
        ("nearest-exact", Self::NearestExact),
        ("bilinear", Self::Bilinear),
        ("area", Self::Area),
        ("bicubic", Self::Bicubic),
        ("lanczos", Self::Lanczos),
        ("bislerp", Self::Bislerp),
    ];

    /// The method of that name.
    pub(crate) fn named(name: &str) -> Result<Self, NodeError> {
        named("upscale_method", name, &Self::ALL)
    }
}

/// Whether to cut the middle out first, so that the sides keep their ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crop {
    /// Distort if need be.
    Disabled,
    /// Cut.
    Center,
}

impl Crop {
    /// The way of that name.
    pub(crate) fn named(name: &str) -> Result<Self, NodeError> {
        named("crop", name, &[("disabled", Self::Disabled), ("center", Self::Center)])
    }
}

fn named<T: Copy>(input: &str, name: &str, all: &[(&'static str, T)]) -> Result<T, NodeError> {
    all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).ok_or_else(|| {
        let near = nearest(name, all.iter().map(|(known, _)| *known));
        let hint = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
        NodeError::new(format!("`{input}` is `{name}`, which does not exist{hint}"))
    })
}

/// Resizes `[batch, channels, height, width]` to `[height, width]`.
///
/// # Errors
/// When a side would be 0, or the result too large for any memory.
pub(crate) fn resize(
    x: Tensor<4>,
    [height, width]: [usize; 2],
    method: Method,
    crop: Crop,
) -> Result<Tensor<4>, NodeError> {
    let [batch, channels, rows, columns] = x.dims();
    if height == 0 || width == 0 || rows == 0 || columns == 0 {
        return Err(NodeError::new(format!("cannot resize {columns}x{rows} to {width}x{height}: a side is 0")));
    }
    if [batch, channels, height, width].iter().map(|n| *n as u128).product::<u128>() > MAX_VALUES {
        return Err(NodeError::new(format!("{batch} pictures of {width}x{height} are too large")));
    }
    let x = if crop == Crop::Center { center(x, [height, width]) } else { x };
    let [_, _, rows, columns] = x.dims();
    let device = x.device();
    let values = values(x)?;
    let from = [rows, columns];
    let resized: Vec<f32> = match method {
        Method::Bislerp => {
            let item = channels * rows * columns;
            values.chunks_exact(item.max(1)).flat_map(|v| bislerp::resize(v, channels, from, [height, width])).collect()
        }
        Method::Lanczos => planes(&values, from, |plane| lanczos::resize(plane, from, [height, width])),
        _ => {
            let (down, across) = (Taps::of(method, rows, height), Taps::of(method, columns, width));
            planes(&values, from, |plane| apply(plane, columns, &down, &across))
        }
    };
    Ok(Tensor::from_data(TensorData::new(resized, [batch, channels, height, width]), &device))
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

fn planes(values: &[f32], [rows, columns]: [usize; 2], resize: impl Fn(&[f32]) -> Vec<f32>) -> Vec<f32> {
    values.chunks_exact(rows * columns).flat_map(resize).collect()
}

/// The middle of `x` with the ratio of the sides of `size`.
fn center(x: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [_, _, rows, columns] = x.dims();
    let (old, new) = (columns as f64 / rows as f64, width as f64 / height as f64);
    let off = |side: usize, ratio: f64| ((side as f64 - side as f64 * ratio) / 2.0).round_ties_even() as usize;
    let left = if old > new { off(columns, new / old) } else { 0 };
    let top = if old < new { off(rows, old / new) } else { 0 };
    x.narrow(2, top, rows - 2 * top).narrow(3, left, columns - 2 * left)
}
