//! Attention in tiles: the matrix of scores never exists, only a strip of queries by one block of keys of it. A strip is
//! two vectors of queries, one per lane, or one where no more are left.
//!
//! Per strip and block of keys: scores by the micro-kernel, the running maximum, powers of two, the running sum, and
//! the product with the values. Earlier results are scaled down only when a maximum has risen. Keys are never padded,
//! so nothing but true scores reaches a maximum or a sum.

use std::ops::Range;

use rayon::prelude::*;

use crate::error::{Check, KernelError};
use crate::isa::Isa;
use crate::math;
use crate::scratch::Scratch;
use crate::simd::{Kernel, MOST_LANES, Shape, Simd, by_rows, four, tile, zeros};

/// Scores of a strip at most, with keys by strips of sixteen queries: they fill three quarters of a 32 KiB first-level
/// cache.
const SCORES: usize = 384 * 16;
/// Bytes that the keys and values of a group of heads may take, copied to where those of a head lie together.
const GROUP_BYTES: usize = 32 << 20;
/// Floats of a block of keys or of values at most: both together fill half of a second-level cache.
const BLOCK: usize = 32 * 1024;
/// Floats of a task's queries at most. The more queries share a block, the less often it is fetched.
const QUERIES: usize = 10 * 1024;
/// Keys per block are a multiple of this.
const KEYS: usize = 6;
/// Queries of the widest strip.
const MOST_QUERIES: usize = 2 * MOST_LANES;
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
    for group in Group::all(sizes) {
        run_group(isa, sizes, &group, q, k, v, out);
    }
    Ok(())
}

/// Heads of samples that are worked on together: several heads of one sample, or all of several samples.
struct Group {
    samples: Range<usize>,
    heads: Range<usize>,
}

impl Group {
    /// As many heads together as [`GROUP_BYTES`] hold, at least one.
    fn all(Attention { batch, heads, width, keys, .. }: Attention) -> Vec<Self> {
        let head_bytes = keys.saturating_mul(width).saturating_mul(2 * size_of::<f32>());
        let together = (GROUP_BYTES / head_bytes).max(1);
        let (samples, each) = ((together / heads).clamp(1, batch), together.min(heads));
        let mut groups = Vec::new();
        for first in (0..batch).step_by(samples) {
            for head in (0..heads).step_by(each) {
                groups.push(Self { samples: first..batch.min(first + samples), heads: head..heads.min(head + each) });
            }
        }
        groups
    }
}

fn run_group(
    isa: Isa,
    sizes: Attention,
    group: &Group,
    q: Strided<'_>,
    k: Strided<'_>,
    v: Strided<'_>,
    out: &mut [f32],
) {
    let (k, v) = (Heads::of(sizes, group, k), Heads::of(sizes, group, v));
    let row = sizes.heads * sizes.width;
    let per_task = queries_per_task(isa.shape(), sizes.queries, group.samples.len(), sizes.width);
    let mut tasks = Vec::new();
    let samples = out.chunks_mut(sizes.queries * row).enumerate();
    for (sample, out) in samples.skip(group.samples.start).take(group.samples.len()) {
        for (i, out) in out.chunks_mut(per_task * row).enumerate() {
            tasks.push(Task { sizes, group, q, k: &k, v: &v, sample, first: i * per_task, out });
        }
    }
    tasks.into_par_iter().for_each(|task| isa.run(task));
}

/// Keys or values of a group: `[samples, heads, keys, width]`.
enum Heads<'a> {
    /// A single head needs no copy where nothing lies between its rows.
    AsTheyLie(Strided<'a>),
    Copied(Scratch),
}

impl<'a> Heads<'a> {
    fn of(sizes: Attention, group: &Group, from: Strided<'a>) -> Self {
        let Attention { heads, width, keys, .. } = sizes;
        if heads == 1 && from.row == width {
            return Self::AsTheyLie(from);
        }
        let mut copy = Scratch::zeros(group.samples.len() * group.heads.len() * keys * width);
        copy.par_chunks_mut(keys * width).enumerate().for_each(|(i, to)| {
            let (sample, head) = (i / group.heads.len(), i % group.heads.len());
            for (key, to) in to.chunks_exact_mut(width).enumerate() {
                let column = (group.heads.start + head) * width;
                to.copy_from_slice(from.row(group.samples.start + sample, key, column, width));
            }
        });
        Self::Copied(copy)
    }

