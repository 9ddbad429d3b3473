//! A matrix as the best product of two thin ones: the first of its singular values. Knows numbers only.

use burn::tensor::{Device, Tensor, TensorData};

/// The best product of thin matrices, singular values in the left one.
pub(crate) struct LowRankFactors {
    /// `[rows, rank]`.
    pub(crate) up: Vec<f32>,
    /// `[rank, columns]`.
    pub(crate) down: Vec<f32>,
}

impl LowRankFactors {
    /// By subspace iteration (Halko et al. 2011) with a few vectors to spare.
    pub(crate) fn of(values: &[f32], [rows, columns]: [usize; 2], rank: usize) -> Self {
        const SPARE: usize = 12;
        const ROUNDS: usize = 24;
        let device = Device::flex();
        let matrix = Tensor::<2>::from_data(TensorData::new(values.to_vec(), [rows, columns]), &device);
        let width = (rank + SPARE).min(rows).min(columns);
        let mut basis = orthonormal(start(rows, width), rows, width);
        for _ in 0..ROUNDS {
            let q = Tensor::<2>::from_data(TensorData::new(basis.clone(), [rows, width]), &device);
            let turned = matrix.clone().matmul(matrix.clone().transpose().matmul(q));
            basis = orthonormal(read(turned), rows, width);
        }
        let q = Tensor::<2>::from_data(TensorData::new(basis, [rows, width]), &device);
        let small = q.clone().transpose().matmul(matrix);
        let (vectors, squares) = eigen(&gram(&read(small.clone()), width, columns), width);
        let kept: Vec<f32> = (0..width * rank).map(|i| vectors[i / rank * width + i % rank] as f32).collect();
        let kept = Tensor::<2>::from_data(TensorData::new(kept, [width, rank]), &device);
        let mut up = read(q.matmul(kept.clone()));
        let mut down = read(kept.transpose().matmul(small));
        for (k, square) in squares.iter().take(rank).enumerate() {
            let size = square.max(0.0).sqrt() as f32;
            (0..rows).for_each(|row| up[row * rank + k] *= size);
            let scale = if size > 0.0 { 1.0 / size } else { 0.0 };
            down[k * columns..][..columns].iter_mut().for_each(|v| *v *= scale);
        }
        Self { up, down }
    }
}

/// A matrix on the host. A tensor made here can always be read; an empty result would only lose the adapter.
fn read(x: Tensor<2>) -> Vec<f32> {
    x.try_to_vec_as::<f32>().unwrap_or_default()
}

/// Something to start from: the same every time.
fn start(rows: usize, width: usize) -> Vec<f32> {
    let mut values = vec![0.0; rows * width];
    kiln_memory::hash_uniform("start", &[rows, width], &mut values);
    values
}

/// Columns made orthonormal by Gram and Schmidt, twice; columns of nothing stay so.
fn orthonormal(values: Vec<f32>, rows: usize, width: usize) -> Vec<f32> {
    let mut columns: Vec<Vec<f64>> =
        (0..width).map(|c| (0..rows).map(|r| f64::from(values[r * width + c])).collect()).collect();
    for c in 0..width {
        let (done, rest) = columns.split_at_mut(c);
        let column = &mut rest[0];
        for before in done.iter().chain(&*done) {
            let along: f64 = before.iter().zip(&*column).map(|(a, b)| a * b).sum();
            column.iter_mut().zip(before).for_each(|(v, b)| *v -= along * b);
        }
        let length = column.iter().map(|v| v * v).sum::<f64>().sqrt();
        let scale = if length > 1e-30 { 1.0 / length } else { 0.0 };
        for v in column.iter_mut() {
            *v *= scale;
        }
    }
    (0..rows * width).map(|i| columns[i % width][i / width] as f32).collect()
}

/// The products of a matrix's rows with each other.
fn gram(values: &[f32], rows: usize, columns: usize) -> Vec<f64> {
    let row = |r: usize| &values[r * columns..][..columns];
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    (0..rows * rows).map(|i| dot(row(i / rows), row(i % rows))).collect()
}

