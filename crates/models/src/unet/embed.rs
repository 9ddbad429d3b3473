//! Numbers as vectors of cosines and sines: time steps, and the sizes that SDXL is told.

use burn::tensor::{Device, Tensor, TensorData};

/// `[cos(v f_0), cos(v f_1), ..., sin(v f_0), ...]` with `f_k = 10000^(-k / half)`, one zero appended when `dim` is odd.
///
/// In f32 as the reference does: an angle near 1000 carries an error of 6e-5, and the cosine shows it.
///
/// # Shapes
/// Returns `[values, dim]`.
pub fn sinusoidal(values: &[f32], dim: usize, device: &Device) -> Tensor<2> {
    let half = dim / 2;
    let frequencies: Vec<f32> = (0..half).map(|k| frequency(k, half)).collect();
    let mut data = Vec::with_capacity(values.len() * dim);
    for value in values {
        data.extend(frequencies.iter().map(|f| f64::from(value * f).cos() as f32));
        data.extend(frequencies.iter().map(|f| f64::from(value * f).sin() as f32));
        data.extend((0..dim % 2).map(|_| 0.0f32));
    }
    Tensor::from_data(TensorData::new(data, [values.len(), dim]), device)
}

fn frequency(k: usize, half: usize) -> f32 {
    let exponent = (-(10000f64.ln()) as f32) * k as f32 / half as f32;
    f64::from(exponent).exp() as f32
}