    /// Rows `from..` of a head.
    #[inline(always)]
    fn rows(&self, sizes: Attention, group: &Group, sample: usize, head: usize, from: usize) -> &[f32] {
        let Attention { width, keys, .. } = sizes;
        match self {
            Self::AsTheyLie(rows) => &rows.data[sample * rows.batch + from * width..],
            Self::Copied(copy) => {
                let (sample, head) = (sample - group.samples.start, head - group.heads.start);
                &copy[((sample * group.heads.len() + head) * keys + from) * width..]
            }
        }
    }
}

/// Fewer queries per task when there would be too few tasks. No query's result depends on it.
fn queries_per_task(shape: Shape, queries: usize, batch: usize, width: usize) -> usize {
    let strip = 2 * shape.lanes;
    let tasks_wanted = 4 * rayon::current_num_threads();
    let even = (queries * batch).div_ceil(tasks_wanted).next_multiple_of(strip);
    let most = (QUERIES / width).next_multiple_of(strip).clamp(4 * strip, 16 * strip);
    even.clamp(strip, most)
}

/// Keys per block. It depends on the width alone, because it decides in which order sums run.
fn keys_per_block(lanes: usize, width: usize) -> usize {
    (BLOCK / width / KEYS * KEYS).clamp(KEYS, SCORES / (2 * lanes))
}

/// Some queries of one sample, with the heads of a group: rows of the result.
struct Task<'a> {
    sizes: Attention,
    group: &'a Group,
    q: Strided<'a>,
    k: &'a Heads<'a>,
    v: &'a Heads<'a>,
    sample: usize,
    first: usize,
    out: &'a mut [f32],
}

impl<'a> Kernel for Task<'a> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let Attention { width, heads, keys, .. } = self.sizes;
        let queries = self.out.len() / (heads * width);
        let per_block = keys_per_block(S::LANES, width);
        let block = per_block.min(keys);
        let mut scores = Scratch::zeros(block * 2 * S::LANES);
        let starts = (0..queries).step_by(2 * S::LANES);
        let mut strips: Vec<Strip> = starts.map(|at| Strip::new(S::LANES, at, queries, width)).collect();
        for head in self.group.heads.clone() {
            for strip in &mut strips {
                match strip.vectors {
                    1 => self.start::<S, 1>(s, strip, head * width),
                    _ => self.start::<S, 2>(s, strip, head * width),
                }
            }
            for from in (0..self.visible(queries)).step_by(per_block) {
                let count = per_block.min(keys - from);
                let rows = |heads: &'a Heads<'a>| heads.rows(self.sizes, self.group, self.sample, head, from);
                let (k, v) = (rows(self.k), rows(self.v));
                for strip in &mut strips {
                    match strip.vectors {
                        1 => self.visit::<S, 1>(s, strip, k, v, from, count, &mut scores),
                        _ => self.visit::<S, 2>(s, strip, k, v, from, count, &mut scores),
                    }
                }
            }
            for strip in &strips {
                match strip.vectors {
                    1 => self.finish::<S, 1>(s, strip, head * width),
                    _ => self.finish::<S, 2>(s, strip, head * width),
                }
            }
        }
    }
}

/// Up to two vectors of queries: one per lane.
struct Strip {
    /// The first query, counted from the task's first.
    at: usize,
    count: usize,
    /// One or two.
    vectors: usize,
    /// `[width, vectors · LANES]`, scaled by `log2(e) / sqrt(width)`.
    query: Scratch,
    largest: [f32; MOST_QUERIES],
    total: [f32; MOST_QUERIES],
    /// `[width, vectors · LANES]`, not yet divided by `total`.
    result: Scratch,
}

impl Strip {
    fn new(lanes: usize, at: usize, queries: usize, width: usize) -> Self {
        let count = (2 * lanes).min(queries - at);
        let vectors = count.div_ceil(lanes);
        Self {
            at,
            count,
            vectors,
            query: Scratch::zeros(width * vectors * lanes),
            largest: [LOWEST; MOST_QUERIES],
            total: [0.0; MOST_QUERIES],
            result: Scratch::zeros(width * vectors * lanes),
        }
    }
}

