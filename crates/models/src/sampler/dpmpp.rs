//! DPM-Solver++(2M) (Lu et al. 2022): two steps, deterministic.

use super::context::SamplerContext;
use super::error::SamplingError;
use super::math::{Latent, expm1, ln, mix};

/// DPM-Solver++(2M).
pub(super) fn two_m(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let mut old: Option<Latent> = None;
    for (i, pair) in sigmas.windows(2).enumerate() {
        let (s, t) = (pair[0], pair[1]);
        let denoised = cx.denoise(&x, s)?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        let h = -ln(t) - -ln(s);
        let corrected = match old.filter(|_| t != 0.0) {
            Some(old) => {
                let r = (-ln(s) - -ln(sigmas[i - 1])) / h;
                mix([(1.0 + 1.0 / (2.0 * r), &denoised), (-1.0 / (2.0 * r), &old)])
            }
            None => denoised.clone(),
        };
        x = mix([(t / s, &x), (-expm1(-h), &corrected)]);
        old = Some(denoised);
    }
    Ok(x)
}
