//! Deterministic multistep methods on the direction: lms, ipndm, deis, gradient estimation.

use super::context::SamplerContext;
use super::error::SamplingError;
use super::math::{Latent, direction};

/// Directions of earlier steps, the newest first.
struct History {
    newest_first: Vec<Latent>,
    capacity: usize,
}

impl History {
    fn new(capacity: usize) -> Self {
        Self { newest_first: Vec::with_capacity(capacity + 1), capacity }
    }

    fn push(&mut self, d: Latent) {
        self.newest_first.insert(0, d);
        self.newest_first.truncate(self.capacity);
    }

    /// The latent moved along the weighted directions.
    fn moved(&self, x: Latent, weights: &[f64]) -> Latent {
        weights.iter().zip(&self.newest_first).fold(x, |x, (w, d)| x + d.clone() * (*w as f32))
    }
}

/// Which latent the callback is shown.
#[derive(Clone, Copy, PartialEq)]
enum Shown {
    /// The step's own.
    Current,
    /// The run's first one: some of the reference's samplers never distinguish a later one.
    First,
}

/// A run whose every step moves along weighted directions; `weights(i, order)` says how much of each, newest first.
fn by_weights(
    cx: &mut SamplerContext<'_>,
    mut x: Latent,
    sigmas: &[f32],
    (max_order, shown): (usize, Shown),
    weights: impl Fn(usize, usize) -> Vec<f64>,
) -> Result<Latent, SamplingError> {
    let mut history = History::new(max_order);
    let first = x.clone();
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, sigmas, if shown == Shown::First { &first } else { &x }, &denoised)?;
        history.push(direction(&x, s, &denoised));
        x = if t == 0.0 { denoised } else { history.moved(x, &weights(i, max_order.min(i + 1))) };
    }
    Ok(x)
}

/// Linear multistep (k-diffusion `sample_lms`): Lagrange polynomials through the last directions, integrated exactly.
pub(super) fn lms(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let order = cx.options().order.max(1);
    by_weights(cx, x, sigmas, (order, Shown::Current), |i, order| {
        let known: Vec<f64> = (0..order).map(|k| f64::from(sigmas[i - k])).collect();
        let (from, to) = (f64::from(sigmas[i]), f64::from(sigmas[i + 1]));
        (0..order).map(|j| integral(|tau| lagrange(&known, j, tau), from, to)).collect()
    })
}

/// Pseudo-numerical: Adams-Bashforth with fixed steps (iPNDM).
pub(super) fn ipndm(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    by_weights(cx, x, sigmas, (4, Shown::First), |i, order| {
        let step = f64::from(sigmas[i + 1] - sigmas[i]);
        let weights: &[f64] = match order {
            1 => &[1.0],
            2 => &[3.0 / 2.0, -1.0 / 2.0],
            3 => &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
            _ => &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
        };
        weights.iter().map(|w| w * step).collect()
    })
}

/// Same as [`ipndm`], with the steps' own lengths (iPNDM_v).
pub(super) fn ipndm_v(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    by_weights(cx, x, sigmas, (4, Shown::First), |i, order| {
        let level = |k: usize| f64::from(sigmas[i + 1 - k]);
        let h: Vec<f64> = (0..order).map(|k| level(k) - level(k + 1)).collect();
        ipndm_v_weights(&h).iter().map(|w| w * h[0]).collect()
    })
}

/// Weights per unit of the newest step, from the steps' lengths, newest first.
///
/// With equal steps orders 1 to 3 are Adams-Bashforth; order 4 isn't, as in the reference.
fn ipndm_v_weights(h: &[f64]) -> Vec<f64> {
    let third =
        |h: &[f64]| (1.0 - h[0] / (3.0 * (h[0] + h[1])) * (h[0] * (h[0] + h[1])) / (h[1] * (h[1] + h[2]))) / 2.0;
    match *h {
        [h0, h1] => vec![1.0 + h0 / h1 / 2.0, -(h0 / h1) / 2.0],
        [h0, h1, h2] => {
            let t = third(h);
            vec![1.0 + h0 / h1 / 2.0 + t, -(h0 / h1) / 2.0 - (1.0 + h1 / h2) * t, t * h1 / h2]
        }
        [h0, h1, h2, h3] => {
            let t1 = third(h);
            let t2 = ((1.0 - h0 / (3.0 * (h0 + h1))) / 2.0
                + (1.0 - h0 / (2.0 * (h0 + h1))) * h0 / (6.0 * (h0 + h1 + h2)))
                * (h0 * (h0 + h1) * (h0 + h1 + h2))
                / (h1 * (h1 + h2) * (h1 + h2 + h3));
            let q = h1 * (h1 + h2) / (h2 * (h2 + h3));
            vec![
                1.0 + h0 / h1 / 2.0 + t1 + t2,
                -(h0 / h1) / 2.0 - (1.0 + h1 / h2) * t1 - (1.0 + h1 / h2 + q) * t2,
                t1 * h1 / h2 + (h1 / h2 + q * (1.0 + h2 / h3)) * t2,
                -t2 * q * h1 / h2,
            ]
        }
        _ => vec![1.0],
    }
}