impl Task<'_> {
    /// How many keys the last query of the task sees, or all of them.
    fn visible(&self, queries: usize) -> usize {
        if self.sizes.causal { self.sizes.keys.min(self.first + queries) } else { self.sizes.keys }
    }

    #[inline(always)]
    fn start<S: Simd, const V: usize>(&self, s: S, strip: &mut Strip, column: usize) {
        let width = self.sizes.width;
        let scale = s.splat(std::f32::consts::LOG2_E / (width as f32).sqrt());
        for vector in 0..V {
            let first = vector * S::LANES;
            let count = strip.count.saturating_sub(first).min(S::LANES);
            let mut rows: [&[f32]; MOST_LANES] = [&[]; MOST_LANES];
            for (i, row) in rows.iter_mut().enumerate().take(count) {
                *row = self.q.row(self.sample, self.first + strip.at + first + i, column, width);
            }
            for (at, to) in (0..width).step_by(4).zip(strip.query.chunks_mut(4 * V * S::LANES)) {
                let columns = if count == S::LANES && at + 4 <= width {
                    s.turn(|i| four(&rows[i][at..]))
                } else {
                    s.turn_some(|i| rows[i].get(at..).unwrap_or(&[]))
                };
                for (column, to) in columns.into_iter().zip(to.chunks_exact_mut(V * S::LANES)) {
                    s.store(s.mul(column, scale), &mut to[first..]);
                }
            }
        }
        strip.largest = [LOWEST; MOST_QUERIES];
        strip.total = [0.0; MOST_QUERIES];
        strip.result.fill(0.0);
    }

    /// Takes `count` keys from key `from` on into account, as far as the strip sees them.
    #[inline(always)]
    fn visit<S: Simd, const V: usize>(
        &self,
        s: S,
        strip: &mut Strip,
        keys: &[f32],
        values: &[f32],
        from: usize,
        count: usize,
        scores: &mut [f32],
    ) {
        let width = self.sizes.width;
        let first = self.first + strip.at;
        let count = if self.sizes.causal { count.min((first + strip.count).saturating_sub(from)) } else { count };
        if count == 0 {
            return;
        }
        let scores = &mut scores[..count * V * S::LANES];
        let mut old = [s.splat(0.0); V];
        for (old, from) in old.iter_mut().zip(strip.largest.chunks_exact(S::LANES)) {
            *old = s.load(from);
        }
        let mut new = old;
        products::<S, V>(s, width, keys, width, 1, &strip.query, scores, Scores { largest: &mut new });
        if self.sizes.causal && from + count > first + 1 {
            hide_later_keys(scores, V * S::LANES, from, first);
            new = old;
            for row in scores.chunks_exact(V * S::LANES) {
                raise(s, &mut new, row);
            }
        }
        let mut sums = [s.splat(0.0); V];
        for row in scores.chunks_exact_mut(V * S::LANES) {
            for (j, (sum, new)) in sums.iter_mut().zip(new).enumerate() {
                let score = &mut row[j * S::LANES..];
                let power = math::exp2_negative(s, s.sub(s.load(score), new));
                *sum = s.add(*sum, power);
                s.store(power, score);
            }
        }
        strip.rescale(s, old, new, sums);
        products::<S, V>(s, count, values, 1, width, scores, &mut strip.result, Results::<V>);
    }

    /// Divides by the sums and writes the strip's rows.
    #[inline(always)]
    fn finish<S: Simd, const V: usize>(&mut self, s: S, strip: &Strip, column: usize) {
        let Attention { width, heads, .. } = self.sizes;
        let row = heads * width;
        let rows = self.out[strip.at * row..][..strip.count * row].chunks_exact_mut(row);
        let mut rows: Vec<&mut [f32]> = rows.map(|row| &mut row[column..column + width]).collect();
        for (vector, rows) in rows.chunks_mut(S::LANES).enumerate() {
            let first = vector * S::LANES;
            let factor = s.div(s.splat(1.0), s.load(&strip.total[first..]));
            for (at, from) in (0..width).step_by(4).zip(strip.result.chunks(4 * V * S::LANES)) {
                let mut columns = [s.splat(0.0); 4];
                for (column, from) in columns.iter_mut().zip(from.chunks_exact(V * S::LANES)) {
                    *column = s.mul(s.load(&from[first..]), factor);
                }
                s.turn_back(columns, |i, row| {
                    if let Some(to) = rows.get_mut(i) {
                        match to[at..].first_chunk_mut() {
                            Some(to) => *to = *row,
                            None => to[at..].copy_from_slice(&row[..width - at]),
                        }
                    }
                });
            }
        }
    }
}

