//! Attention in tiles: the matrix of scores never exists, only 16 queries by one block of keys of it.
//!
//! Per 16 queries and block of keys: scores by the micro-kernel, the running maximum, powers of two, the running sum, and
//! the product with the values. Earlier results are scaled down only when a maximum has risen. Keys are never padded,
//! so nothing but true scores reaches a maximum or a sum.

use rayon::prelude::*;

use crate::error::{Check, KernelError};
use crate::isa::Isa;
use crate::math;
use crate::simd::{COLUMNS, Kernel, LANES, ROWS, Simd, Tile, tile};

/// Keys per block at most: 384 rows of 16 scores fill three quarters of a 32 KiB first-level cache.
const KEYS: usize = 384;
/// Floats of a block of keys or of values at most: both together fill half of a second-level cache.
const BLOCK: usize = 32 * 1024;
/// Floats of a task's queries at most. The more queries share a block, the less often it is fetched.
const QUERIES: usize = 10 * 1024;
/// Below every true score, yet finite: subtracting it from itself gives 0, not NaN.
const LOWEST: f32 = f32::MIN;

/// The sizes of one attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attention {
    /// Samples.
    pub batch: usize,
    /// Heads, side by side in each row.
    pub heads: usize,
    /// Width of one head.
    pub width: usize,
    /// Rows of the queries and of the result.
    pub queries: usize,
    /// Rows of the keys and the values.
    pub keys: usize,
    /// Whether query `i` sees keys `0..=i` only.
    pub causal: bool,
}

/// A matrix per sample inside of a longer slice: row `t` of sample `b` begins at `b · batch + t · row`, its elements lie
/// one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Strided<'a> {
    /// The elements, the first one of the first row first.
    pub data: &'a [f32],
    /// Elements from one sample to the next.
    pub batch: usize,
    /// Elements from one row to the next.
    pub row: usize,
}

impl<'a> Strided<'a> {
    /// `rows` rows of `width` elements per sample, nothing between them.
    pub fn dense(data: &'a [f32], rows: usize, width: usize) -> Self {
        Self { data, batch: rows * width, row: width }
    }

    #[inline(always)]
    fn row(&self, sample: usize, row: usize, first: usize, len: usize) -> &'a [f32] {
        &self.data[sample * self.batch + row * self.row + first..][..len]
    }
}

/// `softmax(q · kᵀ / sqrt(width)) · v` for each head of each sample.
///
/// # Shapes
/// `q` `[batch, queries, heads · width]`, `k` and `v` `[batch, keys, heads · width]` with free strides, `out` as `q` and
/// dense.
/// # Errors
/// [`KernelError`] when a slice is too short, or there are no keys.
pub fn attention(
    isa: Isa,
    sizes: Attention,
    q: Strided<'_>,
    k: Strided<'_>,
    v: Strided<'_>,
    out: &mut [f32],
) -> Result<(), KernelError> {
    let check = Check("attention");
    let Attention { batch, heads, width, queries, keys, .. } = sizes;
    let row = check.product("out", &[heads, width])?;
    check.len("out", out.len(), check.product("out", &[batch, queries, row])?)?;
    if out.is_empty() {
        return Ok(());
    }
    if keys == 0 {
        return Err(check.error("keys", "at least 1".into(), "0".into()));
    }
    for (name, matrix, rows) in [("q", q, queries), ("k", k, keys), ("v", v, keys)] {
        let last = check.product(name, &[batch - 1, matrix.batch])? + check.product(name, &[rows - 1, matrix.row])?;
        check.reach(name, matrix.data.len(), last + row)?;
    }
    let per_task = queries_per_task(queries, batch, width);
    let mut tasks = Vec::new();
    for (sample, out) in out.chunks_mut(queries * row).enumerate() {
        for (i, out) in out.chunks_mut(per_task * row).enumerate() {
            tasks.push(Task { sizes, q, k, v, sample, first: i * per_task, out });
        }
    }
    tasks.into_par_iter().for_each(|task| isa.run(task));
    Ok(())
}

/// Fewer queries per task when there would be too few tasks. No query's result depends on it.
fn queries_per_task(queries: usize, batch: usize, width: usize) -> usize {
    let tasks_wanted = 4 * rayon::current_num_threads();
    let even = (queries * batch).div_ceil(tasks_wanted).next_multiple_of(COLUMNS);
    let most = (QUERIES / width).next_multiple_of(COLUMNS).clamp(4 * COLUMNS, 16 * COLUMNS);
    even.clamp(COLUMNS, most)
}

/// Keys per block. It depends on the width alone, because it decides in which order sums run.
fn keys_per_block(width: usize) -> usize {
    (BLOCK / width / ROWS * ROWS).clamp(ROWS, KEYS)
}

