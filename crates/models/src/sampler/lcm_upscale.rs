//! Latent consistency sampling on a latent that grows.
//!
//! Source: ComfyUI `nodes_advanced_samplers.py`, behaviour of SamplerLCMUpscale.

use super::context::{ProgressiveUpscale, SamplerContext};
use super::error::SamplingError;
use super::math::Latent;
use crate::image::{Crop, Planes, common_upscale};

/// The denoised latent, enlarged step by step, noised again.
pub(super) fn lcm_upscale(cx: &mut SamplerContext<'_>, mut x: Latent, sigmas: &[f32]) -> Result<Latent, SamplingError> {
    let ProgressiveUpscale { ratio, steps, method } = cx.options().upscale;
    let sizes = sizes(ratio, steps, sigmas.len());
    let (initial, device) = (x.dims(), x.device());
    let mut noise = cx.global_noise(initial);
    for (i, pair) in sigmas.windows(2).enumerate() {
        let denoised = cx.denoise(&x, pair[0])?;
        cx.report_step(i, sigmas, &x, &denoised)?;
        x = denoised;
        if let Some(size) = sizes.get(i) {
            let side = |cells: usize| (cells as f64 * size).round_ties_even() as usize;
            let unfit = |error: crate::image::ImageError| SamplingError::Read(error.to_string());
            let planes = Planes::from_tensor(&x).map_err(unfit)?;
            let resized = common_upscale(&planes, side(initial[3]), side(initial[2]), method, Crop::Disabled);
            x = resized.map_err(unfit)?.to_tensor(&device);
        }
        if pair[1] > 0.0 {
            x = x.clone() + noise.draw(&x) * pair[1];
        }
    }
    Ok(x)
}

/// How large the latent is after each step, relative to its first size; it stays as it is after the last.
fn sizes(ratio: f64, steps: Option<usize>, levels: usize) -> Vec<f64> {
    let points = match steps {
        None => (levels / 2 + 1).max(2),
        Some(steps) => (steps + 1).min(levels + 1),
    };
    (1..points).map(|i| 1.0 + (ratio - 1.0) * i as f64 / (points - 1) as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::sizes;

    #[test]
    fn half_of_the_run_enlarges_unless_it_is_told_how_many_steps() {
        assert_eq!(sizes(2.0, None, 5), [1.5, 2.0]);
        assert_eq!(sizes(2.0, Some(1), 5), [2.0]);
        assert_eq!(sizes(2.0, Some(0), 5), [0.0; 0]);
        assert_eq!(sizes(3.0, Some(100), 3), [1.0 + 2.0 / 3.0, 1.0 + 4.0 / 3.0, 3.0]);
    }
}
