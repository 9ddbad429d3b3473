//! `V = Bᵀ d B`: sixteen tiles of the image, a lane for each tile.

use super::plan::{POINTS, SIDE, Winograd};
use crate::simd::{COLUMNS, Kernel, LANES, Simd};

/// Rows and columns of pixels that a tile sees.
const SEEN: usize = SIDE + 2;
/// Pixels in a row of eight neighbouring tiles, rounded up to whole vectors.
const SPAN: usize = 5 * LANES;

/// Sixteen tiles from `first_tile` on, transformed into `to` `[36][inputs][16]`. Lanes behind the last tile become 0.
pub(super) struct Panel<'a> {
    pub(super) sizes: Winograd,
    pub(super) x: &'a [f32],
    pub(super) first_tile: usize,
    /// Floats from one point to the next in `to`.
    pub(super) point_len: usize,
    pub(super) to: &'a mut [f32],
}

impl Kernel for Panel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { sizes, x, first_tile, point_len, to } = self;
        let firsts = [first_tile, first_tile + LANES];
        let neighbours = firsts.map(|first| Neighbours::of(&sizes, first));
        for channel in 0..sizes.inputs {
            for half in 0..2 {
                let pixels = match neighbours[half] {
                    Some(at) => at.pixels(s, &sizes, x, channel),
                    None => scattered(s, &sizes, x, channel, firsts[half]),
                };
                let points = both_ways(s, pixels);
                let at = channel * COLUMNS + half * LANES;
                for (point, to) in points.iter().zip(to.chunks_exact_mut(point_len)) {
                    s.store_first(*point, &mut to[at..at + LANES]);
                }
            }
        }
    }
}

/// Where a tile begins in the padded image.
#[derive(Clone, Copy)]
struct Corner {
    image: usize,
    row: usize,
    column: usize,
}

impl Corner {
    fn of(sizes: &Winograd, tile: usize) -> Self {
        let [rows, columns] = sizes.tile_grid();
        Self { image: tile / (rows * columns), row: tile / columns % rows * SIDE, column: tile % columns * SIDE }
    }
}

/// Eight tiles of one row, side by side.
#[derive(Clone, Copy)]
struct Neighbours(Corner);

impl Neighbours {
    fn of(sizes: &Winograd, first: usize) -> Option<Self> {
        let side_by_side = first % sizes.tile_grid()[1] + LANES <= sizes.tile_grid()[1];
        (side_by_side && first + LANES <= sizes.tiles()).then(|| Self(Corner::of(sizes, first)))
    }

    #[inline(always)]
    fn pixels<S: Simd>(self, s: S, sizes: &Winograd, x: &[f32], channel: usize) -> [[S::F; SEEN]; SEEN] {
        let mut pixels = [[s.splat(0.0); SEEN]; SEEN];
        let [height, width] = sizes.image;
        let plane = &x[(self.0.image * sizes.inputs + channel) * height * width..][..height * width];
        let [top, _, left, _] = sizes.padding;
        for (i, pixels) in pixels.iter_mut().enumerate() {
            let row = (self.0.row + i).wrapping_sub(top);
            if row >= height {
                continue;
            }
            let mut span = [0.0; SPAN];
            copy_span(&plane[row * width..(row + 1) * width], self.0.column, left, &mut span);
            let (vectors, _) = span.as_chunks::<LANES>();
            let load = |i: usize| s.load(&vectors[i]);
            let first = s.every_fourth([load(0), load(1), load(2), load(3)]);
            let (shifted, _) = span[SIDE..].as_chunks::<LANES>();
            let load = |i: usize| s.load(&shifted[i]);
            let next = s.every_fourth([load(0), load(1), load(2), load(3)]);
            *pixels = [first[0], first[1], first[2], first[3], next[0], next[1]];
        }
        pixels
    }
}

/// Pixels of `row` from padded column `column` on, as many as eight tiles see; zeros outside of the row.
#[inline(always)]
fn copy_span(row: &[f32], column: usize, left: usize, span: &mut [f32; SPAN]) {
    if column >= left && column - left + SPAN <= row.len() {
        span.copy_from_slice(&row[column - left..][..SPAN]);
        return;
    }
    let zeros = left.saturating_sub(column).min(SPAN);
    let start = (column + zeros).saturating_sub(left).min(row.len());
    let count = (row.len() - start).min(SPAN - zeros);
    span[zeros..zeros + count].copy_from_slice(&row[start..start + count]);
}

/// Eight tiles that lie anywhere, pixel by pixel.
#[inline(always)]
fn scattered<S: Simd>(s: S, sizes: &Winograd, x: &[f32], channel: usize, first: usize) -> [[S::F; SEEN]; SEEN] {
    let [height, width] = sizes.image;
    let [top, _, left, _] = sizes.padding;
    let mut lanes = [[[0.0; LANES]; SEEN]; SEEN];
    for lane in 0..LANES.min(sizes.tiles().saturating_sub(first)) {
        let corner = Corner::of(sizes, first + lane);
        let plane = &x[(corner.image * sizes.inputs + channel) * height * width..][..height * width];
        for (i, lanes) in lanes.iter_mut().enumerate() {
            let row = (corner.row + i).wrapping_sub(top);
            if row >= height {
                continue;
            }
            let pixels = &plane[row * width..(row + 1) * width];
            for (j, lanes) in lanes.iter_mut().enumerate() {
                if let Some(&pixel) = pixels.get((corner.column + j).wrapping_sub(left)) {
                    lanes[lane] = pixel;
                }
            }
        }
    }
    let mut pixels = [[s.splat(0.0); SEEN]; SEEN];
    for (pixels, lanes) in pixels.iter_mut().zip(&lanes) {
        for (pixel, lanes) in pixels.iter_mut().zip(lanes) {
            *pixel = s.load(lanes);
        }
    }
    pixels
}

#[inline(always)]
fn both_ways<S: Simd>(s: S, pixels: [[S::F; SEEN]; SEEN]) -> [S::F; POINTS] {
    let mut tall = [[s.splat(0.0); SEEN]; SEEN];
    for j in 0..SEEN {
        let mut column = [s.splat(0.0); SEEN];
        for i in 0..SEEN {
            column[i] = pixels[i][j];
        }
        let column = one_way(s, column);
        for i in 0..SEEN {
            tall[i][j] = column[i];
        }
    }
    let mut points = [s.splat(0.0); POINTS];
    for i in 0..SEEN {
        points[SEEN * i..SEEN * (i + 1)].copy_from_slice(&one_way(s, tall[i]));
    }
    points
}

/// `Bᵀ d`.
#[inline(always)]
fn one_way<S: Simd>(s: S, d: [S::F; SEEN]) -> [S::F; SEEN] {
    let (two, four, five) = (s.splat(2.0), s.splat(4.0), s.splat(5.0));
    let even = s.neg_mul_add(four, d[2], d[4]);
    let odd = s.neg_mul_add(four, d[1], d[3]);
    let (even_step, odd_step) = (s.sub(d[4], d[2]), s.sub(d[3], d[1]));
    [
        s.mul_add(four, d[0], s.neg_mul_add(five, d[2], d[4])),
        s.add(even, odd),
        s.sub(even, odd),
        s.mul_add(two, odd_step, even_step),
        s.neg_mul_add(two, odd_step, even_step),
        s.mul_add(four, d[1], s.neg_mul_add(five, d[3], d[5])),
    ]
}
