//! DPM-Solver of orders 1 to 3 (Lu et al. 2022) on noise prediction, with a fixed number of evaluations (dpm_fast).

use super::context::SamplerContext;
use super::error::SamplingError;
use super::math::{Latent, exp, expm1, ln, mix};
use crate::schedule::linspace;

/// Noise level of a log time.
pub(super) fn sigma(l: f32) -> f32 {
    exp(-l)
}

/// The noise in a latent at a log time, from a denoised latent.
pub(super) fn noise(cx: &mut SamplerContext<'_>, x: &Latent, l: f32) -> Result<Latent, SamplingError> {
    let denoised = cx.denoise(x, sigma(l))?;
    Ok((x.clone() - denoised).div_scalar(sigma(l)))
}

/// A step and what is known at its start.
pub(super) struct Stage<'a> {
    pub(super) x: &'a Latent,
    pub(super) from: f32,
    pub(super) to: f32,
    pub(super) noise: &'a Latent,
}

impl Stage<'_> {
    fn h(&self) -> f32 {
        self.to - self.from
    }

    pub(super) fn first_order(&self) -> Latent {
        mix([(1.0, self.x), (-(sigma(self.to) * expm1(self.h())), self.noise)])
    }

    /// The noise at a part of the step.
    pub(super) fn noise_at(&self, cx: &mut SamplerContext<'_>, r: f32) -> Result<Latent, SamplingError> {
        let h = self.h();
        let at = self.from + r * h;
        let u = mix([(1.0, self.x), (-(sigma(at) * expm1(r * h)), self.noise)]);
        noise(cx, &u, at)
    }

    /// Second order, from the noise at `r`.
    pub(super) fn second_order(&self, r: f32, inner: &Latent) -> Latent {
        let (h, end) = (self.h(), sigma(self.to));
        let change = inner.clone() - self.noise.clone();
        mix([(1.0, self.x), (-(end * expm1(h)), self.noise), (-(end / (2.0 * r) * expm1(h)), &change)])
    }

    /// Third order, from the noise at a third.
    pub(super) fn third_order(&self, cx: &mut SamplerContext<'_>, inner: &Latent) -> Result<Latent, SamplingError> {
        let (r1, r2) = (1.0f32 / 3.0, 2.0f32 / 3.0);
        let (h, end) = (self.h(), sigma(self.to));
        let at = self.from + r2 * h;
        let change = inner.clone() - self.noise.clone();
        let u2 = mix([
            (1.0, self.x),
            (-(sigma(at) * expm1(r2 * h)), self.noise),
            (-(sigma(at) * (r2 / r1) * (expm1(r2 * h) / (r2 * h) - 1.0)), &change),
        ]);
        let change = noise(cx, &u2, at)? - self.noise.clone();
        Ok(mix([(1.0, self.x), (-(end * expm1(h)), self.noise), (-(end / r2 * (expm1(h) / h - 1.0)), &change)]))
    }
}

/// Log times of the first and the last positive level.
pub(super) fn ends(sigmas: &[f32]) -> (f32, f32) {
    let last = sigmas.iter().rev().copied().find(|s| *s > 0.0).unwrap_or(sigmas[0]);
    (-ln(sigmas[0]), -ln(last))
}

/// DPM-Solver-fast: as many evaluations as steps, in stages of up to three.
pub(super) fn fast(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let (start, end) = ends(sigmas);
    let n = sigmas.len() - 1;
    let m = n / 3 + 1;
    let orders: Vec<usize> = if n.is_multiple_of(3) {
        std::iter::repeat_n(3, m - 2).chain([2, 1]).collect()
    } else {
        std::iter::repeat_n(3, m - 1).chain([n % 3]).collect()
    };
    let times = linspace(start, end, m + 1);
    for (i, (order, pair)) in orders.into_iter().zip(times.windows(2)).enumerate() {
        let (from, to) = (pair[0], pair[1]);
        let eps = noise(cx, &x, from)?;
        let denoised = mix([(1.0, &x), (-sigma(from), &eps)]);
        cx.report_step(i, sigmas, &x, &denoised)?;
        let stage = Stage { x: &x, from, to, noise: &eps };
        x = match order {
            1 => stage.first_order(),
            2 => {
                let inner = stage.noise_at(cx, 0.5)?;
                stage.second_order(0.5, &inner)
            }
            _ => {
                let inner = stage.noise_at(cx, 1.0 / 3.0)?;
                stage.third_order(cx, &inner)?
            }
        };
    }
    Ok(x)
}
