//! DPM-Solver++ for the stochastic equation, with noise from one Brownian path.

use super::context::SamplerContext;
use super::error::SamplingError;
use super::math::{Latent, ancestral, exp, expm1, ln, mix};

/// DPM-Solver++ with a midpoint (dpmpp_sde).
pub(super) fn single(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let path = cx.brownian(sigmas, &x);
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
        let l = cx.lambda(s);
        let l_middle = l + r * (cx.lambda(t) - l);
        let middle = cx.sigma(l_middle);
        let half = Part::new(cx, (s, l), (middle, l_middle), eta);
        let mut x2 = mix([(half.keep, &x), (half.take, &denoised)]);
        x2 = x2 + path.step(s, middle) * (half.noise * s_noise);
        let denoised2 = cx.denoise(&x2, middle)?;
        let whole = Part::new(cx, (s, l), (t, cx.lambda(t)), eta);
        let both = mix([(1.0 - share, &denoised), (share, &denoised2)]);
        x = mix([(whole.keep, &x), (whole.take, &both)]);
        x = x + path.step(s, t) * (whole.noise * s_noise);
    }
    Ok(x)
}

/// Factors of a step from one level (with its half log-SNR) to another.
struct Part {
    keep: f32,
    take: f32,
    noise: f32,
}

impl Part {
    fn new(cx: &SamplerContext<'_>, (s, l): (f32, f32), (t, l_next): (f32, f32), eta: f32) -> Self {
        let (alpha, alpha_next) = (cx.alpha(s), cx.alpha(t));
        let (down, up) = ancestral(exp(-l), exp(-l_next), eta);
        let h = -ln(down) - l;
        Self { keep: alpha_next / alpha * exp(-h), take: -alpha_next * expm1(-h), noise: alpha_next * up }
    }
}

/// DPM-Solver++(2M) SDE with the midpoint correction.
pub(super) fn two_m(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    two_m_steps(cx, x, sigmas, |he| 0.5 * -expm1(-he))
}

/// DPM-Solver++(2M) SDE with Heun's correction.
pub(super) fn two_m_heun(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    two_m_steps(cx, x, sigmas, |he| -expm1(-he) / -he + 1.0)
}

/// `correction` is the factor of the change of the denoised latent, from the step's length.
fn two_m_steps(
    cx: &mut SamplerContext<'_>,
    mut x: Latent,
    sigmas: &[f32],
    correction: fn(f32) -> f32,
) -> Result<Latent, SamplingError> {
    let path = cx.brownian(sigmas, &x);
    let sigmas = cx.nudge_first_sigma(sigmas);
    let mut past: Option<(Latent, f32)> = None;
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, &sigmas, &x, &denoised)?;
        if t == 0.0 {
            x = denoised;
            continue;
        }
        let step = Stride::new(cx, s, t);
        x = mix([(step.keep, &x), (-step.alpha * expm1(-step.he), &denoised)]);
        if let Some((old, h_last)) = past {
            let r = h_last / step.h;
            x = x + (denoised.clone() - old) * (step.alpha * correction(step.he) / r);
        }
        if step.noise > 0.0 {
            x = x + path.step(s, t) * step.noise;
        }
        past = Some((denoised, step.h));
    }
    Ok(x)
}

/// DPM-Solver++(3M) SDE.
pub(super) fn three_m(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let path = cx.brownian(sigmas, &x);
    let sigmas = cx.nudge_first_sigma(sigmas);
    // Denoised latents and lengths of the steps before, the newest first.
    let mut past: Vec<(Latent, f32)> = Vec::with_capacity(3);
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, &sigmas, &x, &denoised)?;
        if t == 0.0 {
            x = denoised;
            continue;
        }
        let step = Stride::new(cx, s, t);
        x = mix([(step.keep, &x), (-step.alpha * expm1(-step.he), &denoised)]);
        let phi2 = expm1(-step.he) / step.he + 1.0;
        if let [(d1, h1), (d2, h2)] = past.as_slice() {
            let (r0, r1) = (h1 / step.h, h2 / step.h);
            let first = (denoised.clone() - d1.clone()).div_scalar(r0);
            let second = (d1.clone() - d2.clone()).div_scalar(r1);
            let change = first.clone() - second;
            let slope = mix([(1.0, &first), (r0 / (r0 + r1), &change)]);
            let curve = change.div_scalar(r0 + r1);
            let phi3 = phi2 / step.he - 0.5;
            x = mix([(1.0, &x), (step.alpha * phi2, &slope), (-(step.alpha * phi3), &curve)]);
        } else if let [(d1, h1)] = past.as_slice() {
            x = x + (denoised.clone() - d1.clone()) * (step.alpha * phi2 / (h1 / step.h));
        }
        if step.noise > 0.0 {
            x = x + path.step(s, t) * step.noise;
        }
        past.insert(0, (denoised, step.h));
        past.truncate(2);
    }
    Ok(x)
}

/// Lengths and factors of a multistep method's step.
struct Stride {
    h: f32,
    /// Length counting the noise that is put back.
    he: f32,
    keep: f32,
    alpha: f32,
    noise: f32,
}

impl Stride {
    fn new(cx: &SamplerContext<'_>, s: f32, t: f32) -> Self {
        let (eta, s_noise) = (cx.options().eta, cx.options().s_noise);
        let h = cx.lambda(t) - cx.lambda(s);
        let noise = if eta > 0.0 { t * (-expm1(-2.0 * h * eta)).sqrt() * s_noise } else { 0.0 };
        Self { h, he: h * (eta + 1.0), keep: t / s * exp(-h * eta), alpha: cx.alpha(t), noise }
    }
}