/// Eigenvectors (as columns) and eigenvalues of a symmetric matrix, the largest first, by Jacobi's rotations.
fn eigen(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    const SWEEPS: usize = 60;
    let mut a = matrix.to_vec();
    let mut vectors: Vec<f64> = (0..n * n).map(|i| if i / n == i % n { 1.0 } else { 0.0 }).collect();
    for _ in 0..SWEEPS {
        let off: f64 = (0..n * n).filter(|i| i / n != i % n).map(|i| a[i] * a[i]).sum();
        let whole: f64 = a.iter().map(|v| v * v).sum();
        if off <= 1e-24 * whole {
            break;
        }
        for (p, q) in (0..n).flat_map(|p| (p + 1..n).map(move |q| (p, q))) {
            rotate(&mut a, &mut vectors, n, p, q);
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|x, y| a[y * n + y].total_cmp(&a[x * n + x]));
    let sorted = (0..n * n).map(|i| vectors[i / n * n + order[i % n]]).collect();
    (sorted, order.iter().map(|i| a[i * n + i]).collect())
}

/// One rotation that makes `a[p][q]` zero.
fn rotate(a: &mut [f64], vectors: &mut [f64], n: usize, p: usize, q: usize) {
    if a[p * n + q] == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * a[p * n + q]);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let (c, s) = (1.0 / (t * t + 1.0).sqrt(), t / (t * t + 1.0).sqrt());
    for k in 0..n {
        let (x, y) = (a[k * n + p], a[k * n + q]);
        (a[k * n + p], a[k * n + q]) = (c * x - s * y, s * x + c * y);
    }
    for k in 0..n {
        let (x, y) = (a[p * n + k], a[q * n + k]);
        (a[p * n + k], a[q * n + k]) = (c * x - s * y, s * x + c * y);
    }
    for k in 0..n {
        let (x, y) = (vectors[k * n + p], vectors[k * n + q]);
        (vectors[k * n + p], vectors[k * n + q]) = (c * x - s * y, s * x + c * y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize, rank: usize) -> Vec<f32> {
        let part = |seed: usize, i: usize, k: usize| (((i * 31 + k * 17 + seed) % 23) as f32 - 11.0) / 7.0;
        let scale = |k: usize| 1.0 / (1 + k * k) as f32;
        (0..rows * columns)
            .map(|i| (0..rank).map(|k| part(3, i / columns, k) * part(5, i % columns, k) * scale(k)).sum())
            .collect()
    }

    fn multiplied(thin: &LowRankFactors, rows: usize, columns: usize, rank: usize) -> Vec<f32> {
        let at = |i: usize, k: usize| thin.up[i / columns * rank + k] * thin.down[k * columns + i % columns];
        (0..rows * columns).map(|i| (0..rank).map(|k| at(i, k)).sum()).collect()
    }

    fn norm(values: impl Iterator<Item = f32>) -> f32 {
        values.map(|v| v * v).sum::<f32>().sqrt()
    }

    #[test]
    fn a_matrix_of_low_rank_is_its_product() {
        for (rows, columns) in [(40, 30), (20, 90), (7, 5)] {
            let values = matrix(rows, columns, 3);
            let product = multiplied(&LowRankFactors::of(&values, [rows, columns], 3), rows, columns, 3);
            let error = norm(values.iter().zip(&product).map(|(a, b)| a - b));
            assert!(error < 1e-4 * norm(values.iter().copied()), "{rows} x {columns}: {error}");
        }
    }

    #[test]
    fn no_product_of_that_rank_is_nearer_than_the_singular_values_left_out() {
        let (rows, columns, rank) = (24, 18, 2);
        let values = matrix(rows, columns, 6);
        let product = multiplied(&LowRankFactors::of(&values, [rows, columns], rank), rows, columns, rank);
        let error = norm(values.iter().zip(&product).map(|(a, b)| a - b));
        let turned: Vec<f32> = (0..rows * columns).map(|i| values[i % rows * columns + i / rows]).collect();
        let (_, squares) = eigen(&gram(&turned, columns, rows), columns);
        let best = squares[rank..].iter().sum::<f64>().sqrt() as f32;
        assert!((error - best).abs() < 1e-3 * best, "{error} {best}");
    }
}
