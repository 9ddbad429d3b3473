//! Linear layers with weights as torch stores them.

use std::ops::Range;

use crate::error::{Check, KernelError};
use crate::gemm::{Bias, Gemm, Right};
use crate::isa::Isa;
use crate::simd::{COLUMNS, LANES, Simd};

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
    fn pack<S: Simd>(&self, s: S, depth: Range<usize>, column: usize, to: &mut [f32]) {
        for (i, to) in to.chunks_mut(LANES * COLUMNS).enumerate() {
            let depth = depth.start + i * LANES..depth.end.min(depth.start + (i + 1) * LANES);
            for half in 0..2 {
                let mut rows = [s.splat(0.0); LANES];
                for (j, row) in rows.iter_mut().enumerate() {
                    let column = column + half * LANES + j;
                    if column * self.len < self.rows.len() {
                        *row = s.load_some(&self.rows[column * self.len..][depth.clone()]);
                    }
                }
                for (row, to) in s.transpose(rows).into_iter().zip(to.chunks_exact_mut(COLUMNS)) {
                    s.store_first(row, &mut to[half * LANES..][..LANES]);
                }
            }
        }
    }
}
