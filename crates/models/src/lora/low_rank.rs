//! Deltas built from small factors: LoRA, LoCon, LoHa, LoKr, GLoRA.

use rayon::prelude::*;

use super::{
    error::{AdapterError, shape_error},
    matrix::Matrix,
};

/// `up · down`, with LoCon's middle between them where there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct LowRank {
    /// `[out, rank]`, maybe with sides of 1 behind.
    pub up: Matrix,
    /// `[rank, in, ...]`.
    pub down: Matrix,
    /// `[rank, rank, kernel, kernel]`.
    pub mid: Option<Matrix>,
}

impl LowRank {
    pub(super) fn rank(&self) -> usize {
        self.down.rows()
    }

    /// Adds `scale · up · down` to a weight where it lies; `None` when there is a middle or the shapes don't fit.
    ///
    /// A UNet has a billion weights: nothing of a weight's size is allocated, and a stretch of `down` stays in the nearest
    /// cache while it serves several rows. The sum over ranks is complete before the scale, as in the reference.
    pub(super) fn add_to(&self, values: &mut [f32], scale: f32) -> Option<()> {
        const ROWS: usize = 16;
        const STRETCH: usize = 512;
        let (rank, columns) = (self.down.rows(), self.down.columns());
        let fits = self.up.columns() == rank && self.up.rows() * columns == values.len();
        if self.mid.is_some() || !fits || values.is_empty() || rank == 0 {
            return None;
        }
        let rows = values.par_chunks_mut(columns * ROWS).zip(self.up.values.par_chunks(rank * ROWS));
        rows.for_each(|(rows, ups)| {
            let mut sums = [0.0f32; STRETCH];
            for start in (0..columns).step_by(STRETCH) {
                let end = columns.min(start + STRETCH);
                for (row, up) in rows.chunks_mut(columns).zip(ups.chunks(rank)) {
                    let sums = &mut sums[..end - start];
                    self.sum(up, start, sums);
                    row[start..end].iter_mut().zip(sums).for_each(|(value, sum)| *value += scale * *sum);
                }
            }
        });
        Some(())
    }

    /// `up · down` for one row of `up`, from column `start` on. Four ranks at a time, added in their order.
    fn sum(&self, up: &[f32], start: usize, sums: &mut [f32]) {
        sums.fill(0.0);
        let (columns, length) = (self.down.columns(), sums.len());
        let right = |rank: usize| &self.down.values[rank * columns + start..][..length];
        let fours = up.len() / 4 * 4;
        for rank in (0..fours).step_by(4) {
            let [a, b, c, d] = [right(rank), right(rank + 1), right(rank + 2), right(rank + 3)];
            let [p, q, r, s] = [up[rank], up[rank + 1], up[rank + 2], up[rank + 3]];
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = *sum + p * a[i] + q * b[i] + r * c[i] + s * d[i];
            }
        }
        for (rank, factor) in up.iter().enumerate().skip(fours) {
            sums.iter_mut().zip(right(rank)).for_each(|(sum, value)| *sum += factor * value);
        }
    }

    pub(super) fn delta(&self, weight: &Matrix) -> Result<Matrix, AdapterError> {
        let down = match &self.mid {
            None => self.down.clone(),
            Some(mid) => through(mid, &self.down).ok_or_else(|| shape_error("lora_mid", mid, weight))?,
        };
        let delta = self.up.times(&down).and_then(|delta| delta.reshaped(&weight.shape));
        delta.ok_or_else(|| shape_error("lora_up", &self.up, weight))
    }
}

/// `out[m, i, ..] = Σ_b mid[m, b, ..] · down[b, i]`.
fn through(mid: &Matrix, down: &Matrix) -> Option<Matrix> {
    let [outer, inner, kernel @ ..] = mid.shape.as_slice() else { return None };
    let columns = down.columns();
    if *inner != down.rows() {
        return None;
    }
    let k: usize = kernel.iter().product();
    let mut values = vec![0.0f32; outer * columns * k];
    for m in 0..*outer {
        for b in 0..*inner {
            let slice = &mid.values[(m * inner + b) * k..][..k];
            for i in 0..columns {
                let (factor, at) = (down.values[b * columns + i], (m * columns + i) * k);
                values[at..at + k].iter_mut().zip(slice).for_each(|(sum, value)| *sum += factor * value);
            }
        }
    }
    let mut shape = vec![*outer, columns];
    shape.extend(kernel);
    Matrix::new(shape, values)
}

/// `(w1a · w1b) ∘ (w2a · w2b)`, each maybe through a core.
#[derive(Debug, Clone, PartialEq)]
pub struct LoHa {
    /// `w1_a`, `w1_b`.
    pub w1: [Matrix; 2],
    /// `w2_a`, `w2_b`.
    pub w2: [Matrix; 2],
    /// `t1`, `t2`: cores of convolutions.
    pub cores: Option<[Matrix; 2]>,
}

impl LoHa {
    pub(super) fn rank(&self) -> usize {
        self.w1[1].rows()
    }

    pub(super) fn delta(&self, weight: &Matrix) -> Result<Matrix, AdapterError> {
        let side = |[a, b]: &[Matrix; 2], core: Option<&Matrix>| match core {
            None => a.times(b),
            Some(core) => Matrix::tucker(core, a, b),
        };
        let (t1, t2) = (self.cores.as_ref().map(|cores| &cores[0]), self.cores.as_ref().map(|cores| &cores[1]));
        let delta = side(&self.w1, t1).zip(side(&self.w2, t2)).and_then(|(one, two)| one.hadamard(&two));
        delta
            .and_then(|delta| delta.reshaped(&weight.shape))
            .ok_or_else(|| shape_error("hada_w1_a", &self.w1[0], weight))
    }
}

