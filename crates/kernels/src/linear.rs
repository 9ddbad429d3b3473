//! Linear layers with weights as torch stores them.

use std::ops::Range;

use crate::error::{Check, KernelError};
use crate::gemm::{Bias, Gemm, Right};
use crate::isa::Isa;
use crate::simd::{LINE, Simd, four};

/// `out = x · weightᵀ + bias`.
///
/// # Shapes
/// `x` `[rows, inputs]`, `weight` `[outputs, inputs]`, `bias` `[outputs]` or empty, `out` `[rows, outputs]`.
/// # Errors
/// [`KernelError`] when lengths do not fit or `inputs` is 0.
pub fn linear(
    isa: Isa,
    inputs: usize,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    out: &mut [f32],
) -> Result<(), KernelError> {
    let check = Check("linear");
    check.divides("inputs", inputs, x.len())?;
    check.divides("inputs", inputs, weight.len())?;
    let (rows, outputs) = (x.len() / inputs, weight.len() / inputs);
    check.len("bias", bias.len(), if bias.is_empty() { 0 } else { outputs })?;
    check.len("out", out.len(), check.product("out", &[rows, outputs])?)?;
    if out.is_empty() {
        return Ok(());
    }
    let bias = if bias.is_empty() { Bias::None } else { Bias::Column(bias) };
    let right = Transposed { rows: weight, len: inputs };
    Gemm { columns: outputs, depth: inputs, left: x, right, bias }.run(isa, out);
    Ok(())
}

/// Column `j` of the operand is row `j` of a dense matrix.
#[derive(Clone, Copy)]
struct Transposed<'a> {
    rows: &'a [f32],
    len: usize,
}

impl Right for Transposed<'_> {
    #[inline(always)]
    fn pack<S: Simd>(&self, s: S, depth: Range<usize>, column: usize, vectors: usize, to: &mut [f32]) {
        let width = vectors * S::LANES;
        for vector in 0..vectors {
            let column = column + vector * S::LANES;
            let columns = (self.rows.len() / self.len).saturating_sub(column);
            let rows = self.rows.get(column * self.len..).unwrap_or(&[]);
            for (i, to) in to.chunks_mut(4 * width).enumerate() {
                let at = depth.start + 4 * i;
                if i % (LINE / 4) == 0 {
                    for j in 0..S::LANES {
                        s.fetch_early(rows, (width + j) * self.len + at);
                    }
                }
                let part = if columns >= S::LANES && at + 4 <= depth.end {
                    s.turn(|j| four(&rows[j * self.len + at..]))
                } else {
                    s.turn_some(|j| {
                        let row = if j < columns { &rows[j * self.len..] } else { &[] };
                        row.get(at..depth.end.min(at + 4)).unwrap_or(&[])
                    })
                };
                for (part, to) in part.into_iter().zip(to.chunks_exact_mut(width)) {
                    s.store(part, &mut to[vector * S::LANES..]);
                }
            }
        }
    }
}
