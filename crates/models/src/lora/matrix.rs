//! Numbers with a shape on the host, and the few products that adapters need.
//!
//! Patches are applied once per weight, in f32, on the CPU: tensors of a device would only be carried to and fro.

use rayon::prelude::*;

/// Row-major numbers and their shape.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    /// Sides, outermost first.
    pub shape: Vec<usize>,
    /// As many values as the sides multiply to.
    pub values: Vec<f32>,
}

impl Matrix {
    /// `None` unless there are as many values as the shape says.
    pub fn new(shape: Vec<usize>, values: Vec<f32>) -> Option<Self> {
        (shape.iter().product::<usize>() == values.len()).then_some(Self { shape, values })
    }

    /// The first side; 1 for a scalar.
    pub(super) fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// All sides but the first, multiplied.
    pub(super) fn columns(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// `self · other`, both flattened to matrices from their second side on. `None` when they don't fit.
    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        let (rows, inner, columns) = (self.rows(), self.columns(), other.columns());
        if inner != other.rows() {
            return None;
        }
        let mut values = vec![0.0; rows * columns];
        values.par_chunks_mut(columns.max(1)).zip(self.values.par_chunks(inner.max(1))).for_each(|(row, left)| {
            for (factor, right) in left.iter().zip(other.values.chunks(columns.max(1))) {
                row.iter_mut().zip(right).for_each(|(sum, value)| *sum += factor * value);
            }
        });
        Self::new(vec![rows, columns], values)
    }

    /// These values in another shape; `None` when their number differs.
    pub(super) fn reshaped(self, shape: &[usize]) -> Option<Self> {
        Self::new(shape.to_vec(), self.values)
    }

    /// Elementwise product; `None` when the shapes differ.
    pub(super) fn hadamard(mut self, other: &Self) -> Option<Self> {
        if self.values.len() != other.values.len() {
            return None;
        }
        self.values.iter_mut().zip(&other.values).for_each(|(a, b)| *a *= b);
        Some(self)
    }

    /// Kronecker product of `[a, b]` and `[c, d, ...]`: `[a · c, b · d, ...]`.
    pub(super) fn kronecker(&self, other: &Self) -> Option<Self> {
        let [a, b] = *self.shape.as_slice() else { return None };
        let (c, rest) = (other.rows(), other.columns());
        let d = other.shape.get(1).copied()?;
        let inner = rest / d.max(1);
        let mut values = Vec::with_capacity(self.values.len() * other.values.len());
        for i in 0..a * c {
            for j in 0..b * d {
                let factor = self.values[i / c * b + j / d];
                let at = i % c * rest + j % d * inner;
                values.extend(other.values[at..at + inner].iter().map(|value| factor * value));
            }
        }
        let mut shape = vec![a * c, b * d];
        shape.extend(&other.shape[2..]);
        Self::new(shape, values)
    }

    /// `out[p, r, ..] = Σ_ij core[i, j, ..] · right[j, r] · left[i, p]`: a Tucker decomposition put together.
    pub(super) fn tucker(core: &Self, left: &Self, right: &Self) -> Option<Self> {
        let [i, j, kernel @ ..] = core.shape.as_slice() else { return None };
        let (Some(p), Some(r)) = (left.shape.get(1), right.shape.get(1)) else { return None };
        if left.rows() != *i || right.rows() != *j {
            return None;
        }
        let k: usize = kernel.iter().product();
        // [i, r, k]: every core row through `right`; then [p, r · k] through `left`.
        let mut half = vec![0.0f32; i * r * k];
        for (x, core) in core.values.chunks(j * k).enumerate() {
            for (y, slice) in core.chunks(k).enumerate() {
                for z in 0..*r {
                    let factor = right.values[y * r + z];
                    let at = (x * r + z) * k;
                    half[at..at + k].iter_mut().zip(slice).for_each(|(sum, value)| *sum += factor * value);
                }
            }
        }
        let half = Self::new(vec![*i, r * k], half)?;
        let mut shape = vec![*p, *r];
        shape.extend(kernel);
        left.transposed()?.times(&half)?.reshaped(&shape)
    }

    /// Rows and columns of a matrix exchanged.
    pub(super) fn transposed(&self) -> Option<Self> {
        let [rows, columns] = *self.shape.as_slice() else { return None };
        let value = |at: usize| self.values[at % rows * columns + at / rows];
        Self::new(vec![columns, rows], (0..rows * columns).map(value).collect())
    }

    /// Adds `factor · other`; `None` when the number of values differs.
    pub(super) fn add(&mut self, factor: f32, other: &Self) -> Option<()> {
        if self.values.len() != other.values.len() {
            return None;
        }
        let pairs = self.values.par_iter_mut().zip(&other.values);
        pairs.with_min_len(1 << 14).for_each(|(value, delta)| *value += factor * delta);
        Some(())
    }

    /// A larger array with these values at its start and zeros elsewhere; `None` when some side would shrink.
    pub(super) fn padded_to(&self, shape: &[usize]) -> Option<Self> {
        if shape.len() != self.shape.len() || shape.iter().zip(&self.shape).any(|(new, old)| new < old) {
            return None;
        }
        let mut padded = Self { shape: shape.to_vec(), values: vec![0.0; shape.iter().product()] };
        let mut index = vec![0; shape.len()];
        for value in &self.values {
            let at = index.iter().zip(shape).fold(0, |at, (i, side)| at * side + i);
            padded.values[at] = *value;
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Some(padded)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Matrix;

    fn array(shape: &[usize], values: &[f32]) -> Matrix {
        Matrix::new(shape.to_vec(), values.to_vec()).unwrap()
    }

    #[test]
    fn a_kronecker_product_repeats_the_second_factor() {
        let (a, b) = (array(&[1, 2], &[1.0, 10.0]), array(&[2, 1], &[3.0, 4.0]));
        assert_eq!(a.kronecker(&b).unwrap(), array(&[2, 2], &[3.0, 30.0, 4.0, 40.0]));
    }

    #[test]
    fn a_tucker_core_of_one_is_the_outer_product() {
        let core = array(&[1, 1, 1, 1], &[2.0]);
        let (left, right) = (array(&[1, 2], &[1.0, 3.0]), array(&[1, 2], &[5.0, 7.0]));
        let out = Matrix::tucker(&core, &left, &right).unwrap();
        assert_eq!(out, array(&[2, 2, 1, 1], &[10.0, 14.0, 30.0, 42.0]));
    }

    #[test]
    fn padding_keeps_values_in_the_corner() {
        let padded = array(&[2, 1], &[1.0, 2.0]).padded_to(&[2, 2]).unwrap();
        assert_eq!(padded.values, [1.0, 0.0, 2.0, 0.0]);
    }
}
