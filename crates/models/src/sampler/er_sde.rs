//! Extended reverse-time SDE of order 3 (arXiv 2309.06169).

use super::context::SamplerContext;
use super::error::SamplingError;
use super::math::{Latent, exp, mix};

/// Points of the sums that stand for integrals.
const POINTS: usize = 200;

/// How noise is scaled over the run: by the paper's function, or by a power as in a reverse-time SDE.
fn scaler(reverse_time: Option<f32>) -> impl Fn(f64) -> f64 + Copy {
    move |v: f64| match reverse_time {
        Some(eta) => v.powf(f64::from(eta) + 1.0),
        None => v * (v.powf(0.3).exp() + 10.0),
    }
}

/// ER-SDE-Solver-3.
pub(super) fn er_sde(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let sigmas = cx.nudge_first_sigma(sigmas);
    let (s_noise, stages) = (cx.options().s_noise, cx.options().max_stage);
    let phi = scaler(cx.options().reverse_time);
    let mut past: Vec<Past> = Vec::new();
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, &sigmas, &x, &denoised)?;
        if t == 0.0 {
            x = denoised;
            continue;
        }
        let level = |sigma: f32| f64::from(exp(-cx.lambda(sigma)));
        let (e, e_next) = (level(s), level(t));
        let (alpha, alpha_next) = (cx.alpha(s), cx.alpha(t));
        let r = phi(e_next) / phi(e);
        let keep = f64::from(alpha_next / alpha) * r;
        x = mix([(keep as f32, &x), (alpha_next * (1.0 - r) as f32, &denoised)]);
        let slope = past
            .last()
            .filter(|_| stages >= 2)
            .map(|last| (denoised.clone() - last.denoised.clone()) * (1.0 / (e - last.e)) as f32);
        if let Some(slope) = &slope {
            let terms = Terms::new(e, e_next, phi);
            x = x + slope.clone() * (alpha_next * terms.first as f32);
            if let ([.., before, Past { slope: Some(old), .. }], 3..) = (past.as_slice(), stages) {
                let curve = (slope.clone() - old.clone()) * (1.0 / ((e - before.e) / 2.0)) as f32;
                x = x + curve * (alpha_next * terms.second as f32);
            }
        }
        let spread = (e_next * e_next - e * e * r * r).sqrt();
        if spread > 0.0 {
            x = x.clone() + cx.noise(&x) * (alpha_next * s_noise * spread as f32);
        }
        past.push(Past { denoised, slope, e });
        if past.len() > 2 {
            past.remove(0);
        }
    }
    Ok(x)
}

/// What a step leaves for the two after it.
struct Past {
    denoised: Latent,
    slope: Option<Latent>,
    e: f64,
}

/// Factors of the first and second change of the denoised latent.
struct Terms {
    first: f64,
    second: f64,
}

impl Terms {
    fn new(e: f64, e_next: f64, phi: impl Fn(f64) -> f64) -> Self {
        let dt = e_next - e;
        let stride = -dt / POINTS as f64;
        let points = (0..POINTS).map(|k| e_next + k as f64 * stride);
        let (plain, weighted) = points.fold((0.0, 0.0), |(p, w), at| (p + 1.0 / phi(at), w + (at - e) / phi(at)));
        let scale = phi(e_next) * stride;
        Self { first: dt + plain * scale, second: dt * dt / 2.0 + weighted * scale }
    }
}
