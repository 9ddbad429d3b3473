//! An image as CLIP wants it: square, of one size, in bytes, around its mean.

use burn::tensor::{Device, Tensor, TensorData};

use crate::image::Planes;

/// Mean and deviation of red, green and blue.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// `image` `[batch, 3, h, w]` in 0..1, resized with antialiasing to `side`; `cropped` keeps its proportions and its
/// middle.
///
/// # Shapes
/// Returns `[batch, 3, side, side]`.
pub fn prepared(image: &Planes, side: usize, cropped: bool, device: &Device) -> Tensor<4> {
    let [batch, channels, height, width] = image.shape();
    let square = if (height, width) == (side, side) {
        image.clone()
    } else {
        let scale = side as f64 / height.min(width) as f64;
        let size = |n: usize| if cropped { (scale * n as f64).round_ties_even() as usize } else { side };
        let (rows, columns) = (size(height).max(side), size(width).max(side));
        image.resize_antialiased(columns, rows).window((rows - side) / 2, (columns - side) / 2, side, side)
    };
    let plane = side * side;
    let values = square.into_values().into_iter().enumerate().map(|(i, v)| {
        let channel = i / plane % channels.max(1) % 3;
        let byte = (255.0 * v).clamp(0.0, 255.0).round_ties_even() / 255.0;
        (byte - MEAN[channel]) / DEVIATION[channel]
    });
    Tensor::from_data(TensorData::new(values.collect::<Vec<f32>>(), [batch, channels, side, side]), device)
}
