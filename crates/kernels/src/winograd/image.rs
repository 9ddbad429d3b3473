//! `V = Bᵀ d B`: a panel of tiles of the image, a lane for each tile.

use super::place::{Places, Run};
use super::plan::{Plan, SIDE, Winograd};
use crate::simd::{Kernel, LINE, MOST_LANES, Simd, four};

/// Rows and columns of pixels that a tile sees.
const SEEN: usize = SIDE + 2;
/// Pixels kept of a row that neighbouring tiles see, at most.
const SPAN: usize = SIDE * MOST_LANES + SIDE;

/// Some channels of the tiles of a panel, transformed. Lanes behind the last tile become 0.
pub(super) struct Panel<'a> {
    pub(super) plan: Plan,
    pub(super) x: &'a [f32],
    pub(super) first_tile: usize,
    pub(super) first_channel: usize,
    /// `[36]` times `[channels][columns]`.
    pub(super) to: Vec<&'a mut [f32]>,
}

impl Kernel for Panel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for vector in 0..self.plan.vectors {
            let places = Places::of(&self.plan.sizes, self.first_tile + vector * S::LANES, S::LANES);
            let mut seen = Spans::new(self.plan.sizes, &places);
            for channel in 0..self.to[0].len() / self.plan.columns {
                let pixels = seen.pixels(s, self.x, self.first_channel + channel);
                let at = channel * self.plan.columns + vector * S::LANES;
                for (i, line) in down(s, pixels).into_iter().enumerate() {
                    for (j, point) in one_way(s, line).into_iter().enumerate() {
                        s.store(point, &mut self.to[SEEN * i + j][at..]);
                    }
                }
            }
        }
    }
}

/// What the tiles of a vector see of one channel, copied to where no edge is near.
struct Spans {
    sizes: Winograd,
    runs: Vec<Run>,
    side_by_side: bool,
    /// Where each lane's tile begins in `pixels`; behind the last run are zeros for the lanes without a tile.
    starts: [usize; MOST_LANES],
    /// `[runs + 1][6][SPAN]`. What lies outside of the image stays 0.
    pixels: Vec<f32>,
}

impl Spans {
    fn new(sizes: Winograd, places: &Places) -> Self {
        let runs = places.runs();
        let mut starts = [runs.len() * SEEN * SPAN; MOST_LANES];
        for (i, run) in runs.iter().enumerate() {
            for j in 0..run.count {
                starts[run.lane + j] = i * SEEN * SPAN + j * SIDE;
            }
        }
        let pixels = vec![0.0; (runs.len() + 1) * SEEN * SPAN];
        Self { sizes, runs, side_by_side: places.side_by_side().is_some(), starts, pixels }
    }

    /// The pixels that each tile sees: `[row][column]`, a lane for each tile.
    #[inline(always)]
    fn pixels<S: Simd>(&mut self, s: S, x: &[f32], channel: usize) -> [[S::F; SEEN]; SEEN] {
        for (run, pixels) in self.runs.iter().zip(self.pixels.chunks_exact_mut(SEEN * SPAN)) {
            if self.side_by_side {
                fetch_run(s, &self.sizes, x, channel + 1, run);
            }
            copy_run(&self.sizes, x, channel, run, pixels);
        }
        let mut pixels = [[s.splat(0.0); SEEN]; SEEN];
        for (i, pixels) in pixels.iter_mut().enumerate() {
            let (first, next) = if self.side_by_side {
                let row = &self.pixels[i * SPAN..][..SIDE * (S::LANES + 1)];
                (s.turn(|lane| four(&row[lane * SIDE..])), s.turn(|lane| four(&row[(lane + 1) * SIDE..])))
            } else {
                let row = &self.pixels[i * SPAN..];
                let at = |lane: usize| &row[self.starts[lane]..][..2 * SIDE];
                (s.turn(|lane| four(at(lane))), s.turn(|lane| four(&at(lane)[SIDE..])))
            };
            *pixels = [first[0], first[1], first[2], first[3], next[0], next[1]];
        }
        pixels
    }
}

/// Lets the rows that [`copy_run`] will copy come near.
#[inline(always)]
fn fetch_run<S: Simd>(s: S, sizes: &Winograd, x: &[f32], channel: usize, run: &Run) {
    let [height, width] = sizes.image;
    let first = (run.corner.image * sizes.inputs + channel) * height * width;
    let (row, column) =
        (run.corner.row.saturating_sub(sizes.padding[0]), run.corner.column.saturating_sub(sizes.padding[2]));
    for row in row..row + SEEN {
        for column in (column..column + SIDE * run.count).step_by(LINE) {
            s.fetch(x, first + row * width + column);
        }
    }
}

/// The six rows of pixels that neighbouring tiles see, as far as they lie in the image.
#[inline(always)]
fn copy_run(sizes: &Winograd, x: &[f32], channel: usize, run: &Run, to: &mut [f32]) {
    let [height, width] = sizes.image;
    let [top, _, left, _] = sizes.padding;
    let plane = &x[(run.corner.image * sizes.inputs + channel) * height * width..][..height * width];
    let column = run.corner.column;
    let zeros = left.saturating_sub(column);
    let start = (column + zeros).saturating_sub(left).min(width);
    let len = (width - start).min((SIDE * run.count + 2).saturating_sub(zeros));
    for (i, to) in to.chunks_exact_mut(SPAN).enumerate() {
        let row = (run.corner.row + i).wrapping_sub(top);
        if row < height {
            to[zeros..][..len].copy_from_slice(&plane[row * width + start..][..len]);
        }
    }
}

/// `Bᵀ d` of the columns of pixels: six lines.
#[inline(always)]
fn down<S: Simd>(s: S, pixels: [[S::F; SEEN]; SEEN]) -> [[S::F; SEEN]; SEEN] {
    let mut lines = [[s.splat(0.0); SEEN]; SEEN];
    for j in 0..SEEN {
        let column = one_way(s, pixels.map(|row| row[j]));
        for i in 0..SEEN {
            lines[i][j] = column[i];
        }
    }
    lines
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
