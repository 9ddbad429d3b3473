//! The low frequencies of planes, without a Fourier transform of the rest.
//!
//! Knows tensors only.

use burn::tensor::{Device, Tensor, TensorData};

/// The part of each plane whose frequencies lie in `-cutoff..cutoff` along both axes: what a mask over that square
/// around the centre of a shifted Fourier transform keeps, its real part.
///
/// # Shapes
/// `x` `[batch, channels, h, w]`, kept; `cutoff` for rows and columns.
pub(crate) fn band(x: &Tensor<4>, cutoff: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let device = x.device();
    let (rows, rows_i) = projection(height, cutoff[0], &device);
    let (columns, columns_i) = projection(width, cutoff[1], &device);
    let cast = |m: Tensor<2>| m.cast(x.dtype()).unsqueeze::<4>();
    // A projection along one axis is `p[n - m]`; columns take it from the right, where it stands transposed.
    let real = cast(rows).matmul(x.clone()).matmul(cast(columns.transpose()));
    let imaginary = cast(rows_i).matmul(x.clone()).matmul(cast(columns_i.transpose()));
    real - imaginary
}

/// Real and imaginary part of the matrix that keeps the frequencies `-cutoff..cutoff` of `n` samples.
fn projection(n: usize, cutoff: usize, device: &Device) -> (Tensor<2>, Tensor<2>) {
    let kept = kept(n, cutoff);
    let (mut cosines, mut sines) = (vec![0f64; n], vec![0f64; n]);
    for distance in 0..n {
        for k in &kept {
            let angle = std::f64::consts::TAU * ((k * distance) % n.max(1)) as f64 / n as f64;
            cosines[distance] += angle.cos() / n as f64;
            sines[distance] += angle.sin() / n as f64;
        }
    }
    let matrix = |line: &[f64]| {
        let values = (0..n * n).map(|i| line[(i / n + n - i % n) % n] as f32).collect::<Vec<f32>>();
        Tensor::from_data(TensorData::new(values, [n, n]), device)
    };
    (matrix(&cosines), matrix(&sines))
}

/// The frequencies `-cutoff..cutoff` of `n` samples as numbers from 0 to `n`, each once.
fn kept(n: usize, cutoff: usize) -> Vec<usize> {
    let negative = (1..=cutoff.min(n)).map(|k| n - k);
    let mut kept: Vec<usize> = (0..cutoff.min(n)).chain(negative).collect();
    kept.sort_unstable();
    kept.dedup();
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The same by the definition: transform, mask, transform back.
    fn by_definition(plane: &[f64], [h, w]: [usize; 2], keeps: impl Fn(usize, usize) -> bool) -> Vec<f64> {
        let mut out = vec![0.0; h * w];
        for (ky, kx) in (0..h).flat_map(|ky| (0..w).map(move |kx| (ky, kx))).filter(|(ky, kx)| keeps(*ky, *kx)) {
            let angle =
                |y: usize, x: usize| std::f64::consts::TAU * ((ky * y) as f64 / h as f64 + (kx * x) as f64 / w as f64);
            let sum = |part: fn(f64) -> f64| -> f64 {
                (0..h * w).map(|i| plane[i] * part(angle(i / w, i % w))).sum::<f64>() / (h * w) as f64
            };
            let (re, im) = (sum(f64::cos), -sum(f64::sin));
            for (i, out) in out.iter_mut().enumerate() {
                let angle = angle(i / w, i % w);
                *out += re * angle.cos() - im * angle.sin();
            }
        }
        out
    }

    #[test]
    fn a_band_is_what_a_masked_transform_keeps() {
        for ([h, w], cutoff) in [([6, 8], 1), ([5, 4], 1), ([7, 6], 2), ([1, 3], 1)] {
            let plane: Vec<f64> = (0..h * w).map(|i| ((i * 37 % 11) as f64 - 5.0) / 3.0).collect();
            let inside = |k: usize, n: usize| k < cutoff || n - k <= cutoff;
            let expected = by_definition(&plane, [h, w], |ky, kx| inside(ky, h) && inside(kx, w));
            let values: Vec<f32> = plane.iter().map(|v| *v as f32).collect();
            let x = Tensor::<4>::from_data(TensorData::new(values, [1, 1, h, w]), &Device::flex());
            let got = band(&x, [cutoff, cutoff]).try_to_vec_as::<f32>().unwrap();
            // One product of f32 matrices per axis.
            assert!(got.iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5), "{h}x{w}: {got:?}");
        }
    }
}
