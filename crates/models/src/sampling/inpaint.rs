//! Keeping parts of a latent: what the mask leaves alone is the original at every evaluation.

use burn::tensor::Tensor;

use crate::image::{Method, Planes};
use crate::sampler::SamplingError;
use crate::sampler::{Denoised, Denoiser};
use crate::schedule::ModelSampling;
use crate::schedule::scaling;

/// The mask of a run and what fills its outside.
#[derive(Debug, Clone)]
pub(super) struct InpaintMask {
    /// 1 where the latent is drawn anew, `[B, C, h, w]`.
    pub(super) mask: Tensor<4>,
    /// The original in model space.
    pub(super) latent: Tensor<4>,
    /// Noise for the original at each level.
    pub(super) noise: Tensor<4>,
}

/// A denoiser whose outside stays.
pub(super) struct Inpainting<'a> {
    pub(super) inner: &'a mut dyn Denoiser,
    pub(super) sampling: &'a ModelSampling,
    pub(super) inpaint: &'a InpaintMask,
    pub(super) differential: Option<DifferentialMask>,
}

/// Differential diffusion: a place is free from the step on that its mask value names.
#[derive(Debug, Clone, Copy)]
pub(super) struct DifferentialMask {
    /// How much of the mask is the sharp one; 0 means all of it, as in the reference.
    degree: f64,
    /// Time steps of the first and the last level.
    from: f32,
    to: f32,
}

impl DifferentialMask {
    pub(super) fn new(degree: f64, sampling: &ModelSampling, sigmas: &[f32]) -> Self {
        let levels = &sampling.levels;
        let (first, last) = (sigmas.first().copied(), sigmas.last().copied());
        let least = levels.sigma_min();
        let from = levels.timestep(first.unwrap_or(least));
        Self { degree, from, to: levels.timestep(last.unwrap_or(least).max(least)) }
    }

    fn mask(&self, mask: &Tensor<4>, sampling: &ModelSampling, sigma: f32) -> Tensor<4> {
        let threshold = (sampling.levels.timestep(sigma) - self.to) / (self.from - self.to);
        let sharp = mask.clone().greater_equal_elem(threshold).float();
        if self.degree > 0.0 && self.degree < 1.0 {
            let degree = self.degree as f32;
            return sharp * degree + mask.clone() * (1.0 - degree);
        }
        sharp
    }
}

impl Denoiser for Inpainting<'_> {
    fn denoise(&mut self, x: &Tensor<4>, sigma: f32) -> Result<Denoised, SamplingError> {
        let InpaintMask { mask, latent, noise } = self.inpaint;
        if x.dims() != latent.dims() {
            let expected = format!("{:?} throughout: its mask has that size", latent.dims());
            return Err(SamplingError::Shape { what: "latent", expected, found: x.dims().to_vec() });
        }
        let mask = match self.differential {
            Some(differential) => &differential.mask(mask, self.sampling, sigma),
            None => mask,
        };
        let outside = mask.clone().neg().add_scalar(1.0);
        let original = scaling::noisy(self.sampling, noise.clone(), latent.clone(), sigma, false);
        let x = x.clone() * mask.clone() + original * outside.clone();
        let Denoised { guided, uncond } = self.inner.denoise(&x, sigma)?;
        Ok(Denoised { guided: guided * mask.clone() + latent.clone() * outside, uncond })
    }
}

/// A noise mask at the size of a latent: `[B', 1, H, W]` (or any planes of that size) resized bilinearly, repeated to the
/// latent's batch and channels.
///
/// # Errors
/// When the mask is empty or can't be read.
pub(super) fn fitted_mask(mask: &Tensor<4>, like: [usize; 4]) -> Result<Tensor<4>, SamplingError> {
    let [batch, channels, height, width] = like;
    let [own_batch, own_channels, h, w] = mask.dims();
    if own_batch * own_channels * h * w == 0 {
        return Err(SamplingError::Shape {
            what: "noise_mask",
            expected: "[B, 1, H, W] without empty sides".to_owned(),
            found: mask.dims().to_vec(),
        });
    }
    let planes = own_batch * own_channels;
    let resized = resized(&mask.clone().reshape([planes, 1, h, w]), width, height)?;
    let repeated = repeat_batch(resized, batch);
    Ok(repeated.repeat_dim(1, channels))
}

/// Bilinear resizing.
pub(super) fn resized(x: &Tensor<4>, width: usize, height: usize) -> Result<Tensor<4>, SamplingError> {
    let [_, _, h, w] = x.dims();
    if (h, w) == (height, width) {
        return Ok(x.clone());
    }
    let planes = Planes::from_tensor(x).map_err(|e| SamplingError::Read(e.to_string()))?;
    Ok(planes.resize(width, height, Method::Bilinear).to_tensor(&x.device()))
}

/// Repeated as a whole and cut to so many items.
pub(super) fn repeat_batch<const D: usize>(x: Tensor<D>, batch: usize) -> Tensor<D> {
    let own = x.dims()[0];
    if own == batch || own == 0 {
        return x;
    }
    x.repeat_dim(0, batch.div_ceil(own)).narrow(0, 0, batch)
}
