//! ComfyUI's bislerp: between neighbours, channel vectors turn on a sphere while their lengths mix linearly.

use super::Method;
use super::taps::{Taps, apply};

/// Positions along one axis: first neighbour, second neighbour, share of the second.
struct Positions(Vec<(usize, usize, f32)>);

impl Positions {
    fn of(from: usize, to: usize) -> Self {
        let scaled = |line: Vec<f32>| {
            let whole = Taps::of(Method::NearestExact, 1, 1);
            apply(&line, from, &whole, &Taps::of(Method::Bilinear, from, to))
        };
        let first = scaled((0..from).map(|i| i as f32).collect());
        let second = scaled((0..from).map(|i| (i + 1).min(from - 1) as f32).collect());
        let one = |(a, b): (&f32, &f32)| (*a as usize, (*b as usize).min(from - 1), a.fract());
        Self(first.iter().zip(&second).map(one).collect())
    }
}

/// One item `[channels, rows, columns]`: along the width, then along the height.
pub(super) fn resize(item: &[f32], channels: usize, [rows, columns]: [usize; 2], size: [usize; 2]) -> Vec<f32> {
    let [height, width] = size;
    let across = Positions::of(columns, width);
    let down = Positions::of(rows, height);
    let mut wide = vec![0.0; channels * rows * width];
    for y in 0..rows {
        for (x, (a, b, share)) in across.0.iter().enumerate() {
            let at = |p: usize| move |c: usize| item[(c * rows + y) * columns + p];
            between(channels, at(*a), at(*b), *share, |c, v| wide[(c * rows + y) * width + x] = v);
        }
    }
    let mut out = vec![0.0; channels * height * width];
    for (y, (a, b, share)) in down.0.iter().enumerate() {
        for x in 0..width {
            let wide = &wide;
            let at = |p: usize| move |c: usize| wide[(c * rows + p) * width + x];
            between(channels, at(*a), at(*b), *share, |c, v| out[(c * height + y) * width + x] = v);
        }
    }
    out
}

/// Writes the vector between `a` and `b`.
fn between(
    channels: usize,
    a: impl Fn(usize) -> f32,
    b: impl Fn(usize) -> f32,
    share: f32,
    mut write: impl FnMut(usize, f32),
) {
    let length = |v: &dyn Fn(usize) -> f32| (0..channels).map(|c| v(c) * v(c)).sum::<f32>().sqrt();
    let (length_a, length_b) = (length(&a), length(&b));
    let unit = |value: f32, length: f32| if length == 0.0 { 0.0 } else { value / length };
    let dot: f32 = (0..channels).map(|c| unit(a(c), length_a) * unit(b(c), length_b)).sum();
    if dot > 1.0 - 1e-5 {
        (0..channels).for_each(|c| write(c, a(c)));
        return;
    }
    if dot < 1e-5 - 1.0 {
        (0..channels).for_each(|c| write(c, a(c) * (1.0 - share) + b(c) * share));
        return;
    }
    let angle = dot.acos();
    let (from, to) = (((1.0 - share) * angle).sin() / angle.sin(), (share * angle).sin() / angle.sin());
    let length = length_a * (1.0 - share) + length_b * share;
    for c in 0..channels {
        write(c, (from * unit(a(c), length_a) + to * unit(b(c), length_b)) * length);
    }
}
