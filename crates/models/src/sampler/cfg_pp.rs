//! CFG++ (arXiv 2406.08070): the direction comes from the negative conditioning's prediction alone.

use super::context::SamplerContext;
use super::error::SamplingError;
use super::math::{Latent, ancestral, direction, exp, expm1, ln, mix};

/// Euler.
pub(super) fn euler(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    euler_steps(cx, x, sigmas, 0.0)
}

/// Euler with noise.
pub(super) fn euler_ancestral(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let eta = cx.options().eta;
    euler_steps(cx, x, sigmas, eta)
}

fn euler_steps(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32], eta: f32) -> Result<Latent, SamplingError> {
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let (denoised, uncond) = cx.denoise_both(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        if t == 0.0 {
            x = denoised;
            continue;
        }
        let (a, a_next) = (cx.alpha(s), cx.alpha(t));
        let d = mix([(1.0, &x), (-a, &uncond)]).div_scalar(s);
        let (down, up) = ancestral(s / a, t / a_next, eta);
        x = mix([(a_next, &denoised), (a_next * down, &d)]);
        if eta > 0.0 {
            x = x.clone() + cx.noise(&x) * cx.options().s_noise * (a_next * up);
        }
    }
    Ok(x)
}

/// Euler along the guided direction, from the place that the negative's prediction puts the latent at.
pub(super) fn euler_alternative(
    cx: &mut SamplerContext<'_>,
    mut x: Latent,
    sigmas: &[f32],
) -> Result<Latent, SamplingError> {
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let (denoised, uncond) = cx.denoise_both(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        let d = direction(&(x.clone() - denoised.clone() + uncond), s, &denoised);
        x = x + d * (t - s);
    }
    Ok(x)
}

/// DPM-Solver++(2S) with noise; on flow models, too, in its form for noise prediction.
pub(super) fn dpmpp_2s_ancestral(
    cx: &mut SamplerContext<'_>,
    mut x: Latent,
    sigmas: &[f32],
) -> Result<Latent, SamplingError> {
    let (eta, s_noise) = (cx.options().eta, cx.options().s_noise);
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let (denoised, uncond) = cx.denoise_both(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        let (down, up) = ancestral(s, t, eta);
        if down == 0.0 {
            let d = direction(&x, s, &uncond);
            x = denoised + d * down;
        } else {
            let (l, l_down) = (-ln(s), -ln(down));
            let h = l_down - l;
            let middle = exp(-(l + 0.5 * h));
            let shifted = x.clone() + (denoised.clone() - uncond);
            let x2 = mix([(middle / s, &shifted), (-expm1(-h * 0.5), &denoised)]);
            // The second line takes the difference to the second evaluation's negative prediction.
            let (denoised2, uncond2) = cx.denoise_both(&x2, middle)?;
            let shifted = x + (denoised - uncond2);
            x = mix([(down / s, &shifted), (-expm1(-h), &denoised2)]);
        }
        if t > 0.0 {
            x = x.clone() + cx.noise(&x) * s_noise * up;
        }
    }
    Ok(x)
}

/// DPM-Solver++(2M).
pub(super) fn dpmpp_2m(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let mut old: Option<Latent> = None;
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let (denoised, uncond) = cx.denoise_both(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        let h = -ln(t) - -ln(s);
        let shrink = exp(-h);
        let mut mixed = mix([(1.0, &denoised), (-shrink, &uncond)]);
        if let Some(old) = old.filter(|_| t != 0.0) {
            let r = (-ln(s) - -ln(sigmas[i - 1])) / h;
            mixed = mixed + (denoised - old) * (-expm1(-h) * (1.0 / (2.0 * r)));
        }
        x = mix([(1.0, &mixed), (shrink, &x)]);
        old = Some(uncond);
    }
    Ok(x)
}

/// Gradient estimation.
pub(super) fn gradient_estimation(
    cx: &mut SamplerContext<'_>,
    mut x: Latent,
    sigmas: &[f32],
) -> Result<Latent, SamplingError> {
    const GAMMA: f32 = 2.0;
    let mut old: Option<Latent> = None;
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let (denoised, uncond) = cx.denoise_both(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        let d = direction(&x, s, &uncond);
        x = if t == 0.0 { denoised } else { denoised + d.clone() * t };
        if let Some(old) = old.filter(|_| t != 0.0) {
            x = x + (d.clone() - old) * ((GAMMA - 1.0) * (t - s));
        }
        old = Some(d);
    }
    Ok(x)
}
