//! Normalisation over groups of channels and over rows. Sums run in f32 within a block, in f64 between blocks.

use rayon::prelude::*;

use crate::error::{Check, KernelError};
use crate::isa::Isa;
use crate::math;
use crate::simd::{Kernel, Simd};

/// Elements per block of a sum: 16 KiB, so that the second look at them finds them in the first-level cache.
const BLOCK: usize = 4096;
/// Rows that one task normalises.
const ROWS_PER_TASK: usize = 32;

/// The sizes of a group normalisation over `[batch, channels, pixels]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupNorm {
    /// Channels of a sample.
    pub channels: usize,
    /// Pixels of a channel, height times width.
    pub pixels: usize,
    /// Groups that the channels are divided into.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f64,
    /// Whether SiLU follows.
    pub silu: bool,
}

/// `(x - mean) / sqrt(variance + eps) · gamma + beta` with mean and biased variance over each group of each sample.
///
/// # Shapes
/// `x` and `out` `[batch, channels, pixels]`, `gamma` and `beta` `[channels]`.
/// # Errors
/// [`KernelError`] when lengths do not fit or `groups` does not divide the channels.
pub fn group_norm(
    isa: Isa,
    sizes: GroupNorm,
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    out: &mut [f32],
) -> Result<(), KernelError> {
    let check = Check("group_norm");
    let GroupNorm { channels, pixels, groups, .. } = sizes;
    check.divides("groups", groups, channels)?;
    check.len("gamma", gamma.len(), channels)?;
    check.len("beta", beta.len(), channels)?;
    check.len("out", out.len(), x.len())?;
    if x.is_empty() {
        return Ok(());
    }
    check.divides("channels and pixels", check.product("x", &[channels, pixels])?, x.len())?;
    let per_group = channels / groups;
    let len = per_group * pixels;
    out.par_chunks_mut(len).zip(x.par_chunks(len)).enumerate().for_each(|(i, (out, x))| {
        let first = i % groups * per_group;
        let (gamma, beta) = (&gamma[first..first + per_group], &beta[first..first + per_group]);
        isa.run(Group { sizes, x, gamma, beta, out });
    });
    Ok(())
}

/// Layer normalisation of rows: `(x - mean) / sqrt(variance + eps) · gamma + beta`, biased variance.
///
/// # Shapes
/// `x` and `out` `[rows, gamma.len()]`, `beta` as long as `gamma`.
/// # Errors
/// [`KernelError`] when lengths do not fit.
pub fn layer_norm(
    isa: Isa,
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    eps: f64,
    out: &mut [f32],
) -> Result<(), KernelError> {
    let check = Check("layer_norm");
    check.divides("gamma", gamma.len(), x.len())?;
    check.len("beta", beta.len(), gamma.len())?;
    check.len("out", out.len(), x.len())?;
    let len = ROWS_PER_TASK * gamma.len();
    out.par_chunks_mut(len).zip(x.par_chunks(len)).for_each(|(out, x)| isa.run(Rows { x, gamma, beta, eps, out }));
    Ok(())
}

/// Root-mean-square normalisation of rows: `x / sqrt(mean(x²) + eps) · gamma`.
///
/// # Shapes
/// `x` and `out` `[rows, gamma.len()]`.
/// # Errors
/// [`KernelError`] when lengths do not fit.
pub fn rms_norm(isa: Isa, x: &[f32], gamma: &[f32], eps: f64, out: &mut [f32]) -> Result<(), KernelError> {
    let check = Check("rms_norm");
    check.divides("gamma", gamma.len(), x.len())?;
    check.len("out", out.len(), x.len())?;
    let len = (8 * BLOCK / gamma.len()).max(1) * gamma.len();
    out.par_chunks_mut(len).zip(x.par_chunks(len)).for_each(|(out, x)| isa.run(Rms { x, gamma, eps, out }));
    Ok(())
}

struct Group<'a> {
    sizes: GroupNorm,
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { sizes, x, gamma, beta, out } = self;
        let moments = Moments::of(s, x);
        let factor = moments.inverse_deviation(sizes.eps);
        let channels = x.chunks_exact(sizes.pixels).zip(out.chunks_exact_mut(sizes.pixels));
        let mean = moments.mean as f32;
        for ((x, out), (&gamma, &beta)) in channels.zip(gamma.iter().zip(beta)) {
            let scale = (f64::from(gamma) * factor) as f32;
            scale_shift(s, x, Affine { mean, scale, shift: beta }, sizes.silu, out);
        }
    }
}

