//! The micro-kernel: some rows of one or two vectors of sums of products, held in registers from the first product to
//! the last.
#![allow(unsafe_code)]

use super::lanes::{LINE, Simd};

/// Rows of the tallest tile.
pub(crate) const MOST_ROWS: usize = 12;

/// `M` rows of `V` vectors of sums.
pub(crate) type Tile<S, const M: usize, const V: usize> = [[<S as Simd>::F; V]; M];

/// What later tiles will read, to be fetched while this one computes: with each product some floats further.
#[derive(Clone, Copy)]
pub(crate) struct Ahead<'a> {
    /// For the next tile: a line per product.
    pub(crate) near: &'a [f32],
    /// For a later one.
    pub(crate) far: &'a [f32],
    /// Floats per product of the latter.
    pub(crate) step: usize,
}

/// A tile of sums of nothing.
#[inline(always)]
pub(crate) fn zeros<S: Simd, const M: usize, const V: usize>(simd: S) -> Tile<S, M, V> {
    [[simd.splat(0.0); V]; M]
}

/// `sums[i][j] + Σ_p a[i · row + p · step] · b[p · V · LANES + j]` for `p` in `0..depth`, products added in that order.
///
/// # Panics
/// When `a` or `b` is too short; the message is for who wrote the calling kernel.
#[inline(always)]
pub(crate) fn tile<S: Simd, const M: usize, const V: usize>(
    simd: S,
    depth: usize,
    a: &[f32],
    row: usize,
    step: usize,
    b: &[f32],
    ahead: Option<Ahead<'_>>,
    mut sums: Tile<S, M, V>,
) -> Tile<S, M, V> {
    if depth == 0 {
        return sums;
    }
    assert!((M - 1) * row + (depth - 1) * step < a.len(), "tile: the left operand is too short");
    // One pointer per row: the products then need no arithmetic besides one offset for all of them.
    let mut rows = [a.as_ptr(); M];
    for (i, at) in rows.iter_mut().enumerate() {
        *at = at.wrapping_add(i * row);
    }
    let mut start = 0;
    for (p, b) in b[..depth * V * S::LANES].chunks_exact(V * S::LANES).enumerate() {
        if let Some(ahead) = ahead {
            simd.fetch(ahead.near, p * LINE);
            simd.fetch_early(ahead.far, p * ahead.step);
        }
        let mut right = [simd.splat(0.0); V];
        for (j, right) in right.iter_mut().enumerate() {
            *right = simd.load(&b[j * S::LANES..]);
        }
        for (at, sums) in rows.iter().zip(&mut sums) {
            // SAFETY: row `i < M` plus `p · step` with `p < depth`: not beyond the index asserted above.
            let x = simd.splat(unsafe { *at.add(start) });
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = simd.mul_add(x, right, *sum);
            }
        }
        start += step;
    }
    sums
}

/// Cuts `$rows` rows into tiles of nearly equal heights, none taller than a full tile of `$vectors` vectors, and runs
/// `$work` for each, with `$first` its first row and the constant `$M` its height.
macro_rules! by_rows {
    ($S:ident, $vectors:expr, $rows:expr, |$first:ident, $M:ident| $work:expr) => {
        by_rows!($S, $vectors, $rows, |$first, $M| $work; 1 2 3 4 5 6 7 8 9 10 11 12)
    };
    ($S:ident, $vectors:expr, $rows:expr, |$first:ident, $M:ident| $work:expr; $($height:literal)*) => {{
        let rows: usize = $rows;
        // Of a single vector twice as many rows fit, up to the last of the heights above.
        let most = ($S::ROWS * 2 / $vectors).min(12);
        let tiles = rows.div_ceil(most);
        let (each, taller) = (rows / tiles.max(1), rows % tiles.max(1));
        let mut $first = 0;
        for i in 0..tiles {
            let height = (each + usize::from(i < taller)).min(most);
            match height {
                $($height => { const $M: usize = $height; $work })*
                _ => {}
            }
            $first += height;
        }
    }};
}
pub(crate) use by_rows;
