//! Taps: which places of a line, and with which weights, make up each place of its resized line.
//!
//! Knows lengths alone. Positions are f32, as PyTorch computes them.

/// Places of the source and their weights for one place of the result.
pub(super) struct Taps(Vec<(usize, f32)>);

impl Taps {
    pub(super) fn sum(&self, value: impl Fn(usize) -> f32) -> f32 {
        match self.0.as_slice() {
            [(place, _)] => value(*place),
            taps => taps.iter().map(|(place, weight)| weight * value(*place)).sum(),
        }
    }
}

pub(super) fn nearest(n: usize, m: usize, offset: f32) -> Vec<Taps> {
    let scale = n as f32 / m as f32;
    (0..m).map(|i| Taps(vec![((((i as f32 + offset) * scale).floor() as usize).min(n - 1), 1.0)])).collect()
}

pub(super) fn bilinear(n: usize, m: usize) -> Vec<Taps> {
    if n == m {
        return (0..n).map(|i| Taps(vec![(i, 1.0)])).collect();
    }
    let scale = n as f32 / m as f32;
    let taps = |i: usize| {
        // Rounded once, as torch's own code is compiled: twice costs the digits of places far from the edge.
        let at = scale.mul_add(i as f32 + 0.5, -0.5).max(0.0);
        let left = (at as usize).min(n - 1);
        let weight = at - left as f32;
        Taps(vec![(left, 1.0 - weight), ((left + 1).min(n - 1), weight)])
    };
    (0..m).map(taps).collect()
}

/// The positions that bilinear resizing of a list of numbers reads, as numbers.
pub(super) fn bilinear_of(values: &[f32], m: usize) -> Vec<f32> {
    bilinear(values.len(), m).iter().map(|taps| taps.sum(|i| values[i])).collect()
}

pub(super) fn bicubic(n: usize, m: usize) -> Vec<Taps> {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let scale = n as f32 / m as f32;
    let taps = |i: usize| {
        let at = scale * (i as f32 + 0.5) - 0.5;
        let left = at.floor();
        let t = at - left;
        let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
        let place = |k: i64| (left as i64 - 1 + k).clamp(0, n as i64 - 1) as usize;
        Taps((0..4).zip(weights).map(|(k, weight)| (place(k), weight)).collect())
    };
    (0..m).map(taps).collect()
}

/// As many taps as the filter covers when it is as wide as a place of the result.
pub(super) fn smooth_bicubic(n: usize, m: usize) -> Vec<Taps> {
    const A: f32 = -0.5;
    let filter = |x: f32| match x.abs() {
        x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => ((x - 5.0) * x + 8.0) * x * A - 4.0 * A,
        _ => 0.0,
    };
    let scale = n as f32 / m as f32;
    let wide = scale.max(1.0);
    let taps = |i: usize| {
        let centre = scale * (i as f32 + 0.5);
        let first = ((centre - 2.0 * wide + 0.5).max(0.0)) as usize;
        let last = ((centre + 2.0 * wide + 0.5) as usize).min(n);
        let weights: Vec<f32> = (first..last).map(|j| filter((j as f32 - centre + 0.5) / wide)).collect();
        let total: f32 = weights.iter().sum();
        Taps((first..last).zip(weights).map(|(j, weight)| (j, weight / total)).collect())
    };
    (0..m).map(taps).collect()
}