/// DEIS of order 3 with tabulated coefficients (Zhang and Chen 2022).
pub(super) fn deis(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    const ORDER: usize = 3;
    let clock = VpClock::new();
    let mut history = History::new(ORDER);
    let first = x.clone();
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, sigmas, &first, &denoised)?;
        history.push(direction(&x, s, &denoised));
        let order = ORDER.min(i + 1);
        let weights =
            if t <= 0.0 || order == 1 { vec![f64::from(t - s)] } else { clock.weights(&sigmas[i + 1 - order..=i + 1]) };
        x = history.moved(x, &weights);
    }
    Ok(x)
}

/// Time of the variance-preserving process that has a given noise level.
struct VpClock {
    slope: f64,
    start: f64,
}

impl VpClock {
    /// The process whose levels run from 0.002 at time 0.001 to 80 at time 1. The two logarithms are f32: 0.002² + 1
    /// rounds there, and the reference's numbers have that in them.
    fn new() -> Self {
        let ln1 = |sigma: f32| f64::from(f64::from(sigma * sigma + 1.0).ln() as f32);
        let (low, high) = (ln1(0.002), ln1(80.0));
        let slope = 2.0 * (low / 1e-3 - high) / (1e-3 - 1.0);
        Self { slope, start: high - 0.5 * slope }
    }

    fn time(&self, sigma: f32) -> f64 {
        let sigma = f64::from(sigma);
        let log = (sigma * sigma + 1.0).ln();
        ((self.start * self.start + 2.0 * self.slope * log).sqrt() - self.start) / self.slope
    }

    /// Weight of each direction, newest first, for the step to the last of `levels` from the one before it: a sum over
    /// 10000 points with both ends, divided by 10000, as the reference has it.
    fn weights(&self, levels: &[f32]) -> Vec<f64> {
        const POINTS: usize = 10_000;
        let times: Vec<f64> = levels.iter().rev().map(|&s| self.time(s)).collect();
        let (next, known) = (times[0], &times[1..]);
        let mut sums = vec![0.0; known.len()];
        for k in 0..POINTS {
            let tau = known[0] + (next - known[0]) * (k as f64 / (POINTS - 1) as f64);
            let alpha = (-0.5 * self.slope * tau * tau - tau * self.start).exp();
            let rate = (tau * self.slope + self.start) / (2.0 * (alpha * (1.0 - alpha)).sqrt());
            sums.iter_mut().enumerate().for_each(|(j, sum)| *sum += rate * lagrange(known, j, tau));
        }
        sums.iter().map(|sum| sum * (next - known[0]) / POINTS as f64).collect()
    }
}

/// Euler steps corrected by how the direction changed (arXiv 2306.04848).
pub(super) fn gradient_estimation(
    cx: &mut SamplerContext<'_>,
    mut x: Latent,
    sigmas: &[f32],
) -> Result<Latent, SamplingError> {
    const GAMMA: f32 = 2.0;
    let mut old: Option<Latent> = None;
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        let d = direction(&x, s, &denoised);
        if t == 0.0 {
            x = denoised;
            continue;
        }
        x = x + d.clone() * (t - s);
        if let Some(old) = old {
            x = x + (d.clone() - old) * ((GAMMA - 1.0) * (t - s));
        }
        old = Some(d);
    }
    Ok(x)
}

/// The polynomial that is 1 at `known[j]` and 0 at the others.
fn lagrange(known: &[f64], j: usize, at: f64) -> f64 {
    let others = known.iter().enumerate().filter(|(k, _)| *k != j);
    others.map(|(_, other)| (at - other) / (known[j] - other)).product()
}

/// Gauss's quadrature with five points: exact for polynomials up to degree 9.
fn integral(f: impl Fn(f64) -> f64, from: f64, to: f64) -> f64 {
    const NODES: [(f64, f64); 5] = [
        (0.0, 0.568_888_888_888_888_9),
        (0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
        (-0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
        (0.906_179_845_938_664, 0.236_926_885_056_189_1),
        (-0.906_179_845_938_664, 0.236_926_885_056_189_1),
    ];
    let (half, centre) = (0.5 * (to - from), 0.5 * (to + from));
    half * NODES.iter().map(|(x, w)| w * f(centre + half * x)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_steps_of_equal_length_are_adams_and_bashforths_up_to_order_three() {
        let even = ipndm_v_weights(&[1.0; 3]);
        for (found, known) in even.iter().zip([23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0]) {
            assert!((found - known).abs() < 1e-12, "{found} {known}");
        }
    }

    #[test]
    fn weights_up_to_order_three_add_up_to_the_step() {
        for order in 1..=3 {
            let sum: f64 = ipndm_v_weights(&[1.0, 0.7, 0.9, 1.3][..order]).iter().sum();
            assert!((sum - 1.0).abs() < 1e-12, "order {order}: {sum}");
        }
    }

    #[test]
    fn lagranges_polynomials_integrate_to_the_interval() {
        let known = [3.0, 4.0, 6.0, 7.0];
        let sum: f64 = (0..4).map(|j| integral(|t| lagrange(&known, j, t), 3.0, 1.5)).sum();
        assert!((sum + 1.5).abs() < 1e-12);
    }
}
