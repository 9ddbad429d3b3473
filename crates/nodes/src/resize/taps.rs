//! Separable filters: for each new position the old ones it is made of, with weights.
//!
//! Positions and weights in f32, as PyTorch's CPU kernels compute them.

use super::Method;

/// The old positions and weights of each new position along one axis.
pub(super) struct Taps(Vec<Vec<(usize, f32)>>);

impl Taps {
    /// For an axis of `from` values that becomes one of `to`.
    pub(super) fn of(method: Method, from: usize, to: usize) -> Self {
        let scale = from as f32 / to as f32;
        let last = from - 1;
        let taps = |i: usize| match method {
            Method::Area => area(i, from, to),
            Method::Bilinear => {
                let (at, rest) = position(scale, i, true);
                let at = (at as usize).min(last);
                vec![(at, 1.0 - rest), ((at + 1).min(last), rest)]
            }
            Method::Bicubic => {
                let (at, rest) = position(scale, i, false);
                let clamp = |k: i64| (at + k).clamp(0, last as i64) as usize;
                cubic(rest).iter().zip(-1..).map(|(weight, k)| (clamp(k), *weight)).collect()
            }
            _ => vec![((((i as f32 + 0.5) * scale).floor() as usize).min(last), 1.0)],
        };
        Self((0..to).map(taps).collect())
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Where new position `i` lies among the old ones: whole part and rest.
fn position(scale: f32, i: usize, clamped: bool) -> (i64, f32) {
    let at = scale * (i as f32 + 0.5) - 0.5;
    let at = if clamped { at.max(0.0) } else { at };
    (at.floor() as i64, at - at.floor())
}

/// Everything that the new value covers, in equal parts.
fn area(i: usize, from: usize, to: usize) -> Vec<(usize, f32)> {
    let (start, end) = (i * from / to, ((i + 1) * from).div_ceil(to));
    (start..end).map(|at| (at, 1.0 / (end - start) as f32)).collect()
}

/// Weights of the four neighbours (Keys 1981 with A = -0.75).
fn cubic(t: f32) -> [f32; 4] {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

/// One plane of `columns` columns through both axes.
pub(super) fn apply(plane: &[f32], columns: usize, down: &Taps, across: &Taps) -> Vec<f32> {
    let mut wide = Vec::with_capacity(plane.len() / columns * across.len());
    for row in plane.chunks_exact(columns) {
        wide.extend(across.0.iter().map(|taps| taps.iter().map(|(at, weight)| row[*at] * weight).sum::<f32>()));
    }
    let width = across.len();
    let mut out = vec![0.0; down.len() * width];
    for (row, taps) in out.chunks_exact_mut(width).zip(&down.0) {
        for (at, weight) in taps {
            let source = &wide[at * width..(at + 1) * width];
            row.iter_mut().zip(source).for_each(|(sum, value)| *sum += value * weight);
        }
    }
    out
}
