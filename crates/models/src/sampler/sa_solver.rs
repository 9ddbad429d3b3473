//! SA-Solver (arXiv 2309.05019): stochastic Adams predictor and corrector.

use std::collections::VecDeque;

use super::context::SamplerContext;
use super::error::SamplingError;
use super::math::{Latent, solve};

/// One evaluation per step.
pub(super) fn sa_solver(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    steps(cx, x, sigmas, false)
}

/// Two evaluations per step: the corrected latent is looked at again.
pub(super) fn sa_solver_pece(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    steps(cx, x, sigmas, true)
}

/// What a prediction leaves for its correction.
struct Predicted {
    h: f64,
    tau: f64,
    noise: Option<Latent>,
}

fn steps(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32], pece: bool) -> Result<Latent, SamplingError> {
    let sigmas = cx.nudge_first_sigma(sigmas);
    let lambdas: Vec<f64> = sigmas.iter().map(|&s| f64::from(cx.lambda(s))).collect();
    let levels = &cx.sampling().levels;
    let (start, end) = cx.options().noisy_range;
    let (above, below) = (levels.percent_to_sigma(start), levels.percent_to_sigma(end));
    let noisy = |sigma: f64| above >= sigma && sigma >= below;
    let eta = f64::from(cx.options().eta);
    let tau_of = |sigma: f32| if noisy(f64::from(sigma)) { eta } else { 0.0 };
    let (predictor, corrector) = cx.options().orders;
    let (predictor, corrector) = (predictor.max(1), corrector);
    let kept = predictor.max(corrector);
    let count = sigmas.len();
    let to_zero = sigmas[count - 1] == 0.0;
    let mut known: VecDeque<Latent> = VecDeque::with_capacity(kept + 1);
    let mut guess = x.clone();
    let mut predicted = Predicted { h: 0.0, tau: 0.0, noise: None };
    for i in 0..count - 1 {
        let (s, t) = (sigmas[i], sigmas[i + 1]);
        let mut denoised = cx.denoise(&guess, s)?;
        cx.report_step(i, &sigmas, &guess, &denoised)?;
        known.push_back(denoised.clone());
        if known.len() > kept {
            known.pop_front();
        }
        let mut p = predictor.min(known.len());
        let mut c = if i == 0 || (t == 0.0 && !pece) { 0 } else { corrector.min(known.len()) };
        if to_zero {
            p = p.min(count.saturating_sub(2 + i));
            c = c.min(count.saturating_sub(1 + i));
        }
        if c == 0 {
            x = guess.clone();
        } else {
            let weights = coefficients(
                cx,
                s,
                &lambdas[i + 1 - c..=i],
                (lambdas[i - 1], lambdas[i]),
                predicted.tau,
                Half::Corrector,
            );
            let decay = (-predicted.tau * predicted.tau * predicted.h).exp();
            x = x * (f64::from(s / sigmas[i - 1]) * decay) as f32;
            x = weighted(x, &weights, &known);
            if let Some(noise) = &predicted.noise {
                x = x + noise.clone();
            }
            if pece {
                denoised = cx.denoise(&x, s)?;
                known.pop_back();
                known.push_back(denoised.clone());
            }
        }
        if t == 0.0 {
            x = denoised;
            continue;
        }
        let tau = tau_of(t);
        let weights = coefficients(cx, t, &lambdas[i + 1 - p..=i], (lambdas[i], lambdas[i + 1]), tau, Half::Predictor);
        let h = lambdas[i + 1] - lambdas[i];
        guess = x.clone() * (f64::from(t / s) * (-tau * tau * h).exp()) as f32;
        guess = weighted(guess, &weights, &known);
        let noise = (tau > 0.0).then(|| {
            let spread = f64::from(t) * (-(-2.0 * tau * tau * h).exp_m1()).sqrt();
            cx.noise(&x) * (spread as f32 * cx.options().s_noise)
        });
        if let Some(noise) = &noise {
            guess = guess + noise.clone();
        }
        predicted = Predicted { h, tau, noise };
    }
    Ok(x)
}

/// Which half of a step.
#[derive(Clone, Copy)]
enum Half {
    Predictor,
    Corrector,
}

/// The latent plus the newest denoised latents times their weights (oldest first).
fn weighted(x: Latent, weights: &[f64], known: &VecDeque<Latent>) -> Latent {
    let newest = known.iter().skip(known.len().saturating_sub(weights.len()));
    weights.iter().zip(newest).fold(x, |x, (w, d)| x + d.clone() * (*w as f32))
}

/// Weights of denoised latents known at `known` half log-SNRs for a step over `(from, to)` that ends at `sigma`.
fn coefficients(
    cx: &SamplerContext<'_>,
    sigma: f32,
    known: &[f64],
    (from, to): (f64, f64),
    tau: f64,
    half: Half,
) -> Vec<f64> {
    let k = 1.0 + tau * tau;
    if let ([before, _], true) = (known, cx.options().simple_order_2) {
        let (h, alpha) = (to - from, f64::from(cx.alpha(sigma)));
        let whole = -(-h * k).exp_m1();
        return match half {
            Half::Corrector => vec![alpha * (whole - 0.5 * k * h), alpha * 0.5 * k * h],
            Half::Predictor => {
                let older = 0.5 * k * h * h / (before - from);
                vec![alpha * older, alpha * (whole - older)]
            }
        };
    }
    let decay = (-k * (to - from)).exp();
    let moment = |p: i32| to.powi(p) - from.powi(p) * decay;
    let exact = |p: i32| {
        let mut sum = 0.0;
        for j in 0..=p {
            let ratio: f64 = (j + 1..=p).map(f64::from).product();
            let sign = if (p - j) % 2 == 0 { 1.0 } else { -1.0 };
            sum += sign * ratio / k.powi(p - j) * moment(j);
        }
        sum
    };
    let n = known.len() as i32;
    let rows = (0..n).map(|p| known.iter().map(|l| l.powi(p)).collect()).collect();
    let right = (0..n).map(exact).collect();
    let alpha = f64::from(cx.alpha(sigma));
    let weights = solve(rows, right).unwrap_or_else(|| vec![0.0; known.len()]);
    weights.into_iter().map(|w| w * alpha).collect()
}
