//! The products `M = U V` of some output channels, and their way back into the image: `Aᵀ M A + bias`.

use super::plan::{POINTS, Plan, SIDE};
use super::weights;
use crate::simd::{COLUMNS, Kernel, LANES, ROWS, Simd, Tile, tile};

/// Products summed up in one go. The transforms magnify rounding, so sums are kept short and added up afterwards.
const DEPTH: usize = 128;

/// Some output channels of all panels of a group.
pub(super) struct Block<'a> {
    pub(super) plan: Plan,
    pub(super) weight: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) first_output: usize,
    /// The group's first panel, counted over all images.
    pub(super) first_panel: usize,
    /// `[panels][36][inputs][16]`
    pub(super) image: &'a [f32],
    /// The block's channels of the first image, then of the next one.
    pub(super) planes: Vec<&'a mut [f32]>,
    pub(super) scratch: &'a mut [f32],
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { plan, weight, bias, first_output, first_panel, image, mut planes, scratch } = self;
        let inputs = plan.sizes.inputs;
        let outputs = plan.outputs.min(plan.sizes.outputs - first_output);
        let (transformed, products) = scratch.split_at_mut(plan.weights_len());
        let per_point = plan.outputs * plan.row_len();
        let panel = POINTS * plan.product_len();
        let weight = &weight[first_output * inputs * 9..][..outputs * inputs * 9];
        let biases = |output: usize| bias.get(first_output + output).copied().unwrap_or(0.0);
        for (i, image) in image.chunks(plan.panels_at_once() * plan.panel_len()).enumerate() {
            let panels = image.len() / plan.panel_len();
            for from in (0..inputs).step_by(plan.piece) {
                let piece = from..inputs.min(from + plan.piece);
                // A single piece stays transformed for all panels; with several, all panels come at once.
                if i == 0 {
                    weights::transform(s, weight, inputs, piece.clone(), plan.row_len(), per_point, transformed);
                }
                for (point, transformed) in transformed.chunks_exact(per_point).enumerate() {
                    for (image, products) in image.chunks_exact(plan.panel_len()).zip(products.chunks_exact_mut(panel))
                    {
                        let v = &image[point * plan.point_len()..][piece.start * COLUMNS..piece.end * COLUMNS];
                        let m = &mut products[point * plan.product_len()..][..outputs * COLUMNS];
                        multiply(s, transformed, plan.row_len(), v, from == 0, m);
                    }
                }
            }
            let tile = (first_panel + i * plan.panels_at_once()) * COLUMNS;
            for (j, products) in products.chunks_exact(panel).take(panels).enumerate() {
                for output in 0..outputs {
                    for half in 0..2 {
                        let m = &products[output * COLUMNS + half * LANES..];
                        let lines = both_ways(s, m, plan.product_len(), biases(output));
                        write(s, &plan, tile + j * COLUMNS + half * LANES, output, outputs, &lines, &mut planes);
                    }
                }
            }
        }
    }
}

/// `m[o] = Σ_i u[o][i] v[i]` for every output channel of `m` `[outputs][16]`, or `+=` unless `first`.
#[inline(always)]
fn multiply<S: Simd>(s: S, u: &[f32], row: usize, v: &[f32], first: bool, m: &mut [f32]) {
    for (i, m) in m.chunks_mut(ROWS * COLUMNS).enumerate() {
        let u = &u[i * ROWS * row..];
        match m.len() / COLUMNS {
            1 => put::<S, 1>(s, u, row, v, first, m),
            2 => put::<S, 2>(s, u, row, v, first, m),
            3 => put::<S, 3>(s, u, row, v, first, m),
            4 => put::<S, 4>(s, u, row, v, first, m),
            5 => put::<S, 5>(s, u, row, v, first, m),
            _ => put::<S, ROWS>(s, u, row, v, first, m),
        }
    }
}

