//! A latent blurred at the places that self-attention attends to most.

use burn::tensor::{Tensor, TensorData};

use crate::image::{Method, Planes};
use crate::nets::hooks::AttentionRecord;
use crate::sampler::SamplingError;

/// How far the blur reaches over the border.
pub(super) const MARGIN: usize = 4;
/// More attention than one query's is much.
const THRESHOLD: f32 = 1.0;

/// `x` `[B, C, h, w]`, blurred where `record` is above the average.
pub(super) fn where_looked_at(x: &Tensor<4>, record: &AttentionRecord, sigma: f32) -> Result<Tensor<4>, SamplingError> {
    let unreadable = |error: &dyn std::fmt::Display| SamplingError::Read(error.to_string());
    let [batch, _, height, width] = x.dims();
    let [rows, columns] = record.sides;
    let looks = record.weights.try_to_vec_as::<f32>().map_err(|error| unreadable(&error))?;
    let mask: Vec<f32> = looks.iter().map(|look| if *look > THRESHOLD { 1.0 } else { 0.0 }).collect();
    let mask = Planes::new([batch, 1, rows, columns], mask).map_err(|error| unreadable(&error))?;
    let mask = mask.resize(width, height, Method::Nearest).to_tensor(&x.device());
    Ok(blurred(x, sigma) * mask.clone() + x.clone() * (mask.neg() + 1.0))
}

/// Gaussian over 9 x 9 cells, borders mirrored without their edge. A reach of 0 leaves `x` alone.
fn blurred(x: &Tensor<4>, sigma: f32) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let matrix = |n: usize| Tensor::<2>::from_data(TensorData::new(kernel(n, sigma), [n, n]), &x.device());
    matrix(height).unsqueeze::<4>().matmul(x.clone()).matmul(matrix(width).transpose().unsqueeze())
}

/// The blur of a line of `n` cells as a matrix.
fn kernel(n: usize, sigma: f32) -> Vec<f32> {
    let reach = MARGIN as isize;
    let weight = |offset: isize| match (sigma, offset) {
        (0.0, 0) => 1.0,
        (0.0, _) => 0.0,
        _ => (-0.5 * (offset as f32 / sigma).powi(2)).exp(),
    };
    let total: f32 = (-reach..=reach).map(weight).sum();
    let mut matrix = vec![0.0; n * n];
    for (row, line) in matrix.chunks_exact_mut(n.max(1)).enumerate() {
        for offset in -reach..=reach {
            let at = (row as isize + offset).unsigned_abs();
            let at = if at < n { at } else { 2 * n - 2 - at };
            line[at] += weight(offset) / total;
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::tensor::Device;

    fn plane(values: Vec<f32>, [h, w]: [usize; 2]) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values, [1, 1, h, w]), &Device::flex())
    }

    #[test]
    fn a_blur_is_the_sum_over_a_mirrored_window() {
        let (h, w) = (5, 7);
        let values: Vec<f32> = (0..h * w).map(|i| ((i * 7) % 13) as f32).collect();
        let got = blurred(&plane(values.clone(), [h, w]), 2.0).try_to_vec_as::<f32>().unwrap();
        let mirrored = |i: isize, n: usize| if i < 0 { -i } else { i.min(2 * n as isize - 2 - i) } as usize;
        let weight = |d: isize| (-0.5 * (d as f64 / 2.0).powi(2)).exp();
        let total: f64 = (-4..=4).map(weight).sum();
        for (y, x) in (0..h as isize).flat_map(|y| (0..w as isize).map(move |x| (y, x))) {
            let mut sum = 0.0;
            for (dy, dx) in (-4..=4).flat_map(|dy| (-4..=4).map(move |dx| (dy, dx))) {
                let value = values[mirrored(y + dy, h) * w + mirrored(x + dx, w)];
                sum += f64::from(value) * weight(dy) * weight(dx) / (total * total);
            }
            assert!((f64::from(got[y as usize * w + x as usize]) - sum).abs() < 1e-4);
        }
    }

    #[test]
    fn only_places_above_the_average_change() {
        let values: Vec<f32> = (0..64).map(|i| (i % 5) as f32).collect();
        let x = plane(values.clone(), [8, 8]);
        let weights = Tensor::from_floats([[2.0f32, 0.5, 0.5, 1.0]], &Device::flex());
        let record = AttentionRecord { weights, sides: [2, 2] };
        let got = where_looked_at(&x, &record, 2.0).unwrap().try_to_vec_as::<f32>().unwrap();
        let changed: Vec<usize> = (0..64).filter(|i| got[*i] != values[*i]).collect();
        assert!(changed.len() > 8 && changed.iter().all(|i| i / 8 < 4 && i % 8 < 4), "{changed:?}");
    }

    #[test]
    fn no_reach_is_no_blur() {
        let x = plane((0..64).map(|i| i as f32).collect(), [8, 8]);
        assert_eq!(blurred(&x, 0.0).into_data(), x.into_data());
    }
}
