//! Matrix products `left · right + bias` with the left operand read where it lies and the right one packed into panels of
//! sixteen columns while it is used. Linear layers and the convolutions without Winograd are made of it.

use std::ops::Range;

use rayon::prelude::*;

use crate::isa::Isa;
use crate::simd::{COLUMNS, Kernel, LANES, ROWS, Simd, Tile, tile};

/// Products summed up in one go: a panel of 384 rows of 16 leaves room for the left operand in a first-level cache.
const DEPTH: usize = 384;
/// Rows of a task at most: with 384 columns of the left operand they fill three quarters of a second-level cache.
const TASK_ROWS: usize = 240;
/// Below this many rows per task packing weighs too much, and tasks share out columns instead.
const FEW_ROWS: usize = 48;

/// The right operand of a product, by panels.
pub(crate) trait Right: Copy + Sync {
    /// Writes rows `depth` of the columns from `column` on into `to` `[depth][16]`, zeros behind the last column.
    fn pack<S: Simd>(&self, s: S, depth: Range<usize>, column: usize, to: &mut [f32]);
}

/// What is added to each sum.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bias<'a> {
    None,
    /// One number for each row of the result.
    Row(&'a [f32]),
    /// One number for each column of the result.
    Column(&'a [f32]),
}

/// `[rows, depth] · [depth, columns]`, none of them 0.
#[derive(Clone, Copy)]
pub(crate) struct Gemm<'a, R> {
    pub(crate) columns: usize,
    pub(crate) depth: usize,
    /// `[rows, depth]`, dense.
    pub(crate) left: &'a [f32],
    pub(crate) right: R,
    pub(crate) bias: Bias<'a>,
}

impl<R: Right> Gemm<'_, R> {
    /// Writes the product into `out` `[rows, columns]`. Every sum runs in the same order on any number of threads.
    pub(crate) fn run(self, isa: Isa, out: &mut [f32]) {
        let rows = out.len() / self.columns;
        let tasks = 4 * rayon::current_num_threads();
        let per_task = rows.div_ceil(tasks).next_multiple_of(ROWS).min(TASK_ROWS);
        if per_task < FEW_ROWS && self.columns >= 2 * COLUMNS {
            self.by_columns(isa, self.columns.div_ceil(tasks).next_multiple_of(COLUMNS), out);
            return;
        }
        out.par_chunks_mut(per_task * self.columns).enumerate().for_each(|(i, out)| {
            isa.run(Block { gemm: self, first_row: i * per_task, columns: 0..self.columns, out });
        });
    }

    /// Each task makes some columns of all rows in scratch of its own; the rows are put together afterwards.
    fn by_columns(self, isa: Isa, per_task: usize, out: &mut [f32]) {
        let rows = out.len() / self.columns;
        let starts: Vec<usize> = (0..self.columns).step_by(per_task).collect();
        let parts: Vec<Vec<f32>> = starts
            .into_par_iter()
            .map(|start| {
                let columns = start..self.columns.min(start + per_task);
                let mut part = vec![0.0; rows * columns.len()];
                isa.run(Block { gemm: self, first_row: 0, columns, out: &mut part });
                part
            })
            .collect();
        out.par_chunks_mut(self.columns).enumerate().for_each(|(row, out)| {
            for (out, part) in out.chunks_mut(per_task).zip(&parts) {
                out.copy_from_slice(&part[row * out.len()..][..out.len()]);
            }
        });
    }
}

/// Some rows and columns of a product, dense in `out`.
struct Block<'a, 'o, R> {
    gemm: Gemm<'a, R>,
    first_row: usize,
    columns: Range<usize>,
    out: &'o mut [f32],
}

impl<R: Right> Kernel for Block<'_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { gemm, first_row, columns, out } = self;
        let width = columns.len();
        let mut panel = vec![0.0; DEPTH.min(gemm.depth) * COLUMNS];
        for from in (0..gemm.depth).step_by(DEPTH) {
            let depth = from..gemm.depth.min(from + DEPTH);
            for column in columns.clone().step_by(COLUMNS) {
                let panel = &mut panel[..depth.len() * COLUMNS];
                gemm.right.pack(s, depth.clone(), column, panel);
                let at = column - columns.start;
                for (i, out) in out.chunks_mut(ROWS * width).enumerate() {
                    let row = first_row + i * ROWS;
                    let strip = Strip { gemm, row, depth: depth.clone(), column, panel, width, at };
                    strip.run(s, out);
                }
            }
        }
    }
}

/// Up to six rows of up to sixteen columns.
struct Strip<'a, 'p, R> {
    gemm: Gemm<'a, R>,
    row: usize,
    depth: Range<usize>,
    column: usize,
    panel: &'p [f32],
    /// Elements from one row of `out` to the next.
    width: usize,
    /// Where the columns begin in a row of `out`.
    at: usize,
}

impl<R: Right> Strip<'_, '_, R> {
    #[inline(always)]
    fn run<S: Simd>(&self, s: S, out: &mut [f32]) {
        match out.len() / self.width {
            1 => self.put::<S, 1>(s, out),
            2 => self.put::<S, 2>(s, out),
            3 => self.put::<S, 3>(s, out),
            4 => self.put::<S, 4>(s, out),
            5 => self.put::<S, 5>(s, out),
            _ => self.put::<S, ROWS>(s, out),
        }
    }

    #[inline(always)]
    fn put<S: Simd, const M: usize>(&self, s: S, out: &mut [f32]) {
        let left = &self.gemm.left[self.row * self.gemm.depth + self.depth.start..];
        let zeros: Tile<S, M> = [[s.splat(0.0); 2]; M];
        let sums = tile(s, self.depth.len(), left, self.gemm.depth, 1, self.panel, zeros);
        for (i, (sums, out)) in sums.iter().zip(out.chunks_exact_mut(self.width)).enumerate() {
            let end = self.width.min(self.at + COLUMNS);
            for (half, out) in out[self.at..end].chunks_mut(LANES).enumerate() {
                let before = if self.depth.start == 0 { self.bias(s, i, half) } else { s.load_some(out) };
                s.store_some(s.add(before, sums[half]), out);
            }
        }
    }

    #[inline(always)]
    fn bias<S: Simd>(&self, s: S, row: usize, half: usize) -> S::F {
        match self.gemm.bias {
            Bias::None => s.splat(0.0),
            Bias::Row(bias) => s.splat(bias[self.row + row]),
            Bias::Column(bias) => s.load_some(&bias[self.column + half * LANES..]),
        }
    }
}
