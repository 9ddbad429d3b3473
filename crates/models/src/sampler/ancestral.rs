//! One-step methods that go down further than asked and put noise back.

use super::context::SamplerContext;
use super::error::SamplingError;
use super::math::{FlowAncestral, Latent, ancestral, direction, exp, expm1, halfway, ln, mix};

/// Euler steps with noise (k-diffusion `sample_euler_ancestral`).
pub(super) fn euler(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let (eta, s_noise) = (cx.options().eta, cx.options().s_noise);
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        if cx.is_flow() {
            if t == 0.0 {
                x = denoised;
                continue;
            }
            let step = FlowAncestral::new(s, t, eta);
            let ratio = step.down / s;
            x = mix([(ratio, &x), (1.0 - ratio, &denoised)]);
            x = renoised(cx, x, &step);
            continue;
        }
        let (down, up) = ancestral(s, t, eta);
        if down == 0.0 {
            x = denoised;
            continue;
        }
        let d = direction(&x, s, &denoised);
        x = x + d * (down - s);
        x = x.clone() + cx.noise(&x) * s_noise * up;
    }
    Ok(x)
}

/// DPM-Solver-2 with noise.
pub(super) fn dpm_2(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let (eta, s_noise) = (cx.options().eta, cx.options().s_noise);
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        let flow = cx.is_flow().then(|| FlowAncestral::new(s, t, eta));
        let (down, up) = match &flow {
            Some(step) => (step.down, 0.0),
            None => ancestral(s, t, eta),
        };
        let d = direction(&x, s, &denoised);
        if down == 0.0 {
            x = x + d * (down - s);
            continue;
        }
        let middle = exp(halfway(ln(s), ln(down)));
        let x2 = x.clone() + d * (middle - s);
        let d2 = direction(&x2, middle, &cx.denoise(&x2, middle)?);
        x = x + d2 * (down - s);
        x = match &flow {
            Some(step) => renoised(cx, x, step),
            None => x.clone() + cx.noise(&x) * s_noise * up,
        };
    }
    Ok(x)
}

/// DPM-Solver++(2S) with noise.
pub(super) fn dpmpp_2s(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let (eta, s_noise) = (cx.options().eta, cx.options().s_noise);
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        if cx.is_flow() {
            x = dpmpp_2s_flow(cx, x, &denoised, (s, t))?;
            continue;
        }
        let (down, up) = ancestral(s, t, eta);
        if down == 0.0 {
            let d = direction(&x, s, &denoised);
            x = x + d * (down - s);
        } else {
            let (l, l_down) = (-ln(s), -ln(down));
            let h = l_down - l;
            let middle = exp(-(l + 0.5 * h));
            let x2 = mix([(middle / s, &x), (-expm1(-h * 0.5), &denoised)]);
            let denoised2 = cx.denoise(&x2, middle)?;
            x = mix([(down / s, &x), (-expm1(-h), &denoised2)]);
        }
        if t > 0.0 {
            x = x.clone() + cx.noise(&x) * s_noise * up;
        }
    }
    Ok(x)
}

fn dpmpp_2s_flow(
    cx: &mut SamplerContext<'_>,
    x: Latent,
    denoised: &Latent,
    (s, t): (f32, f32),
) -> Result<Latent, SamplingError> {
    let step = FlowAncestral::new(s, t, cx.options().eta);
    if t == 0.0 {
        let d = direction(&x, s, denoised);
        return Ok(x + d * (step.down - s));
    }
    let middle = if s == 1.0 {
        0.9999
    } else {
        let (l, l_down) = (cx.lambda(s), cx.lambda(step.down));
        cx.sigma(l + 0.5 * (l_down - l))
    };
    let ratio = middle / s;
    let x2 = mix([(ratio, &x), (1.0 - ratio, denoised)]);
    let denoised2 = cx.denoise(&x2, middle)?;
    let ratio = step.down / s;
    let x = mix([(ratio, &x), (1.0 - ratio, &denoised2)]);
    Ok(renoised(cx, x, &step))
}

/// Noise put back on a straight path.
fn renoised(cx: &mut SamplerContext<'_>, x: Latent, step: &FlowAncestral) -> Latent {
    if cx.options().eta <= 0.0 {
        return x;
    }
    let noise = cx.noise(&x) * cx.options().s_noise * step.renoise;
    x * step.keep + noise
}
