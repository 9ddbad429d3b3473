//! Numbers as vectors of cosines and sines, as the vectors beside the time embedding hold them.

use burn::tensor::{Device, Tensor, TensorData};

/// Width of the embedding of a size.
pub(super) const SIZE: usize = 256;

/// `[cos(v f_0), cos(v f_1), ..., sin(v f_0), ...]` of each number, with `f_k = 10000^(-k / half)`.
///
/// # Shapes
/// Returns `[numbers, width]`.
pub(super) fn embedded(numbers: &[f32], width: usize, device: &Device) -> Tensor<2> {
    let half = width / 2;
    let frequencies: Vec<f32> = (0..half).map(|k| frequency(k, half)).collect();
    let angles = |number: &f32| frequencies.iter().map(|f| f64::from(number * f)).collect::<Vec<f64>>();
    let halves = numbers.iter().map(angles).flat_map(|angles| {
        let cosines: Vec<f32> = angles.iter().map(|a| a.cos() as f32).collect();
        let sines: Vec<f32> = angles.iter().map(|a| a.sin() as f32).collect();
        [cosines, sines].concat()
    });
    Tensor::from_data(TensorData::new(halves.collect::<Vec<f32>>(), [numbers.len(), half * 2]), device)
}

/// Frequency `k`, as torch has it. Its exponential isn't correctly rounded: one of the 128 frequencies of sizes is one unit in
/// the last place higher, which an image's size makes visible in the fifth decimal.
fn frequency(k: usize, half: usize) -> f32 {
    const ROUNDED_UP: (usize, usize) = (12, SIZE / 2);
    let exponent = (-(10_000f64.ln()) as f32) * k as f32 / half as f32;
    let exact = f64::from(exponent).exp() as f32;
    if (k, half) == ROUNDED_UP { exact.next_up() } else { exact }
}
