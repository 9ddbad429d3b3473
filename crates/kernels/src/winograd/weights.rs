//! `U = G g Gᵀ`: the weights of some output channels, a vector of input channels at a time.

use std::ops::Range;

use crate::simd::{LINE, MOST_LANES, Simd, four};

/// Transforms `weight` `[outputs, inputs, 3, 3]`, of it the input channels `piece`, into `to` `[36][outputs][row]`, whose
/// rows hold those channels.
///
/// `per_point` is the distance between two points in `to`, `row` that between two output channels; `row` is at least the
/// number of channels rounded up to whole vectors.
#[inline(always)]
pub(super) fn transform<S: Simd>(
    s: S,
    weight: &[f32],
    inputs: usize,
    piece: Range<usize>,
    row: usize,
    per_point: usize,
    to: &mut [f32],
) {
    let all = weight;
    for (output, weight) in weight.chunks_exact(9 * inputs).enumerate() {
        for (i, weight) in weight[9 * piece.start..9 * piece.end].chunks(9 * S::LANES).enumerate() {
            let next = 9 * ((output + 1) * inputs + piece.start + i * S::LANES);
            for line in (0..9 * S::LANES).step_by(LINE) {
                s.fetch(all, next + line);
            }
            let kernels = if weight.len() == 9 * S::LANES {
                columns(s, weight)
            } else {
                let mut all = [0.0; 9 * MOST_LANES];
                all[..weight.len()].copy_from_slice(weight);
                columns(s, &all[..9 * S::LANES])
            };
            let at = output * row + i * S::LANES;
            for (i, line) in down(s, kernels).into_iter().enumerate() {
                for (j, point) in one_way(s, line).into_iter().enumerate() {
                    s.store(point, &mut to[(6 * i + j) * per_point + at..]);
                }
            }
        }
    }
}

/// The nine weights of a vector of kernels, a vector for each place in the kernel.
#[inline(always)]
fn columns<S: Simd>(s: S, weight: &[f32]) -> [S::F; 9] {
    let [a, b, c, d] = s.turn(|i| four(&weight[9 * i..]));
    let [e, f, g, h] = s.turn(|i| four(&weight[9 * i + 4..]));
    let [.., last] = s.turn(|i| four(&weight[9 * i + 5..]));
    [a, b, c, d, e, f, g, h, last]
}

/// `G g` of the kernel's columns: six lines.
#[inline(always)]
fn down<S: Simd>(s: S, kernel: [S::F; 9]) -> [[S::F; 3]; 6] {
    let mut lines = [[s.splat(0.0); 3]; 6];
    for j in 0..3 {
        let column = one_way(s, [kernel[j], kernel[3 + j], kernel[6 + j]]);
        for i in 0..6 {
            lines[i][j] = column[i];
        }
    }
    lines
}

/// `G g` for the interpolation points 0, 1, -1, 2, -2 and infinity.
#[inline(always)]
fn one_way<S: Simd>(s: S, [a, b, c]: [S::F; 3]) -> [S::F; 6] {
    let minus_sixth = s.splat(-1.0 / 6.0);
    let outer = s.mul(s.add(a, c), minus_sixth);
    let wide = s.mul_add(a, s.splat(1.0 / 24.0), s.mul(c, s.splat(1.0 / 6.0)));
    let twelfth = s.splat(1.0 / 12.0);
    [
        s.mul(a, s.splat(0.25)),
        s.mul_add(b, minus_sixth, outer),
        s.neg_mul_add(b, minus_sixth, outer),
        s.mul_add(b, twelfth, wide),
        s.neg_mul_add(b, twelfth, wide),
        c,
    ]
}
