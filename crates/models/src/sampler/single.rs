//! Deterministic and simple stochastic one-step methods.

use super::context::SamplerContext;
use super::error::SamplingError;
use super::math::{Latent, direction, exp, halfway, ln, mix};

/// Euler's method (Karras et al. 2022, algorithm 2 without churn). Also ddim.
pub(super) fn euler(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        let d = direction(&x, s, &denoised);
        x = x + d * (t - s);
    }
    Ok(x)
}

/// Heun's method (Karras et al. 2022, algorithm 1).
pub(super) fn heun(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        let d = direction(&x, s, &denoised);
        let dt = t - s;
        if t == 0.0 {
            x = x + d * dt;
            continue;
        }
        let x2 = x.clone() + d.clone() * dt;
        let d2 = direction(&x2, t, &cx.denoise(&x2, t)?);
        x = x + (d + d2) / 2.0 * dt;
    }
    Ok(x)
}

/// Heun's method with one more evaluation ahead, weighted by noise level.
pub(super) fn heunpp2(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let (first, end) = (sigmas[0], sigmas[sigmas.len() - 1]);
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        let d = direction(&x, s, &denoised);
        let dt = t - s;
        if t == end {
            x = x + d * dt;
            continue;
        }
        let x2 = x.clone() + d.clone() * dt;
        let d2 = direction(&x2, t, &cx.denoise(&x2, t)?);
        let u = sigmas[i + 2];
        let slope = if u == end {
            let w2 = t / (2.0 * first);
            mix([(1.0 - w2, &d), (w2, &d2)])
        } else {
            let x3 = x2 + d2.clone() * (u - t);
            let d3 = direction(&x3, u, &cx.denoise(&x3, u)?);
            let (w2, w3) = (t / (3.0 * first), u / (3.0 * first));
            mix([(1.0 - w2 - w3, &d), (w2, &d2), (w3, &d3)])
        };
        x = x + slope * dt;
    }
    Ok(x)
}

/// DPM-Solver-2 (Karras et al. 2022's form of it).
pub(super) fn dpm_2(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        let d = direction(&x, s, &denoised);
        if t == 0.0 {
            x = x + d * (t - s);
            continue;
        }
        let middle = exp(halfway(ln(s), ln(t)));
        let x2 = x.clone() + d * (middle - s);
        let d2 = direction(&x2, middle, &cx.denoise(&x2, middle)?);
        x = x + d2 * (t - s);
    }
    Ok(x)
}

/// Ancestral sampling of Ho et al. 2020.
pub(super) fn ddpm(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        let (signal, signal_next) = (1.0 / (s * s + 1.0), 1.0 / (t * t + 1.0));
        let alpha = signal / signal_next;
        let noise = direction(&x, s, &denoised);
        let scaled = x.div_scalar((1.0 + s * s).sqrt());
        let predicted = scaled - (noise * (1.0 - alpha)).div_scalar((1.0 - signal).sqrt());
        x = predicted * (1.0 / alpha).sqrt();
        if t > 0.0 {
            let spread = ((1.0 - alpha) * (1.0 - signal_next) / (1.0 - signal)).sqrt();
            let drawn = cx.noise(&x);
            x = (x + drawn * spread) * (1.0 + t * t).sqrt();
        }
    }
    Ok(x)
}

/// Latent consistency: the denoised latent, noised again.
pub(super) fn lcm(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        x = denoised;
        if t > 0.0 {
            let noise = cx.noise(&x);
            x = noise * t + x * cx.alpha(t);
        }
    }
    Ok(x)
}
