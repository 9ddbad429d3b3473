//! The products `M = U V` of some output channels, and their way back into the image: `Aᵀ M A + bias`.

use super::place::{Corner, Places};
use super::plan::{POINTS, Plan, SIDE};
use super::weights;
use crate::simd::{Ahead, Kernel, LINE, Simd, Tile, by_rows, tile, zeros};

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
    /// `[panels][36][inputs][columns]`
    pub(super) image: &'a [f32],
    /// The block's channels of the first image, then of the next one.
    pub(super) planes: Vec<&'a mut [f32]>,
    pub(super) scratch: &'a mut [f32],
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.plan.vectors {
            1 => self.multiply::<S, 1>(s),
            _ => self.multiply::<S, 2>(s),
        }
    }
}

impl Block<'_> {
    #[inline(always)]
    fn multiply<S: Simd, const V: usize>(self, s: S) {
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
                    for (j, products) in products.chunks_exact_mut(panel).take(panels).enumerate() {
                        let part = |panel: usize, point: usize| {
                            let at = panel * plan.panel_len() + point * plan.point_len();
                            let v = image.get(at..).unwrap_or(&[]);
                            v.get(piece.start * plan.columns..piece.end * plan.columns).unwrap_or(&[])
                        };
                        let next = if j + 1 < panels { part(j + 1, point) } else { part(0, point + 1) };
                        let m = &mut products[point * plan.product_len()..][..outputs * plan.columns];
                        sums::<S, V>(s, transformed, plan.row_len(), part(j, point), next, from == 0, m);
                    }
                }
            }
            let tile = (first_panel + i * plan.panels_at_once()) * plan.columns;
            for (j, products) in products.chunks_exact(panel).take(panels).enumerate() {
                for vector in 0..V {
                    let places = Places::of(&plan.sizes, tile + j * plan.columns + vector * S::LANES, S::LANES);
                    for output in 0..outputs {
                        let m = &products[output * plan.columns + vector * S::LANES..];
                        if let Some(corner) = places.side_by_side()
                            && output + 1 < outputs
                        {
                            fetch_rows(s, plan.sizes.output()[1], corner, planes[corner.image * outputs + output + 1]);
                        }
                        let lines = both_ways(s, m, plan.product_len(), biases(output));
                        write(s, plan.sizes.output(), &places, &lines, |image| image * outputs + output, &mut planes);
                    }
                }
            }
        }
    }
}

/// `m[o] = Σ_i u[o][i] v[i]` for every output channel of `m` `[outputs][columns]`, or `+=` unless `first`. Meanwhile
/// `next` comes near, which should be the next `v`.
#[inline(always)]
fn sums<S: Simd, const V: usize>(s: S, u: &[f32], row: usize, v: &[f32], next: &[f32], first: bool, m: &mut [f32]) {
    let columns = V * S::LANES;
    let outputs = m.len() / columns;
    // Each tile of sums fetches a part of `next` as large as its part of the output channels.
    let step = columns.div_ceil(outputs.div_ceil(S::ROWS * 2 / V));
    by_rows!(S, V, outputs, |output, M| {
        let near = u.get((output + M) * row..).unwrap_or(&[]);
        let far = next.get(next.len() / outputs * output..).unwrap_or(&[]);
        let ahead = Ahead { near, far, step };
        put::<S, M, V>(s, &u[output * row..], row, v, ahead, first, &mut m[output * columns..(output + M) * columns]);
    });
}

#[inline(always)]
fn put<S: Simd, const M: usize, const V: usize>(
    s: S,
    u: &[f32],
    row: usize,
    v: &[f32],
    ahead: Ahead<'_>,
    first: bool,
    m: &mut [f32],
) {
    let mut total: Tile<S, M, V> = zeros(s);
    if !first {
        for (total, m) in total.as_flattened_mut().iter_mut().zip(m.chunks_exact(S::LANES)) {
            *total = s.load(m);
        }
    }
    for (i, v) in v.chunks(DEPTH * V * S::LANES).enumerate() {
        let near = ahead.near.get(i * DEPTH * LINE..).unwrap_or(&[]);
        let far = ahead.far.get(i * DEPTH * ahead.step..).unwrap_or(&[]);
        let ahead = Some(Ahead { near, far, ..ahead });
        let sums: Tile<S, M, V> = tile(s, v.len() / (V * S::LANES), &u[i * DEPTH..], row, 1, v, ahead, zeros(s));
        for (total, sum) in total.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
            *total = s.add(*total, *sum);
        }
    }
    for (total, m) in total.as_flattened().iter().zip(m.chunks_exact_mut(S::LANES)) {
        s.store(*total, m);
    }
}

/// The 4x4 outputs of a vector of tiles: `[row][column]`, a lane for each tile. In `m` the points lie `point_len` apart.
#[inline(always)]
fn both_ways<S: Simd>(s: S, m: &[f32], point_len: usize, bias: f32) -> [[S::F; SIDE]; SIDE] {
    let mut tall = [[s.splat(0.0); 6]; SIDE];
    for j in 0..6 {
        let mut column = [s.splat(0.0); 6];
        for (i, column) in column.iter_mut().enumerate() {
            *column = s.load(&m[(6 * i + j) * point_len..]);
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

/// Lets the rows that neighbouring tiles will write come near.
#[inline(always)]
fn fetch_rows<S: Simd>(s: S, width: usize, corner: Corner, plane: &[f32]) {
    for row in 0..SIDE {
        for column in (0..S::LANES * SIDE).step_by(LINE) {
            s.fetch_to_write(plane, (corner.row + row) * width + corner.column + column);
        }
    }
}

/// Writes a vector of tiles of one output channel, as far as they lie in the image.
#[inline(always)]
fn write<S: Simd>(
    s: S,
    [height, width]: [usize; 2],
    places: &Places,
    lines: &[[S::F; SIDE]; SIDE],
    plane: impl Fn(usize) -> usize,
    planes: &mut [&mut [f32]],
) {
    if let Some(corner) = places.side_by_side()
        && corner.row + SIDE <= height
        && corner.column + S::LANES * SIDE <= width
    {
        let plane = &mut *planes[plane(corner.image)];
        for (i, line) in lines.iter().enumerate() {
            let to = &mut plane[(corner.row + i) * width + corner.column..][..S::LANES * SIDE];
            s.turn_back(*line, |lane, pixels| to[lane * SIDE..(lane + 1) * SIDE].copy_from_slice(pixels));
        }
        return;
    }
    for (i, line) in lines.iter().enumerate() {
        s.turn_back(*line, |lane, pixels| {
            if let Some(corner) = places.corners().get(lane)
                && corner.row + i < height
            {
                let row = (corner.row + i) * width;
                let to = &mut planes[plane(corner.image)][row + corner.column..row + width];
                match to.first_chunk_mut() {
                    Some(to) => *to = *pixels,
                    None => to.copy_from_slice(&pixels[..to.len()]),
                }
            }
        });
    }
}