/// `(x - mean) · scale + shift`. The mean goes first: folded into the shift it would cost the digits of groups that
/// hardly vary.
#[derive(Clone, Copy)]
struct Affine {
    mean: f32,
    scale: f32,
    shift: f32,
}

#[inline(always)]
fn scale_shift<S: Simd>(s: S, x: &[f32], affine: Affine, silu: bool, out: &mut [f32]) {
    let (mean, scale, shift) = (s.splat(affine.mean), s.splat(affine.scale), s.splat(affine.shift));
    for (x, out) in x.chunks(S::LANES).zip(out.chunks_mut(S::LANES)) {
        let y = s.mul_add(s.sub(s.load_some(x), mean), scale, shift);
        let y = if silu { math::swish(s, y, 1.0) } else { y };
        s.store_some(y, out);
    }
}

struct Rows<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    eps: f64,
    out: &'a mut [f32],
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, gamma, beta, eps, out } = self;
        let width = gamma.len();
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let moments = Moments::of(s, x);
            let (mean, factor) = (s.splat(moments.mean as f32), s.splat(moments.inverse_deviation(eps) as f32));
            let weights = gamma.chunks(S::LANES).zip(beta.chunks(S::LANES));
            for ((x, out), (gamma, beta)) in x.chunks(S::LANES).zip(out.chunks_mut(S::LANES)).zip(weights) {
                let normal = s.mul(s.sub(s.load_some(x), mean), factor);
                s.store_some(s.mul_add(normal, s.load_some(gamma), s.load_some(beta)), out);
            }
        }
    }
}

struct Rms<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    eps: f64,
    out: &'a mut [f32],
}

impl Kernel for Rms<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, gamma, eps, out } = self;
        let width = gamma.len();
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let squares: f64 = x.chunks(BLOCK).map(|block| sums(s, block, 0.0).1).sum();
            let factor = s.splat((1.0 / (squares / width as f64 + eps).sqrt()) as f32);
            let vectors = x.chunks(S::LANES).zip(gamma.chunks(S::LANES)).zip(out.chunks_mut(S::LANES));
            for ((x, gamma), out) in vectors {
                s.store_some(s.mul(s.mul(s.load_some(x), factor), s.load_some(gamma)), out);
            }
        }
    }
}

/// Mean and sum of squared distances from it.
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// One pass over memory: each block is read twice while it lies in cache, blocks are joined by the update of
    /// Chan, Golub and LeVeque (1979), which does not cancel however far the mean lies from zero.
    #[inline(always)]
    fn of<S: Simd>(s: S, x: &[f32]) -> Self {
        let mut all = Self { count: 0.0, mean: 0.0, squares: 0.0 };
        for block in x.chunks(BLOCK) {
            let count = block.len() as f64;
            let (sum, _) = sums(s, block, 0.0);
            let near = (sum / count) as f32;
            let (rest, squares) = sums(s, block, near);
            let mean = f64::from(near) + rest / count;
            all.join(count, mean, squares - rest * rest / count);
        }
        all
    }

    #[inline(always)]
    fn join(&mut self, count: f64, mean: f64, squares: f64) {
        let total = self.count + count;
        let distance = mean - self.mean;
        self.squares += squares + distance * distance * self.count * count / total;
        self.mean += distance * count / total;
        self.count = total;
    }

    #[inline(always)]
    fn inverse_deviation(&self, eps: f64) -> f64 {
        1.0 / (self.squares / self.count + eps).sqrt()
    }
}

/// `(Σ (x - near), Σ (x - near)²)` over one block.
#[inline(always)]
fn sums<S: Simd>(s: S, block: &[f32], near: f32) -> (f64, f64) {
    let centre = s.splat(near);
    let mut sum = [s.splat(0.0); 4];
    let mut squares = sum;
    let quads = block.chunks_exact(4 * S::LANES);
    let rest = quads.remainder();
    for quad in quads {
        for i in 0..4 {
            let d = s.sub(s.load(&quad[i * S::LANES..]), centre);
            sum[i] = s.add(sum[i], d);
            squares[i] = s.mul_add(d, d, squares[i]);
        }
    }
    let mut totals = (s.wide_sum(sum), s.wide_sum(squares));
    for &x in rest {
        let d = f64::from(x - near);
        totals = (totals.0 + d, totals.1 + d * d);
    }
    totals
}