impl Strip {
    /// Adds `sums` to the totals, which like the results shrink where a maximum has risen from `old` to `new`.
    #[inline(always)]
    fn rescale<S: Simd, const V: usize>(&mut self, s: S, old: [S::F; V], new: [S::F; V], sums: [S::F; V]) {
        let mut risen = false;
        let mut factors = [s.splat(1.0); V];
        for j in 0..V {
            let at = j * S::LANES;
            risen |= s.any_differs(old[j], new[j]);
            factors[j] = math::exp2_negative(s, s.sub(old[j], new[j]));
            s.store(s.mul_add(s.load(&self.total[at..]), factors[j], sums[j]), &mut self.total[at..]);
            s.store(new[j], &mut self.largest[at..]);
        }
        if risen {
            for row in self.result.chunks_exact_mut(V * S::LANES) {
                for (factor, part) in factors.iter().zip(row.chunks_exact_mut(S::LANES)) {
                    s.store(s.mul(s.load(part), *factor), part);
                }
            }
        }
    }
}

/// Key `from + i` is hidden from query `first + j` when it comes later.
#[inline(always)]
fn hide_later_keys(scores: &mut [f32], queries: usize, from: usize, first: usize) {
    for (i, row) in scores.chunks_exact_mut(queries).enumerate() {
        let hidden = (from + i).saturating_sub(first).min(queries);
        row[..hidden].fill(f32::NEG_INFINITY);
    }
}

/// Raises each maximum to those of a row of scores.
#[inline(always)]
fn raise<S: Simd, const V: usize>(s: S, largest: &mut [S::F; V], row: &[f32]) {
    for (largest, row) in largest.iter_mut().zip(row.chunks_exact(S::LANES)) {
        *largest = s.max(s.load(row), *largest);
    }
}

/// What becomes of sums of products.
trait Put<S: Simd, const V: usize> {
    /// One row of sums goes to `to`.
    fn put(&mut self, s: S, sums: [S::F; V], to: &mut [f32]);
}

/// They are written, and their maxima kept.
struct Scores<'a, F, const V: usize> {
    largest: &'a mut [F; V],
}

impl<S: Simd, const V: usize> Put<S, V> for Scores<'_, S::F, V> {
    #[inline(always)]
    fn put(&mut self, s: S, sums: [S::F; V], to: &mut [f32]) {
        for ((sum, largest), to) in sums.into_iter().zip(&mut *self.largest).zip(to.chunks_exact_mut(S::LANES)) {
            *largest = s.max(sum, *largest);
            s.store(sum, to);
        }
    }
}

/// They are added.
struct Results<const V: usize>;

impl<S: Simd, const V: usize> Put<S, V> for Results<V> {
    #[inline(always)]
    fn put(&mut self, s: S, sums: [S::F; V], to: &mut [f32]) {
        for (sum, to) in sums.into_iter().zip(to.chunks_exact_mut(S::LANES)) {
            s.store(s.add(s.load(to), sum), to);
        }
    }
}

/// Hands `Σ_p a[i · row + p · step] · b[p]` to `put` for every row `i` of `V` vectors in `to`.
#[inline(always)]
fn products<S: Simd, const V: usize>(
    s: S,
    depth: usize,
    a: &[f32],
    row: usize,
    step: usize,
    b: &[f32],
    to: &mut [f32],
    mut put: impl Put<S, V>,
) {
    let queries = V * S::LANES;
    by_rows!(S, V, to.len() / queries, |first, M| {
        let sums = tile::<S, M, V>(s, depth, &a[first * row..], row, step, b, None, zeros(s));
        for (sums, to) in sums.into_iter().zip(to[first * queries..].chunks_exact_mut(queries)) {
            put.put(s, sums, to);
        }
    });
}
