//! Eight f32 lanes, for each instruction set: the only vocabulary that kernels are written in.
//!
//! A [`Simd`] value is a token: who holds one may use its instructions. Tokens of sets that a machine may lack are made
//! by detection only, so kernels themselves need no `unsafe`.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
mod tile;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
pub(crate) use portable::Portable;
pub(crate) use tile::{COLUMNS, ROWS, Tile, tile};

/// Floats in one vector.
pub(crate) const LANES: usize = 8;

/// Work that is compiled once per instruction set.
///
/// `run` and everything it calls should be `#[inline(always)]`: only then is it compiled with the set's instructions.
pub(crate) trait Kernel {
    /// What the work returns.
    type Output;

    /// Does the work with the instructions of `simd`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Arithmetic on eight lanes.
pub(crate) trait Simd: Copy + Send + Sync {
    /// Eight floats.
    type F: Copy;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::F;
    /// The eight floats of `from`.
    fn load(self, from: &[f32; LANES]) -> Self::F;
    /// Writes all lanes.
    fn store(self, v: Self::F, to: &mut [f32; LANES]);
    /// `a + b`
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a - b`
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b`
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, with one rounding or two.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `c - a * b`, with one rounding or two.
    fn neg_mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The smaller one; `b` when one of them is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// The larger one; `b` when one of them is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `yes` where `x` is below zero, else `no`.
    fn if_negative(self, x: Self::F, yes: Self::F, no: Self::F) -> Self::F;
    /// The magnitude.
    fn abs(self, x: Self::F) -> Self::F;
    /// The nearest integer, ties to even.
    fn round(self, x: Self::F) -> Self::F;
    /// `2^n` for whole `n` in -126..=127, and 0 for -127. Any number when `n` is NaN.
    fn pow2(self, n: Self::F) -> Self::F;
    /// Whether some lane of `a` differs from that of `b`.
    fn any_differs(self, a: Self::F, b: Self::F) -> bool;
    /// Lane `j` of row `i` becomes lane `i` of row `j`.
    fn transpose(self, rows: [Self::F; LANES]) -> [Self::F; LANES];

    /// Of 32 floats those at 0, 4, 8, ..., those at 1, 5, 9, ..., and so on: columns of a row of 4-wide tiles.
    #[inline(always)]
    fn every_fourth(self, v: [Self::F; 4]) -> [Self::F; 4] {
        let mut out = [[0.0; LANES]; 4];
        for (i, v) in v.into_iter().enumerate() {
            for (j, x) in self.lanes(v).into_iter().enumerate() {
                out[j % 4][2 * i + j / 4] = x;
            }
        }
        out.map(|v| self.load(&v))
    }

    /// The inverse of [`Simd::every_fourth`].
    #[inline(always)]
    fn interleave(self, v: [Self::F; 4]) -> [Self::F; 4] {
        let mut out = [[0.0; LANES]; 4];
        for (i, v) in v.into_iter().enumerate() {
            for (j, x) in self.lanes(v).into_iter().enumerate() {
                out[j / 2][j % 2 * 4 + i] = x;
            }
        }
        out.map(|v| self.load(&v))
    }

    /// The first eight floats of `from`, zeros where it is shorter.
    #[inline(always)]
    fn load_some(self, from: &[f32]) -> Self::F {
        if let Some(full) = from.first_chunk::<LANES>() {
            return self.load(full);
        }
        let mut padded = [0.0; LANES];
        padded[..from.len()].copy_from_slice(from);
        self.load(&padded)
    }

    /// Writes as many lanes as `to` holds, at most all.
    #[inline(always)]
    fn store_some(self, v: Self::F, to: &mut [f32]) {
        if let Some(full) = to.first_chunk_mut::<LANES>() {
            self.store(v, full);
            return;
        }
        let mut all = [0.0; LANES];
        self.store(v, &mut all);
        let len = to.len();
        to.copy_from_slice(&all[..len]);
    }

    /// Writes the first lanes to `to`, as many as fit; what lies behind the eighth float stays as it is.
    #[inline(always)]
    fn store_first(self, v: Self::F, to: &mut [f32]) {
        let len = to.len().min(LANES);
        self.store_some(v, &mut to[..len]);
    }

    /// The lanes as an array.
    #[inline(always)]
    fn lanes(self, v: Self::F) -> [f32; LANES] {
        let mut all = [0.0; LANES];
        self.store(v, &mut all);
        all
    }
}
