//! What a vector of f32 lanes can do, whatever its length.

/// Floats in a line of the cache.
pub(crate) const LINE: usize = 16;
/// Lanes of the longest vector.
pub(crate) const MOST_LANES: usize = 16;

/// Work that is compiled once per instruction set.
///
/// `run` and everything it calls should be `#[inline(always)]`: only then is it compiled with the set's instructions.
pub(crate) trait Kernel {
    /// What the work returns.
    type Output;

    /// Does the work with the instructions of `simd`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// What the sizes of blocks follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Floats in one vector.
    pub(crate) lanes: usize,
    /// Rows of a full tile that is two vectors wide.
    pub(crate) rows: usize,
}

/// The first four floats of a slice that holds as many.
#[inline(always)]
pub(crate) fn four(from: &[f32]) -> &[f32; 4] {
    let (fours, _) = from[..4].as_chunks();
    &fours[0]
}

/// Arithmetic on a vector of lanes.
pub(crate) trait Simd: Copy + Send + Sync {
    /// Floats in one vector, at most [`MOST_LANES`].
    const LANES: usize;
    /// Rows of a full tile that is two vectors wide: as many as leave some registers for operands.
    const ROWS: usize;

    /// `LANES` floats.
    type F: Copy;
    /// `LANES` floats in memory.
    type Array: Copy + AsRef<[f32]>;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::F;
    /// The first `LANES` floats of `from`, which must hold as many.
    fn load(self, from: &[f32]) -> Self::F;
    /// Writes all lanes to the beginning of `to`, which must have room for them.
    fn store(self, v: Self::F, to: &mut [f32]);
    /// The lanes as an array.
    fn lanes(self, v: Self::F) -> Self::Array;
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
    /// Rows of four floats, `LANES` of them, as four columns: lane `i` of column `j` is float `j` of `row(i)`.
    fn turn<'a>(self, row: impl Fn(usize) -> &'a [f32; 4]) -> [Self::F; 4];
    /// The same of rows that may be shorter than four, or of any length: zeros where they end.
    #[inline(always)]
    fn turn_some<'a>(self, row: impl Fn(usize) -> &'a [f32]) -> [Self::F; 4] {
        let mut padded = [[0.0; 4]; MOST_LANES];
        for (i, padded) in padded.iter_mut().enumerate().take(Self::LANES) {
            let row = row(i);
            let len = row.len().min(4);
            padded[..len].copy_from_slice(&row[..len]);
        }
        self.turn(|i| &padded[i])
    }

    /// The inverse of [`Simd::turn`]: hands out each row with its number, in any order.
    fn turn_back(self, columns: [Self::F; 4], put: impl FnMut(usize, &[f32; 4]));

    /// `p · 2^n` for whole `n` in -150..=128. NaN when `p` is.
    #[inline(always)]
    fn scale(self, p: Self::F, n: Self::F) -> Self::F {
        // Two factors: the exponent reaches further than one factor can.
        let half = self.round(self.mul(n, self.splat(0.5)));
        self.mul(self.mul(p, self.pow2(half)), self.pow2(self.sub(n, half)))
    }

    /// The nearest whole number, and what `x` has beyond it; for `x` of -127 instead of anything below.
    #[inline(always)]
    fn whole_and_rest(self, x: Self::F) -> (Self::F, Self::F) {
        // The argument comes second, where `max` lets a NaN through.
        let x = self.max(self.splat(-127.0), x);
        let n = self.round(x);
        (n, self.sub(x, n))
    }

    /// `p · 2^n` for whole `n` in -126..=0, and 0 for what lies below. NaN when `p` is.
    #[inline(always)]
    fn scale_down(self, p: Self::F, n: Self::F) -> Self::F {
        self.mul(p, self.pow2(n))
    }

    /// The sum of all lanes of all parts in f64.
    #[inline(always)]
    fn wide_sum(self, parts: [Self::F; 4]) -> f64 {
        let mut total = 0.0;
        for part in parts {
            for &lane in self.lanes(part).as_ref() {
                total += f64::from(lane);
            }
        }
        total
    }

    /// Lets the line of the cache that holds `from[at]` come near. No effect but on time; `at` may lie anywhere.
    #[inline(always)]
    fn fetch(self, from: &[f32], at: usize) {
        let _ = (from, at);
    }

    /// The same, for what will be needed after much else: into the second level.
    #[inline(always)]
    fn fetch_early(self, from: &[f32], at: usize) {
        let _ = (from, at);
    }

    /// The same, for what will be written.
    #[inline(always)]
    fn fetch_to_write(self, from: &[f32], at: usize) {
        let _ = (from, at);
    }

    /// The first floats of `from`, zeros where it is shorter than a vector.
    #[inline(always)]
    fn load_some(self, from: &[f32]) -> Self::F {
        if from.len() >= Self::LANES {
            return self.load(from);
        }
        let mut padded = [0.0; MOST_LANES];
        padded[..from.len()].copy_from_slice(from);
        self.load(&padded)
    }

    /// Writes as many lanes as `to` holds, at most all; what lies behind the last lane stays as it is.
    #[inline(always)]
    fn store_some(self, v: Self::F, to: &mut [f32]) {
        if to.len() >= Self::LANES {
            self.store(v, to);
            return;
        }
        let all = self.lanes(v);
        let len = to.len();
        to.copy_from_slice(&all.as_ref()[..len]);
    }
}