/// A matrix as it is or as a product.
#[derive(Debug, Clone, PartialEq)]
pub enum Factor {
    /// As it is.
    Whole(Matrix),
    /// `a · b`, maybe through a core.
    Product {
        /// Left factor.
        a: Matrix,
        /// Right factor.
        b: Matrix,
        /// `[i, j, kernel, kernel]`.
        core: Option<Matrix>,
    },
}

impl Factor {
    fn put_together(&self) -> Option<Matrix> {
        match self {
            Self::Whole(array) => Some(array.clone()),
            Self::Product { a, b, core: None } => a.times(b),
            Self::Product { a, b, core: Some(core) } => Matrix::tucker(core, a, b),
        }
    }

    fn rank(&self) -> Option<usize> {
        match self {
            Self::Whole(_) => None,
            Self::Product { b, .. } => Some(b.rows()),
        }
    }
}

/// The Kronecker product of two factors.
#[derive(Debug, Clone, PartialEq)]
pub struct LoKr {
    /// First factor.
    pub w1: Factor,
    /// Second factor; has a kernel for convolutions.
    pub w2: Factor,
}

impl LoKr {
    /// The rank of the factor that is a product; the second one's if both are.
    pub(super) fn rank(&self) -> Option<usize> {
        self.w2.rank().or_else(|| self.w1.rank())
    }

    pub(super) fn delta(&self, weight: &Matrix) -> Result<Matrix, AdapterError> {
        let factors = self.w1.put_together().zip(self.w2.put_together());
        let (w1, w2) = factors.ok_or(AdapterError::Factors { kind: "LoKr" })?;
        let delta = w1.kronecker(&w2).and_then(|delta| delta.reshaped(&weight.shape));
        delta.ok_or_else(|| shape_error("lokr_w2", &w2, weight))
    }
}

/// `W · a1 · a2 + b1 · b2`, or in the older layout, in which each factor is the other's place, `W · a2 · a1 + b2 · b1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Glora {
    /// `[in, rank]`; older `[rank, in]`.
    pub a1: Matrix,
    /// `[rank, in]`; older `[in, rank]`.
    pub a2: Matrix,
    /// `[out, rank]`; older `[rank, in]`.
    pub b1: Matrix,
    /// `[rank, in]`; older `[out, rank]`.
    pub b2: Matrix,
}

impl Glora {
    /// The rank, of which the scale of a delta on `weight` depends.
    pub(super) fn rank(&self, weight: &[usize]) -> usize {
        if self.is_older(weight) { self.a1.rows() } else { self.a2.rows() }
    }

    /// Whether the shapes are those of the older layout. Where they are those of both, it is the newer one unless the
    /// weight is square and `a2` as high, as in the reference.
    fn is_older(&self, weight: &[usize]) -> bool {
        let second = |matrix: &Matrix| matrix.shape.get(1).copied();
        let all = |sides: [Option<usize>; 4]| sides[0].is_some() && sides.iter().all(|side| *side == sides[0]);
        let Self { a1, a2, b1, b2 } = self;
        let older = all([second(b2), Some(b1.rows()), Some(a1.rows()), second(a2)]);
        let newer = all([Some(b2.rows()), second(b1), second(a1), Some(a2.rows())]);
        let square = weight.len() > 1 && weight[0] == weight[1];
        older && (!newer || (square && a2.rows() == weight[0]))
    }

    pub(super) fn delta(&self, weight: &Matrix) -> Result<Matrix, AdapterError> {
        let fits = || {
            if self.is_older(&weight.shape) {
                // Here the sides of a kernel belong to the inputs.
                let mut delta = self.b2.times(&self.b1)?;
                delta.add(1.0, &weight.times(&self.a2)?.times(&self.a1)?)?;
                return delta.reshaped(&weight.shape);
            }
            // Along the input channels: for a convolution each kernel position is a matrix of its own.
            let through = along_inputs(&along_inputs(weight, &self.a1)?, &self.a2)?;
            let mut delta = self.b1.times(&self.b2)?.reshaped(&weight.shape)?;
            delta.add(1.0, &through)?;
            Some(delta)
        };
        fits().ok_or_else(|| shape_error("a1", &self.a1, weight))
    }
}

/// `out[o, j, ..] = Σ_i weight[o, i, ..] · matrix[i, j]`.
fn along_inputs(weight: &Matrix, matrix: &Matrix) -> Option<Matrix> {
    let [outputs, inputs, kernel @ ..] = weight.shape.as_slice() else { return None };
    if matrix.rows() != *inputs {
        return None;
    }
    let (k, columns) = (kernel.iter().product::<usize>(), matrix.columns());
    let mut values = vec![0.0f32; outputs * columns * k];
    for o in 0..*outputs {
        for i in 0..*inputs {
            let slice = &weight.values[(o * inputs + i) * k..][..k];
            for j in 0..columns {
                let (factor, at) = (matrix.values[i * columns + j], (o * columns + j) * k);
                values[at..at + k].iter_mut().zip(slice).for_each(|(sum, value)| *sum += factor * value);
            }
        }
    }
    let mut shape = vec![*outputs, columns];
    shape.extend(kernel);
    Matrix::new(shape, values)
}
