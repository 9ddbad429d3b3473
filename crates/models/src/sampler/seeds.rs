//! SEEDS (arXiv 2305.14267): exponential integrators of two and three stages with correlated noise.

use super::context::SamplerContext;
use super::error::SamplingError;
use super::math::{Latent, exp, expm1, mix};

/// Two stages.
pub(super) fn two(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let sigmas = cx.nudge_first_sigma(sigmas);
    let (eta, s_noise, r) = (cx.options().eta, cx.options().s_noise, cx.options().r);
    let share = 1.0 / (2.0 * r);
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, &sigmas, &x, &denoised)?;
        if t == 0.0 {
            x = denoised;
            continue;
        }
        let (l, l_next) = (cx.lambda(s), cx.lambda(t));
        let h = l_next - l;
        let he = h * (eta + 1.0);
        let middle = cx.sigma(l + r * h);
        let mut noise = Noise::default();
        let x2 = mix([(middle / s * exp(-r * h * eta), &x), (-cx.alpha(middle) * expm1(-r * he), &denoised)]);
        let x2 = noise.added(cx, x2, 0.0, -r * h * eta, middle * s_noise);
        let denoised2 = cx.denoise(&x2, middle)?;
        let both = mix([(1.0 - share, &denoised), (share, &denoised2)]);
        x = mix([(t / s * exp(-h * eta), &x), (-cx.alpha(t) * expm1(-he), &both)]);
        let g = (r - 1.0) * h * eta;
        x = noise.added(cx, x, g, g, t * s_noise);
    }
    Ok(x)
}

/// Three stages.
pub(super) fn three(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let sigmas = cx.nudge_first_sigma(sigmas);
    let (eta, s_noise) = (cx.options().eta, cx.options().s_noise);
    let (r1, r2) = (1.0f32 / 3.0, 2.0f32 / 3.0);
    let phi2 = |v: f32| (expm1(v) - v) / v;
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, &sigmas, &x, &denoised)?;
        if t == 0.0 {
            x = denoised;
            continue;
        }
        let (l, l_next) = (cx.lambda(s), cx.lambda(t));
        let h = l_next - l;
        let he = h * (eta + 1.0);
        let (m1, m2) = (cx.sigma(l + r1 * h), cx.sigma(l + r2 * h));
        let mut noise = Noise::default();

        let x2 = mix([(m1 / s * exp(-r1 * h * eta), &x), (-cx.alpha(m1) * expm1(-r1 * he), &denoised)]);
        let x2 = noise.added(cx, x2, 0.0, -r1 * h * eta, m1 * s_noise);
        let denoised2 = cx.denoise(&x2, m1)?;

        let a32 = r2 / r1 * phi2(-r2 * he);
        let a31 = expm1(-r2 * he) - a32;
        let alpha = cx.alpha(m2);
        let x3 = mix([(m2 / s * exp(-r2 * h * eta), &x), (-alpha * a31, &denoised), (-alpha * a32, &denoised2)]);
        let g = (r1 - r2) * h * eta;
        let x3 = noise.added(cx, x3, g, g, m2 * s_noise);
        let denoised3 = cx.denoise(&x3, m2)?;

        let b3 = phi2(-he) / r2;
        let b1 = expm1(-he) - b3;
        let alpha = cx.alpha(t);
        x = mix([(t / s * exp(-h * eta), &x), (-alpha * b1, &denoised), (-alpha * b3, &denoised3)]);
        let g = (r2 - 1.0) * h * eta;
        x = noise.added(cx, x, g, g, t * s_noise);
    }
    Ok(x)
}

/// Noise that grows from stage to stage of one step.
#[derive(Default)]
struct Noise {
    so_far: Option<Latent>,
}

impl Noise {
    /// The latent with the step's noise so far, shrunk by e^`shrink` and joined by a fresh draw that fills the variance
    /// up to 1 - e^(2 `fill`).
    fn added(&mut self, cx: &mut SamplerContext<'_>, x: Latent, shrink: f32, fill: f32, scale: f32) -> Latent {
        let fresh = (-expm1(2.0 * fill)).max(0.0).sqrt();
        if cx.options().eta <= 0.0 {
            return x;
        }
        let drawn = cx.noise(&x) * fresh;
        let noise = match self.so_far.take() {
            Some(old) => old * exp(shrink) + drawn,
            None => drawn,
        };
        self.so_far = Some(noise.clone());
        x + noise * scale
    }
}
