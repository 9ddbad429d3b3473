//! Residual multistep (arXiv 2308.02157): second order in the log of the noise level, with or without noise.

use super::context::SamplerContext;
use super::error::SamplingError;
use super::math::{Latent, ancestral as ancestral_step, direction, exp, expm1, ln, mix};

/// Without noise.
pub(super) fn plain(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    steps(cx, x, sigmas, 0.0, false)
}

/// Without noise, CFG++.
pub(super) fn plain_cfg_pp(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    steps(cx, x, sigmas, 0.0, true)
}

/// With noise.
pub(super) fn ancestral(cx: &mut SamplerContext<'_>, x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let eta = cx.options().eta;
    steps(cx, x, sigmas, eta, false)
}

/// With noise, CFG++.
pub(super) fn ancestral_cfg_pp(
    cx: &mut SamplerContext<'_>,
    x: Latent,
    sigmas: &[f32],
) -> Result<Latent, SamplingError> {
    let eta = cx.options().eta;
    steps(cx, x, sigmas, eta, true)
}

/// What a step leaves for the next one.
struct Past {
    denoised: Latent,
    down: f32,
}

fn steps(
    cx: &mut SamplerContext<'_>,
    mut x: Latent,
    sigmas: &[f32],
    eta: f32,
    cfg_pp: bool,
) -> Result<Latent, SamplingError> {
    let mut past: Option<Past> = None;
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let (denoised, uncond) =
            if cfg_pp { cx.denoise_both(&x, s)? } else { cx.denoise(&x, s).map(|d| (d.clone(), d))? };
        cx.report_step(i, sigmas, &x, &denoised)?;
        let (down, up) = ancestral_step(s, t, eta);
        x = match past.filter(|_| down != 0.0) {
            None if cfg_pp => denoised.clone() + direction(&x, s, &uncond) * down,
            None => x.clone() + direction(&x, s, &denoised) * (down - s),
            Some(past) => {
                let shifted = if cfg_pp { x + (denoised - uncond.clone()) } else { x };
                second_order(&shifted, &uncond, &past, [sigmas[i - 1], s, down])
            }
        };
        if t > 0.0 && up > 0.0 {
            x = x.clone() + cx.noise(&x) * cx.options().s_noise * up;
        }
        past = Some(Past { denoised: uncond, down });
    }
    Ok(x)
}

fn second_order(x: &Latent, denoised: &Latent, past: &Past, [previous, s, down]: [f32; 3]) -> Latent {
    let number = |v: f32| if v.is_nan() { 0.0 } else { v };
    let h = -ln(down) - -ln(s);
    let c2 = (-ln(previous) - -ln(past.down)) / h;
    let phi1 = expm1(-h) / -h;
    let phi2 = (phi1 - 1.0) / -h;
    let (b1, b2) = (number(phi1 - phi2 / c2), number(phi2 / c2));
    mix([(exp(-h), x), (h * b1, denoised), (h * b2, &past.denoised)])
}
