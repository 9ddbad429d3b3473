//! Matrix products `left · right + bias` with the left operand read where it lies and the right one packed into panels
//! two vectors wide while it is used. Linear layers and the convolutions without Winograd are made of it.

use std::ops::Range;

use rayon::prelude::*;

use crate::isa::Isa;
use crate::scratch::Scratch;
use crate::simd::{Kernel, Shape, Simd, by_rows, tile, zeros};

/// Products summed up in one go: with vectors of eight lanes, a panel of 384 rows leaves room for the left operand in a
/// first-level cache.
const DEPTH: usize = 384;
/// The same with longer vectors, whose panels may come from a second-level cache: four times as much work is done for
/// each number of a panel. Shorter sums would go over a large result once more.
const LONG_DEPTH: usize = 768;
/// Rows of a task at most: with 384 columns of the left operand they fill three quarters of a second-level cache.
const TASK_ROWS: usize = 240;
/// The same on machines with longer vectors, whose second-level caches are larger.
const LONG_TASK_ROWS: usize = 480;

/// The right operand of a product, by panels.
pub(crate) trait Right: Copy + Send + Sync {
    /// Writes rows `depth` of the columns from `column` on into `to` `[depth][vectors · LANES]`, zeros behind the last
    /// column.
    fn pack<S: Simd>(&self, s: S, depth: Range<usize>, column: usize, vectors: usize, to: &mut [f32]);
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
        let cut = Cut::of(isa.shape(), out.len() / self.columns, self.columns);
        let mut tasks: Vec<Block<'_, '_, R>> = Vec::new();
        for (i, out) in out.chunks_mut(cut.rows * self.columns).enumerate() {
            let first = tasks.len();
            tasks.extend((0..self.columns).step_by(cut.columns).map(|start| {
                let columns = start..self.columns.min(start + cut.columns);
                Block { gemm: self, first_row: i * cut.rows, columns, out: Vec::new() }
            }));
            for row in out.chunks_mut(self.columns) {
                for (task, part) in tasks[first..].iter_mut().zip(row.chunks_mut(cut.columns)) {
                    task.out.push(part);
                }
            }
        }
        tasks.into_par_iter().for_each(|task| isa.run(task));
    }
}

/// How a product is shared out. No sum depends on it.
struct Cut {
    /// Rows of a task.
    rows: usize,
    /// Columns of a task.
    columns: usize,
}

impl Cut {
    /// As many rows to a task as a cache allows, since each packs the right operand anew; columns are shared out where
    /// that makes too few tasks, and fewer rows to a task only where the columns don't suffice.
    fn of(shape: Shape, rows: usize, columns: usize) -> Self {
        let wanted = 4 * rayon::current_num_threads();
        let most = if shape.lanes > 8 { LONG_TASK_ROWS } else { TASK_ROWS };
        let panels = columns.div_ceil(2 * shape.lanes);
        let tall = rows.div_ceil(most);
        let wide = wanted.div_ceil(tall).min(panels);
        let tall = tall.max(wanted.div_ceil(wide)).min(rows.div_ceil(shape.rows));
        let rows = rows.div_ceil(tall).next_multiple_of(shape.rows);
        Self { rows, columns: panels.div_ceil(wide) * 2 * shape.lanes }
    }
}

/// Products that go into one sum: of a row of `depth` the first ones, or an even part.
fn piece(lanes: usize, depth: usize) -> usize {
    if lanes > 8 { depth.div_ceil(depth.div_ceil(LONG_DEPTH)) } else { DEPTH.min(depth) }
}

/// Some rows and columns of a product.
struct Block<'a, 'o, R> {
    gemm: Gemm<'a, R>,
    first_row: usize,
    columns: Range<usize>,
    /// The columns of each row.
    out: Vec<&'o mut [f32]>,
}

impl<R: Right> Kernel for Block<'_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let piece = piece(S::LANES, self.gemm.depth);
        let mut panel = Scratch::zeros(piece * 2 * S::LANES);
        for from in (0..self.gemm.depth).step_by(piece) {
            let depth = from..self.gemm.depth.min(from + piece);
            for column in self.columns.clone().step_by(2 * S::LANES) {
                if self.columns.end - column > S::LANES {
                    self.panel::<S, 2>(s, depth.clone(), column, &mut panel);
                } else {
                    self.panel::<S, 1>(s, depth.clone(), column, &mut panel);
                }
            }
        }
    }
}

impl<R: Right> Block<'_, '_, R> {
    /// Adds the products of rows `depth` of the right operand to `V` vectors of columns.
    #[inline(always)]
    fn panel<S: Simd, const V: usize>(&mut self, s: S, depth: Range<usize>, column: usize, panel: &mut [f32]) {
        let panel = &mut panel[..depth.len() * V * S::LANES];
        self.gemm.right.pack(s, depth.clone(), column, V, panel);
        let at = column - self.columns.start;
        by_rows!(S, V, self.out.len(), |first, M| {
            let row = self.first_row + first;
            let strip = Strip { gemm: self.gemm, row, depth: depth.clone(), column, panel: &*panel, at };
            strip.put::<S, M, V>(s, &mut self.out[first..][..M]);
        });
    }
}

/// Some rows of up to two vectors of columns.
struct Strip<'a, 'p, R> {
    gemm: Gemm<'a, R>,
    row: usize,
    depth: Range<usize>,
    column: usize,
    panel: &'p [f32],
    /// Where the columns begin in a row of `out`.
    at: usize,
}

impl<R: Right> Strip<'_, '_, R> {
    #[inline(always)]
    fn put<S: Simd, const M: usize, const V: usize>(&self, s: S, out: &mut [&mut [f32]]) {
        let left = &self.gemm.left[self.row * self.gemm.depth + self.depth.start..];
        let sums = tile::<S, M, V>(s, self.depth.len(), left, self.gemm.depth, 1, self.panel, None, zeros(s));
        for (i, (sums, out)) in sums.iter().zip(out).enumerate() {
            let out = &mut out[self.at..];
            let width = out.len().min(V * S::LANES);
            for (j, out) in out[..width].chunks_mut(S::LANES).enumerate() {
                let before = if self.depth.start == 0 { self.bias(s, i, j) } else { s.load_some(out) };
                s.store_some(s.add(before, sums[j]), out);
            }
        }
    }

    #[inline(always)]
    fn bias<S: Simd>(&self, s: S, row: usize, vector: usize) -> S::F {
        match self.gemm.bias {
            Bias::None => s.splat(0.0),
            Bias::Row(bias) => s.splat(bias[self.row + row]),
            Bias::Column(bias) => s.load_some(&bias[self.column + vector * S::LANES..]),
        }
    }
}
