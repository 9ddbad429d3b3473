//! Rotations of a weight's rows: OFT and BOFT. Each block is the Cayley transform of an antisymmetric matrix.

use super::{
    error::{AdapterError, shape_error},
    matrix::Matrix,
};

/// Rotation blocks, `[blocks, size, size]` (OFT) or `[factors, blocks, size, size]` (BOFT).
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    /// The matrices whose antisymmetric parts generate the rotations.
    pub blocks: Matrix,
    /// Scale per output channel.
    pub rescale: Option<Matrix>,
}

impl Rotation {
    /// The change of `weight`. `limit` bounds the norm of the generators where it is positive.
    ///
    /// The strength enters twice, here and where the delta is added: the reference does so.
    pub(super) fn delta(&self, weight: &Matrix, limit: f32, strength: f32) -> Result<Matrix, AdapterError> {
        let wrong = || shape_error("oft_blocks", &self.blocks, weight);
        let [factors @ .., blocks, size, again] = self.blocks.shape.as_slice() else { return Err(wrong()) };
        if size != again || blocks * size != weight.rows() || factors.len() > 1 {
            return Err(wrong());
        }
        let rotations = self.rotations(*size, limit);
        match factors {
            [] => Ok(oft(weight, &rotations, *size, strength)),
            _ => boft(self, weight, &rotations, *blocks, *size, strength).ok_or_else(wrong),
        }
    }

    /// `(I + Q)(I - Q)^-1` of each block, `Q = B - Bᵀ`.
    fn rotations(&self, size: usize, limit: f32) -> Vec<Vec<f64>> {
        let generator = |block: &[f32]| -> Vec<f64> {
            (0..size * size).map(|at| f64::from(block[at]) - f64::from(block[at % size * size + at / size])).collect()
        };
        let mut generators: Vec<Vec<f64>> = self.blocks.values.chunks(size * size).map(generator).collect();
        let norm = generators.iter().flatten().map(|v| v * v).sum::<f64>().sqrt() + 1e-8;
        if limit > 0.0 && norm > f64::from(limit) {
            generators.iter_mut().flatten().for_each(|v| *v *= f64::from(limit) / norm);
        }
        generators.iter().map(|q| cayley(q, size)).collect()
    }
}

/// `(I + Q)(I - Q)^-1` by elimination with pivots; `I - Q` is never singular for antisymmetric `Q`.
fn cayley(q: &[f64], n: usize) -> Vec<f64> {
    let identity = |at: usize| f64::from(u8::from(at / n == at % n));
    // Solves X (I - Q) = I + Q through the transposed system; the transpose of I - Q is I + Q.
    let mut left: Vec<f64> = (0..n * n).map(|at| identity(at) + q[at]).collect();
    let mut right: Vec<f64> = (0..n * n).map(|at| identity(at) + q[at % n * n + at / n]).collect();
    for column in 0..n {
        let size = |row: &usize| left[row * n + column].abs();
        let pivot = (column..n).max_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(column);
        for j in 0..n {
            left.swap(column * n + j, pivot * n + j);
            right.swap(column * n + j, pivot * n + j);
        }
        let scale = 1.0 / left[column * n + column];
        for row in (0..n).filter(|row| *row != column) {
            let factor = left[row * n + column] * scale;
            for j in 0..n {
                left[row * n + j] -= factor * left[column * n + j];
                right[row * n + j] -= factor * right[column * n + j];
            }
        }
        for j in 0..n {
            left[column * n + j] *= scale;
            right[column * n + j] *= scale;
        }
    }
    (0..n * n).map(|at| right[at % n * n + at / n]).collect()
}

/// Rows `m` of a block become `Σ_n (R - I)[n, m] · row n`, times the strength.
fn oft(weight: &Matrix, rotations: &[Vec<f64>], size: usize, strength: f32) -> Matrix {
    let columns = weight.columns();
    let mut values = vec![0.0f32; weight.values.len()];
    for (block, r) in rotations.iter().enumerate() {
        for m in 0..size {
            let row = &mut values[(block * size + m) * columns..][..columns];
            for n in 0..size {
                let identity = f64::from(u8::from(n == m));
                let factor = ((r[n * size + m] - identity) * f64::from(strength)) as f32;
                let from = &weight.values[(block * size + n) * columns..][..columns];
                row.iter_mut().zip(from).for_each(|(sum, value)| *sum += factor * value);
            }
        }
    }
    Matrix { shape: weight.shape.clone(), values }
}

/// Butterfly factors, one after the other, each over rows shuffled by its own stride.
fn boft(
    rotation: &Rotation,
    weight: &Matrix,
    rotations: &[Vec<f64>],
    blocks: usize,
    size: usize,
    strength: f32,
) -> Option<Matrix> {
    let (rows, columns) = (weight.rows(), weight.columns());
    let mut current = weight.values.clone();
    for (i, factor) in rotations.chunks(blocks).enumerate() {
        let stride = (size / 2) << i;
        if stride == 0 || rows % (2 * stride) != 0 {
            return None;
        }
        // Row (a, g, k) of [rows / 2k, 2, k] stands at (a, k, g) while the blocks act.
        let place = |row: usize| row / (2 * stride) * 2 * stride + row % stride * 2 + row / stride % 2;
        let mut order = vec![0; rows];
        (0..rows).for_each(|row| order[place(row)] = row);
        let mut next = vec![0.0f32; current.len()];
        for (at, row) in order.iter().enumerate() {
            let (block, m) = (at / size, at % size);
            let target = &mut next[row * columns..][..columns];
            for n in 0..size {
                let identity = f64::from(u8::from(n == m));
                let value = factor[block][m * size + n] * f64::from(strength) + (1.0 - f64::from(strength)) * identity;
                let from = &current[order[block * size + n] * columns..][..columns];
                target.iter_mut().zip(from).for_each(|(sum, v)| *sum += value as f32 * v);
            }
        }
        current = next;
    }
    if let Some(scale) = &rotation.rescale {
        let per_row = |row: usize| scale.values.get(if scale.values.len() == 1 { 0 } else { row }).copied();
        for (row, values) in current.chunks_mut(columns.max(1)).enumerate() {
            let scale = per_row(row)?;
            for value in values {
                *value *= scale;
            }
        }
    }
    let mut delta = Matrix::new(weight.shape.clone(), current)?;
    delta.add(-1.0, weight)?;
    Some(delta)
}

#[cfg(test)]
mod tests {
    use super::cayley;

    #[test]
    fn a_cayley_transform_is_a_rotation() {
        let q = [0.0, 0.5, -0.2, -0.5, 0.0, 0.3, 0.2, -0.3, 0.0];
        let r = cayley(&q, 3);
        for i in 0..3 {
            for j in 0..3 {
                let dot: f64 = (0..3).map(|k| r[i * 3 + k] * r[j * 3 + k]).sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn in_the_plane_it_turns_by_twice_the_arctangent() {
        let r = cayley(&[0.0, 0.5, -0.5, 0.0], 2);
        let angle = 2.0 * 0.5f64.atan();
        assert!((r[0] - angle.cos()).abs() < 1e-12 && (r[1] - angle.sin()).abs() < 1e-12);
    }
}