/// Some queries of one sample, with all heads: a contiguous piece of the result.
struct Task<'a> {
    sizes: Attention,
    q: Strided<'a>,
    k: Strided<'a>,
    v: Strided<'a>,
    sample: usize,
    first: usize,
    out: &'a mut [f32],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let Attention { width, heads, keys, .. } = self.sizes;
        let queries = self.out.len() / (heads * width);
        let per_block = keys_per_block(width);
        let block = per_block.min(keys);
        let mut scratch = Scratch {
            keys: vec![0.0; block * width],
            values: vec![0.0; block * width],
            scores: vec![0.0; block * COLUMNS],
        };
        let mut strips: Vec<Strip> = (0..queries).step_by(COLUMNS).map(|at| Strip::new(at, queries, width)).collect();
        for head in 0..heads {
            for strip in &mut strips {
                self.start(s, strip, head * width);
            }
            for from in (0..self.visible(queries)).step_by(per_block) {
                let count = per_block.min(keys - from);
                copy_block(self.k, self.sample, from, head * width, width, &mut scratch.keys[..count * width]);
                copy_block(self.v, self.sample, from, head * width, width, &mut scratch.values[..count * width]);
                for strip in &mut strips {
                    self.visit(s, strip, from, count, &mut scratch);
                }
            }
            for strip in &strips {
                self.finish(s, strip, head * width);
            }
        }
    }
}

/// What the strips of a task share.
struct Scratch {
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
}

/// Up to 16 queries: one per lane.
struct Strip {
    /// The first query, counted from the task's first.
    at: usize,
    count: usize,
    /// `[width, 16]`, scaled by `log2(e) / sqrt(width)`.
    query: Vec<f32>,
    largest: [f32; COLUMNS],
    total: [f32; COLUMNS],
    /// `[width, 16]`, not yet divided by `total`.
    result: Vec<f32>,
}

impl Strip {
    fn new(at: usize, queries: usize, width: usize) -> Self {
        Self {
            at,
            count: COLUMNS.min(queries - at),
            query: vec![0.0; width * COLUMNS],
            largest: [LOWEST; COLUMNS],
            total: [0.0; COLUMNS],
            result: vec![0.0; width * COLUMNS],
        }
    }
}

#[inline(always)]
fn copy_block(from: Strided<'_>, sample: usize, first: usize, column: usize, width: usize, to: &mut [f32]) {
    for (i, to) in to.chunks_exact_mut(width).enumerate() {
        to.copy_from_slice(from.row(sample, first + i, column, width));
    }
}

impl Task<'_> {
    /// How many keys the last query of the task sees, or all of them.
    fn visible(&self, queries: usize) -> usize {
        if self.sizes.causal { self.sizes.keys.min(self.first + queries) } else { self.sizes.keys }
    }

    #[inline(always)]
    fn start<S: Simd>(&self, s: S, strip: &mut Strip, column: usize) {
        let width = self.sizes.width;
        let scale = std::f32::consts::LOG2_E / (width as f32).sqrt();
        for half in 0..2 {
            for lane in (0..width).step_by(LANES) {
                let mut rows = [s.splat(0.0); LANES];
                for (i, row) in rows.iter_mut().enumerate() {
                    let query = half * LANES + i;
                    if query < strip.count {
                        let from = self.q.row(self.sample, self.first + strip.at + query, column, width);
                        *row = s.mul(s.load_some(&from[lane..]), s.splat(scale));
                    }
                }
                let columns = s.transpose(rows);
                for (column, to) in columns.iter().zip(strip.query[lane * COLUMNS..].chunks_exact_mut(COLUMNS)) {
                    s.store_some(*column, &mut to[half * LANES..][..LANES]);
                }
            }
        }
        strip.largest = [LOWEST; COLUMNS];
        strip.total = [0.0; COLUMNS];
        strip.result.fill(0.0);
    }

    /// Takes `count` keys from key `from` on into account, as far as the strip sees them.
    #[inline(always)]
    fn visit<S: Simd>(&self, s: S, strip: &mut Strip, from: usize, count: usize, scratch: &mut Scratch) {
        let width = self.sizes.width;
        let first = self.first + strip.at;
        let count = if self.sizes.causal { count.min((first + strip.count).saturating_sub(from)) } else { count };
        if count == 0 {
            return;
        }
        let scores = &mut scratch.scores[..count * COLUMNS];
        products::<S, false>(s, width, &scratch.keys, width, 1, &strip.query, scores);
        if self.sizes.causal {
            hide_later_keys(scores, from, first);
        }
        let (low, high) = strip.largest.split_at(LANES);
        let old = [s.load_some(low), s.load_some(high)];
        let mut new = old;
        for row in scores.as_chunks::<LANES>().0.as_chunks::<2>().0 {
            new = [s.max(s.load(&row[0]), new[0]), s.max(s.load(&row[1]), new[1])];
        }
        let mut sums = [s.splat(0.0); 2];
        for row in scores.as_chunks_mut::<LANES>().0.as_chunks_mut::<2>().0 {
            for half in 0..2 {
                let power = math::exp2_negative(s, s.sub(s.load(&row[half]), new[half]));
                sums[half] = s.add(sums[half], power);
                s.store(power, &mut row[half]);
            }
        }
        strip.rescale(s, old, new, sums);
        products::<S, true>(s, count, &scratch.values, 1, width, scores, &mut strip.result);
    }

    /// Divides by the sums and writes the strip's rows.
    #[inline(always)]
    fn finish<S: Simd>(&mut self, s: S, strip: &Strip, column: usize) {
        let Attention { width, heads, .. } = self.sizes;
        for half in 0..2 {
            let total = s.load_some(&strip.total[half * LANES..]);
            let factor = s.div(s.splat(1.0), total);
            for lane in (0..width).step_by(LANES) {
                let mut columns = [s.splat(0.0); LANES];
                for (column, from) in columns.iter_mut().zip(strip.result[lane * COLUMNS..].chunks_exact(COLUMNS)) {
                    *column = s.mul(s.load_some(&from[half * LANES..]), factor);
                }
                let rows = s.transpose(columns);
                for (i, row) in rows.iter().enumerate().take(strip.count.saturating_sub(half * LANES)) {
                    let query = strip.at + half * LANES + i;
                    let to = &mut self.out[query * heads * width + column..][..width];
                    s.store_first(*row, &mut to[lane..]);
                }
            }
        }
    }
}

