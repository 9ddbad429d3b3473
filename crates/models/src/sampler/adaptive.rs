//! DPM-Solver with a step size that follows its error estimate (dpm_adaptive).

use super::context::SamplerContext;
use super::dpm_solver::{Stage, ends, noise, sigma};
use super::error::SamplingError;
use super::math::{Latent, mix};

/// More tries than any run needs; a tolerance of 0 would ask for them.
const LIMIT: usize = 100_000;

/// Keeps the step size so that errors stay near 1 (k-diffusion's PIDStepSizeController; only the integral part acts).
struct StepSize {
    h: f32,
    accept: f64,
    inverses: Option<[f64; 3]>,
}

impl StepSize {
    /// Weights of the last three inverse errors for p = 0, i = 1, d = 0, over the order.
    const WEIGHTS: [f64; 3] = [1.0 / 3.0, 0.0, 0.0];

    fn propose(&mut self, error: f64) -> bool {
        let inverse = 1.0 / (error + 1e-8);
        let errors = self.inverses.get_or_insert([inverse; 3]);
        errors[0] = inverse;
        let factor: f64 = errors.iter().zip(Self::WEIGHTS).map(|(e, w)| e.powf(w)).product();
        let factor = 1.0 + (factor - 1.0).atan();
        let accepted = factor >= self.accept;
        if accepted {
            errors[2] = errors[1];
            errors[1] = errors[0];
        }
        self.h *= factor as f32;
        accepted
    }
}

/// DPM-Solver-12/23, third order.
pub(super) fn adaptive(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let (mut l, end) = ends(sigmas);
    let options = cx.options();
    let mut size = StepSize { h: options.h_init, accept: f64::from(options.accept_safety), inverses: None };
    let mut x_prev = x.clone();
    let mut tries = 0;
    while l < end - 1e-5 && tries < LIMIT {
        let to = end.min(l + size.h);
        let eps = noise(cx, &x, l)?;
        let denoised = mix([(1.0, &x), (-sigma(l), &eps)]);
        let stage = Stage { x: &x, from: l, to, noise: &eps };
        let inner = stage.noise_at(cx, 1.0 / 3.0)?;
        let low = stage.second_order(1.0 / 3.0, &inner);
        let high = stage.third_order(cx, &inner)?;
        let error = error(&low, &high, &x_prev, options.rtol, options.atol)?;
        if !error.is_finite() {
            return Err(SamplingError::Diverged { sampler: "dpm_adaptive", sigma: sigma(l), estimate: error });
        }
        if size.propose(error) {
            x_prev = low;
            x = high;
            l = to;
        }
        cx.report_step(tries, sigmas, &x, &denoised)?;
        tries += 1;
    }
    Ok(x)
}

/// Root mean square of the difference of two results, in units of the tolerance.
fn error(low: &Latent, high: &Latent, before: &Latent, rtol: f32, atol: f32) -> Result<f64, SamplingError> {
    let read = |t: &Latent| t.try_to_vec_as::<f32>().map_err(|e| SamplingError::Read(e.to_string()));
    let (low, high, before) = (read(low)?, read(high)?, read(before)?);
    let sum: f64 = low
        .iter()
        .zip(&high)
        .zip(&before)
        .map(|((l, h), b)| {
            let delta = atol.max(rtol * l.abs().max(b.abs()));
            f64::from((l - h) / delta).powi(2)
        })
        .sum();
    Ok((sum / low.len() as f64).sqrt())
}