#[inline(always)]
fn put<S: Simd, const M: usize>(s: S, u: &[f32], row: usize, v: &[f32], first: bool, m: &mut [f32]) {
    let mut total: Tile<S, M> = [[s.splat(0.0); 2]; M];
    let (rows, _) = m.as_chunks_mut::<LANES>();
    let (rows, _) = rows.as_chunks_mut::<2>();
    if !first {
        for (total, m) in total.iter_mut().zip(rows.iter()) {
            *total = [s.load(&m[0]), s.load(&m[1])];
        }
    }
    for (i, v) in v.chunks(DEPTH * COLUMNS).enumerate() {
        let sums: Tile<S, M> = tile(s, v.len() / COLUMNS, &u[i * DEPTH..], row, 1, v, [[s.splat(0.0); 2]; M]);
        for (total, sums) in total.iter_mut().zip(sums) {
            *total = [s.add(total[0], sums[0]), s.add(total[1], sums[1])];
        }
    }
    for (total, m) in total.iter().zip(rows) {
        s.store(total[0], &mut m[0]);
        s.store(total[1], &mut m[1]);
    }
}

/// The 4x4 outputs of eight tiles: `[row][column]`, a lane for each tile. In `m` the points lie `point_len` apart.
#[inline(always)]
fn both_ways<S: Simd>(s: S, m: &[f32], point_len: usize, bias: f32) -> [[S::F; SIDE]; SIDE] {
    let mut tall = [[s.splat(0.0); 6]; SIDE];
    for j in 0..6 {
        let mut column = [s.splat(0.0); 6];
        for (i, column) in column.iter_mut().enumerate() {
            *column = s.load_some(&m[(6 * i + j) * point_len..][..LANES]);
        }
        let column = one_way(s, column);
        for i in 0..SIDE {
            tall[i][j] = column[i];
        }
    }
    let bias = s.splat(bias);
    let mut lines = [[bias; SIDE]; SIDE];
    for (line, tall) in lines.iter_mut().zip(tall) {
        let row = one_way(s, tall);
        for j in 0..SIDE {
            line[j] = s.add(row[j], bias);
        }
    }
    lines
}

/// `Aᵀ m`.
#[inline(always)]
fn one_way<S: Simd>(s: S, m: [S::F; 6]) -> [S::F; SIDE] {
    let (sum, difference) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
    let (wide_sum, wide_difference) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
    [
        s.add(m[0], s.add(sum, wide_sum)),
        s.mul_add(s.splat(2.0), wide_difference, difference),
        s.mul_add(s.splat(4.0), wide_sum, sum),
        s.add(m[5], s.mul_add(s.splat(8.0), wide_difference, difference)),
    ]
}

/// Writes eight tiles of one output channel, as far as they lie in the image.
#[inline(always)]
fn write<S: Simd>(
    s: S,
    plan: &Plan,
    first: usize,
    output: usize,
    outputs: usize,
    lines: &[[S::F; SIDE]; SIDE],
    planes: &mut [&mut [f32]],
) {
    let ([height, width], [tile_rows, tile_columns]) = (plan.sizes.output(), plan.sizes.tile_grid());
    let count = LANES.min(plan.sizes.tiles().saturating_sub(first));
    let row_of = |tile: usize| (tile / (tile_rows * tile_columns), tile / tile_columns % tile_rows * SIDE);
    for (i, line) in lines.iter().enumerate() {
        let pixels = s.interleave(*line);
        let column = first % tile_columns * SIDE;
        if count == LANES && column + LANES * SIDE <= width {
            let (image, row) = row_of(first);
            if row + i < height {
                let to = &mut planes[image * outputs + output][(row + i) * width + column..][..LANES * SIDE];
                for (pixels, to) in pixels.iter().zip(to.as_chunks_mut().0) {
                    s.store(*pixels, to);
                }
            }
            continue;
        }
        for tile in 0..count {
            let ((image, row), column) = (row_of(first + tile), (first + tile) % tile_columns * SIDE);
            if row + i < height {
                let pixels = s.lanes(pixels[tile / 2]);
                let to = &mut planes[image * outputs + output][(row + i) * width + column..(row + i + 1) * width];
                let len = to.len().min(SIDE);
                to[..len].copy_from_slice(&pixels[tile % 2 * SIDE..][..len]);
            }
        }
    }
}
