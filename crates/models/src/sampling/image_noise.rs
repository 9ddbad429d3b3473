//! Images that are taken with noise: CLIP embeddings as prompts (unCLIP), and small images to be made large.
//!
//! Sources: CompVis latent-diffusion, `AbstractLowScaleModel`; ComfyUI `comfy/model_base.py` for how several images become
//! one, and for the seeds. ComfyUI leaves out the mean and deviation of embeddings that unCLIP files hold.

use burn::tensor::{Device, Tensor, TensorData};

use crate::conditioning::ImagePrompt;
use crate::nets::unet::sinusoidal;
use crate::random::TorchGenerator;
use crate::sampler::SamplingError;
use crate::schedule::scaled_linear_betas;

/// Levels of both schedules.
const LEVELS: usize = 1000;

/// How much of a signal and how much noise there is at each level.
struct Schedule {
    /// The signal's squared share.
    signal: Vec<f64>,
}

impl Schedule {
    /// Betas from the square of a cosine, none above 0.999: for embeddings.
    fn cosine() -> Self {
        let bar = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
        let at = |i: usize| bar(i as f64 / LEVELS as f64);
        Self::of((0..LEVELS).map(|i| (1.0 - at(i + 1) / at(i)).min(0.999)))
    }

    /// Betas whose roots are spread evenly: for images.
    fn linear() -> Self {
        Self::of(scaled_linear_betas(0.0001, 0.02))
    }

    fn of(betas: impl Iterator<Item = f64>) -> Self {
        let signal = betas.scan(1.0, |left, beta| {
            *left *= 1.0 - beta;
            Some(*left)
        });
        Self { signal: signal.collect() }
    }

    /// `x` with noise of a level.
    fn noisy<const D: usize>(&self, x: Tensor<D>, level: usize, generator: &mut TorchGenerator) -> Tensor<D> {
        let signal = self.signal[level.min(self.signal.len() - 1)];
        let shape = x.dims();
        let noise = generator.randn(shape.iter().product());
        let noise = Tensor::<D>::from_data(TensorData::new(noise, shape), &x.device());
        x * signal.sqrt() as f32 + noise * (1.0 - signal).sqrt() as f32
    }
}

/// The generator of a run's images.
fn generator(seed: u64) -> TorchGenerator {
    TorchGenerator::new(seed.wrapping_sub(10))
}

/// A share of `most` as a whole number.
fn level(share: f64, most: usize) -> usize {
    (share * most as f64).round_ties_even().clamp(0.0, most as f64) as usize
}

/// Embeddings as one, with noise, and that noise's level as a vector of the same width: `[1, 2 · width]`. Several are added
/// up and taken with the noise `merged` once more.
pub(super) fn image_vector(
    images: &[ImagePrompt],
    width: usize,
    merged: f64,
    seed: u64,
    device: &Device,
) -> Result<Tensor<2>, SamplingError> {
    let (schedule, mut sum, mut count) = (Schedule::cosine(), Tensor::<2>::zeros([1, width * 2], device), 0);
    let mut drawn = generator(seed);
    let with_level = |x: Tensor<2>, share: f64, drawn: &mut TorchGenerator| {
        let level = level(share, LEVELS - 1);
        Tensor::cat(vec![schedule.noisy(x, level, drawn), sinusoidal(&[level as f32], width, device)], 1)
    };
    for image in images {
        let [rows, found] = image.embeds.dims();
        if found != width {
            let expected = format!("[images, {width}], as this model's own image encoder gives it");
            return Err(SamplingError::Shape { what: "clip_vision_output", expected, found: vec![rows, found] });
        }
        for row in 0..rows {
            // Each image draws the same noise; what merges them draws on from the last one's.
            drawn = generator(seed);
            let vector = with_level(image.embeds.clone().narrow(0, row, 1), image.noise, &mut drawn);
            sum = sum + vector * image.strength as f32;
            count += 1;
        }
    }
    if count < 2 {
        return Ok(sum);
    }
    Ok(with_level(sum.narrow(1, 0, width), merged, &mut drawn))
}

/// An image with noise, and the level of it.
pub(super) fn noisy_image(image: Tensor<4>, share: f64, seed: u64) -> (Tensor<4>, usize) {
    let level = low_res_level(share);
    let image = if share > 0.0 { Schedule::linear().noisy(image, level, &mut generator(seed)) } else { image };
    (image, level)
}

/// The level of a small image's noise.
pub(super) fn low_res_level(share: f64) -> usize {
    const MOST: usize = 350;
    level(share, MOST)
}
