//! UniPC (Zhao et al. 2023): a unified predictor and corrector, on the variance-preserving form of the latent.

use super::context::SamplerContext;
use super::error::SamplingError;
use super::math::{Latent, exp, expm1, ln, mix, solve};

/// Where a run that should end at 0 ends.
pub(super) const LAST: f32 = 0.001;
const ORDER: usize = 3;

/// With B(h) = h.
pub(super) fn bh1(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    steps(cx, x, sigmas, |hh| hh)
}

/// With B(h) = e^h - 1.
pub(super) fn bh2(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    steps(cx, x, sigmas, expm1)
}

/// A noise level in the variance-preserving form, in f32 as the reference computes it.
#[derive(Clone, Copy)]
struct Level {
    sigma: f32,
    /// Factor of the image.
    alpha: f32,
    /// Factor of the noise.
    std: f32,
    lambda: f32,
}

impl Level {
    fn new(sigma: f32) -> Self {
        let log_alpha = 0.5 * ln(1.0 / (sigma * sigma + 1.0));
        let variance = 1.0 - exp(2.0 * log_alpha);
        Self { sigma, alpha: exp(log_alpha), std: variance.sqrt(), lambda: log_alpha - 0.5 * ln(variance) }
    }
}

/// Evaluations so far, the newest last.
type Known = Vec<(Level, Latent)>;

fn steps(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32], b: fn(f32) -> f32) -> Result<Latent, SamplingError> {
    let mut times = sigmas.to_vec();
    if let Some(last) = times.last_mut().filter(|last| **last == 0.0) {
        *last = LAST;
    }
    let steps = times.len() - 1;
    let order = ORDER.min(times.len().saturating_sub(2));
    let mut y = x.div_scalar((1.0 + times[0] * times[0]).sqrt());
    let mut known: Known = Vec::with_capacity(ORDER + 1);
    for index in 0..steps {
        let level = Level::new(times[index]);
        if index == 0 {
            let model = evaluate(cx, &y, level)?;
            known.push((level, model));
        } else {
            let wanted = if index < order { index } else { order.min(steps + 1 - index) };
            y = update(cx, &y, &mut known, level, wanted, true, b)?;
            if index >= order && known.len() > order {
                known.remove(0);
            }
            if index == steps - 1 && index >= order {
                y = update(cx, &y, &mut known, Level::new(times[steps]), order.min(1), false, b)?;
            }
        }
        if let Some((_, newest)) = known.last() {
            cx.report_step(index, sigmas, &y, newest)?;
        }
    }
    Ok(y.div_scalar(Level::new(times[steps]).alpha))
}

/// The model's idea of the image, from the variance-preserving latent.
fn evaluate(cx: &mut SamplerContext<'_>, y: &Latent, level: Level) -> Result<Latent, SamplingError> {
    let x = y.clone() * (level.sigma * level.sigma + 1.0).sqrt();
    let denoised = cx.denoise(&x, level.sigma)?;
    let noise = (x - denoised).div_scalar(level.sigma);
    Ok((y.clone() - noise * level.std).div_scalar(level.alpha))
}

/// One step to `to` with the newest `order` evaluations; with `correct` the new evaluation corrects it and is kept.
fn update(
    cx: &mut SamplerContext<'_>,
    y: &Latent,
    known: &mut Known,
    to: Level,
    order: usize,
    correct: bool,
    b: fn(f32) -> f32,
) -> Result<Latent, SamplingError> {
    let Some((from, newest)) = known.last().cloned() else { return Ok(y.clone()) };
    let weights = Weights::new(known, from, to, order, b);
    let changes: Vec<Latent> = (1..order)
        .map(|k| {
            let (_, older) = &known[known.len() - 1 - k];
            (older.clone() - newest.clone()).div_scalar(weights.ratios[k - 1])
        })
        .collect();
    let base = mix([(to.std / from.std, y), (-(to.alpha * weights.phi1), &newest)]);
    let scale = -(to.alpha * weights.b);
    let moved = |shares: &[f32]| {
        shares.iter().zip(&changes).fold(base.clone(), |y, (share, change)| y + change.clone() * (scale * share))
    };
    let predicted = moved(&weights.predictor);
    if !correct {
        return Ok(predicted);
    }
    let model = evaluate(cx, &predicted, to)?;
    let corrected = moved(&weights.corrector);
    let last = weights.corrector.last().copied().unwrap_or(0.5);
    let corrected = corrected + (model.clone() - newest) * (scale * last);
    known.push((to, model));
    Ok(corrected)
}

/// Factors of a step.
struct Weights {
    phi1: f32,
    b: f32,
    /// Places of the older evaluations, in steps.
    ratios: Vec<f32>,
    predictor: Vec<f32>,
    /// One per older evaluation, and one for the new one.
    corrector: Vec<f32>,
}

impl Weights {
    fn new(known: &Known, from: Level, to: Level, order: usize, b: fn(f32) -> f32) -> Self {
        let h = to.lambda - from.lambda;
        let mut ratios: Vec<f32> =
            (1..order).map(|k| (known[known.len() - 1 - k].0.lambda - from.lambda) / h).collect();
        ratios.push(1.0);
        let hh = -h;
        let (phi1, b) = (expm1(hh), b(hh));
        let (mut phi, mut factorial) = (phi1 / hh - 1.0, 1.0f32);
        let (mut rows, mut right) = (Vec::new(), Vec::new());
        for i in 1..=order {
            rows.push(ratios.iter().map(|r| f64::from(r.powi(i as i32 - 1))).collect::<Vec<f64>>());
            right.push(f64::from(phi * factorial / b));
            factorial *= (i + 1) as f32;
            phi = phi / hh - 1.0 / factorial;
        }
        let narrow = |solution: Option<Vec<f64>>| solution.unwrap_or_default().iter().map(|v| *v as f32).collect();
        let predictor = match order {
            0 | 1 => Vec::new(),
            2 => vec![0.5],
            _ => {
                let rows = rows[..order - 1].iter().map(|row| row[..order - 1].to_vec()).collect();
                narrow(solve(rows, right[..order - 1].to_vec()))
            }
        };
        let corrector = if order < 2 { vec![0.5] } else { narrow(solve(rows, right)) };
        Self { phi1, b, ratios, predictor, corrector }
    }
}
