//! The products `M = U V` of some output channels, and their way back into the image: `Aᵀ M A + bias`.

use super::{POINTS, Plan, SIDE, weights};
use crate::simd::{COLUMNS, Kernel, LANES, ROWS, Simd, Tile, tile};

/// Panels whose products are kept at once: those of 24 output channels fill half of a second-level cache.
pub(super) const PANELS: usize = 4;
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
        let weight = &weight[first_output * inputs * 9..][..outputs * inputs * 9];
        weights::transform(s, weight, inputs, plan.row_len(), per_point, transformed);
        let biases = |output: usize| bias.get(first_output + output).copied().unwrap_or(0.0);
        for (i, image) in image.chunks(PANELS * plan.panel_len()).enumerate() {
            let panels = image.len() / plan.panel_len();
            for (point, transformed) in transformed.chunks_exact(per_point).enumerate() {
                for panel in 0..panels {
                    let v = &image[panel * plan.panel_len() + point * inputs * COLUMNS..][..inputs * COLUMNS];
                    let m = &mut products[panel * outputs * POINTS * COLUMNS..][..outputs * POINTS * COLUMNS];
                    multiply(s, transformed, plan.row_len(), v, point, m);
                }
            }
            let tile = (first_panel + i * PANELS) * COLUMNS;
            for (panel, m) in products.chunks_exact(outputs * POINTS * COLUMNS).take(panels).enumerate() {
                for (output, m) in m.chunks_exact(POINTS * COLUMNS).enumerate() {
                    for half in 0..2 {
                        let tile = tile + panel * COLUMNS + half * LANES;
                        let lines = both_ways(s, m, half, biases(output));
                        write(s, &plan, tile, output, outputs, &lines, &mut planes);
                    }
                }
            }
        }
    }
}

/// `m[o][point] = Σ_i u[o][i] v[i]` for every output channel of `m` `[outputs][36][16]`.
#[inline(always)]
fn multiply<S: Simd>(s: S, u: &[f32], row: usize, v: &[f32], point: usize, m: &mut [f32]) {
    for (i, v) in v.chunks(DEPTH * COLUMNS).enumerate() {
        let first = i == 0;
        for (j, m) in m.chunks_mut(ROWS * POINTS * COLUMNS).enumerate() {
            let u = &u[j * ROWS * row + i * DEPTH..];
            match m.len() / (POINTS * COLUMNS) {
                1 => put::<S, 1>(s, u, row, v, point, first, m),
                2 => put::<S, 2>(s, u, row, v, point, first, m),
                3 => put::<S, 3>(s, u, row, v, point, first, m),
                4 => put::<S, 4>(s, u, row, v, point, first, m),
                5 => put::<S, 5>(s, u, row, v, point, first, m),
                _ => put::<S, ROWS>(s, u, row, v, point, first, m),
            }
        }
    }
}

#[inline(always)]
fn put<S: Simd, const M: usize>(s: S, u: &[f32], row: usize, v: &[f32], point: usize, first: bool, m: &mut [f32]) {
    let sums: Tile<S, M> = tile(s, v.len() / COLUMNS, u, row, 1, v, [[s.splat(0.0); 2]; M]);
    for (sums, m) in sums.iter().zip(m.chunks_exact_mut(POINTS * COLUMNS)) {
        for (sum, m) in sums.iter().zip(m[point * COLUMNS..].as_chunks_mut::<LANES>().0) {
            let sum = if first { *sum } else { s.add(s.load(m), *sum) };
            s.store(sum, m);
        }
    }
}

/// The 4x4 outputs of eight tiles: `[row][column]`, a lane for each tile.
#[inline(always)]
fn both_ways<S: Simd>(s: S, m: &[f32], half: usize, bias: f32) -> [[S::F; SIDE]; SIDE] {
    let mut tall = [[s.splat(0.0); 6]; SIDE];
    for j in 0..6 {
        let mut column = [s.splat(0.0); 6];
        for (i, column) in column.iter_mut().enumerate() {
            *column = s.load_some(&m[(6 * i + j) * COLUMNS + half * LANES..][..LANES]);
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