impl Strip {
    /// Adds `sums` to the totals, which like the results shrink where a maximum has risen from `old` to `new`.
    #[inline(always)]
    fn rescale<S: Simd>(&mut self, s: S, old: [S::F; 2], new: [S::F; 2], sums: [S::F; 2]) {
        let risen = s.any_differs(old[0], new[0]) | s.any_differs(old[1], new[1]);
        for half in 0..2 {
            let lanes = half * LANES..(half + 1) * LANES;
            let factor = math::exp2_negative(s, s.sub(old[half], new[half]));
            let total = s.mul_add(s.load_some(&self.total[lanes.clone()]), factor, sums[half]);
            s.store_some(total, &mut self.total[lanes.clone()]);
            s.store_some(new[half], &mut self.largest[lanes.clone()]);
            if risen {
                for row in self.result.chunks_exact_mut(COLUMNS) {
                    let scaled = s.mul(s.load_some(&row[lanes.clone()]), factor);
                    s.store_some(scaled, &mut row[lanes.clone()]);
                }
            }
        }
    }
}

/// Key `from + i` is hidden from query `first + j` when it comes later.
#[inline(always)]
fn hide_later_keys(scores: &mut [f32], from: usize, first: usize) {
    for (i, row) in scores.chunks_exact_mut(COLUMNS).enumerate() {
        let hidden = (from + i).saturating_sub(first).min(COLUMNS);
        row[..hidden].fill(f32::NEG_INFINITY);
    }
}

/// `to[i] = Σ_p a[i · row + p · step] · b[p]` for every row of 16 in `to`, or `+=` with `ADD`.
#[inline(always)]
fn products<S: Simd, const ADD: bool>(
    s: S,
    depth: usize,
    a: &[f32],
    row: usize,
    step: usize,
    b: &[f32],
    to: &mut [f32],
) {
    for (i, to) in to.chunks_mut(ROWS * COLUMNS).enumerate() {
        let a = &a[i * ROWS * row..];
        match to.len() / COLUMNS {
            1 => put::<S, 1, ADD>(s, tile(s, depth, a, row, step, b, zero(s)), to),
            2 => put::<S, 2, ADD>(s, tile(s, depth, a, row, step, b, zero(s)), to),
            3 => put::<S, 3, ADD>(s, tile(s, depth, a, row, step, b, zero(s)), to),
            4 => put::<S, 4, ADD>(s, tile(s, depth, a, row, step, b, zero(s)), to),
            5 => put::<S, 5, ADD>(s, tile(s, depth, a, row, step, b, zero(s)), to),
            _ => put::<S, ROWS, ADD>(s, tile(s, depth, a, row, step, b, zero(s)), to),
        }
    }
}

#[inline(always)]
fn zero<S: Simd, const M: usize>(s: S) -> Tile<S, M> {
    [[s.splat(0.0); 2]; M]
}

#[inline(always)]
fn put<S: Simd, const M: usize, const ADD: bool>(s: S, sums: Tile<S, M>, to: &mut [f32]) {
    for (sums, to) in sums.iter().zip(to.as_chunks_mut::<LANES>().0.as_chunks_mut::<2>().0) {
        for half in 0..2 {
            let sum = if ADD { s.add(s.load(&to[half]), sums[half]) } else { sums[half] };
            s.store(sum, &mut to[half]);
        }
    }
}
