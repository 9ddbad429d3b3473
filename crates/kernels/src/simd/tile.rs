//! The micro-kernel: up to 6 x 16 sums of products, held in registers from the first product to the last.
#![allow(unsafe_code)]

use super::{LANES, Simd};

/// Rows of a full tile. Six rows of two vectors leave four of AVX2's sixteen registers for operands.
pub(crate) const ROWS: usize = 6;
/// Columns of a tile: two vectors.
pub(crate) const COLUMNS: usize = 2 * LANES;

/// `M` rows of 16 sums.
pub(crate) type Tile<S, const M: usize> = [[<S as Simd>::F; 2]; M];

/// `sums[i][j] + Σ_p a[i · row + p · step] · b[p · 16 + j]` for `p` in `0..depth`, products added in that order.
///
/// # Panics
/// When `a` or `b` is too short; the message is for who wrote the calling kernel.
#[inline(always)]
pub(crate) fn tile<S: Simd, const M: usize>(
    simd: S,
    depth: usize,
    a: &[f32],
    row: usize,
    step: usize,
    b: &[f32],
    mut sums: Tile<S, M>,
) -> Tile<S, M> {
    if depth == 0 {
        return sums;
    }
    assert!((M - 1) * row + (depth - 1) * step < a.len(), "tile: the left operand is too short");
    let (b, _) = b.as_chunks::<COLUMNS>();
    let b = &b[..depth];
    // One pointer per row: the products then need no arithmetic besides one offset for all of them.
    let mut rows = [a.as_ptr(); M];
    for (i, at) in rows.iter_mut().enumerate() {
        *at = at.wrapping_add(i * row);
    }
    let mut start = 0;
    for b in b {
        let (low, high) = halves(b);
        let (low, high) = (simd.load(low), simd.load(high));
        for (at, sum) in rows.iter().zip(&mut sums) {
            // SAFETY: row `i < M` plus `p · step` with `p < depth`: not beyond the index asserted above.
            let x = simd.splat(unsafe { *at.add(start) });
            sum[0] = simd.mul_add(x, low, sum[0]);
            sum[1] = simd.mul_add(x, high, sum[1]);
        }
        start += step;
    }
    sums
}

#[inline(always)]
fn halves(b: &[f32; COLUMNS]) -> (&[f32; LANES], &[f32; LANES]) {
    // SAFETY: both halves lie inside of the sixteen floats and live as long.
    unsafe { (&*b.as_ptr().cast(), &*b.as_ptr().add(LANES).cast()) }
}
