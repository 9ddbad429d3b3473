//! What a network is told beside latent, level and prompt, worked out for one condition.
//!
//! Source: ComfyUI `comfy/model_base.py`.

use burn::tensor::{Device, Tensor, TensorData};

use super::image_noise::{image_vector, low_res_level, noisy_image};
use super::prepare::{PrepareContext, cut_to_fit, spread_batch};
use super::vector::{NUMBER, size_vector};
use crate::conditioning::{Camera, Condition, Video};
use crate::nets::{SideInputs, unet::sinusoidal};
use crate::sampler::SamplingError;

/// Width of the embedding of an angle.
const ANGLE: usize = 512;
/// The noise with which several images become one, in unCLIP.
const MERGED: f64 = 0.05;

impl PrepareContext<'_> {
    /// The vector beside the time embedding, `[B, width]`.
    pub(super) fn vector(&self, entry: &Condition, width: usize, negative: bool) -> Result<Tensor<2>, SamplingError> {
        let ([batch, _, rows, columns], device) = (self.latent.dims(), self.latent.device());
        let video = &entry.video;
        match self.model.side_inputs() {
            SideInputs::Usual | SideInputs::ScaledImage => {
                let seen;
                let entry = if entry.images.is_empty() {
                    entry
                } else {
                    seen = self.seen(entry, &device)?;
                    &seen
                };
                size_vector(entry, width, (rows, columns), negative)
            }
            SideInputs::Embeddings if entry.images.is_empty() => Ok(Tensor::zeros([1, width], &device)),
            SideInputs::Embeddings => image_vector(&entry.images, width / 2, MERGED, self.seed, &device),
            SideInputs::Motion => Ok(motion(video, &device)),
            SideInputs::Orbit => Ok(sinusoidal(&[video.noise.unwrap_or(0.0)], NUMBER, &device)),
            SideInputs::Cameras => cameras(video, batch, &device),
            SideInputs::LowRes => {
                let level = entry.low_res.as_ref().map_or(0, |low| low_res_level(low.noise));
                Ok(Tensor::from_data(TensorData::new(vec![level as f32], [1, 1]), &device))
            }
            SideInputs::Task => Ok(task(&device)),
            SideInputs::Pooled => pooled(entry, width, &device),
        }
    }

    /// A condition whose pooled prompt is what it sees in its images (SDXL).
    fn seen(&self, entry: &Condition, device: &Device) -> Result<Condition, SamplingError> {
        let width = entry.images.first().map_or(0, |image| image.embeds.dims()[1]);
        let vector = image_vector(&entry.images, width, 0.0, self.seed, device)?;
        Ok(Condition { pooled: Some(vector.narrow(1, 0, width)), ..entry.clone() })
    }

    /// The small image of a condition at the latent's size, with its noise; black without one.
    pub(super) fn low_res(&self, entry: &Condition) -> Result<Tensor<4>, SamplingError> {
        let [batch, _, height, width] = self.latent.dims();
        let Some(low) = &entry.low_res else {
            return Ok(Tensor::zeros([batch, 3, height, width], &self.latent.device()));
        };
        let fitted = cut_to_fit(&low.image, width, height)?;
        Ok(noisy_image(fitted, low.noise, self.seed).0)
    }
}

/// The first numbers of the pooled prompt, or zeros.
fn pooled(entry: &Condition, width: usize, device: &Device) -> Result<Tensor<2>, SamplingError> {
    match &entry.pooled {
        Some(pooled) if pooled.dims()[1] < width => {
            let (expected, found) = (format!("[B, {width}], as this model's own text encoders give it"), pooled.dims());
            Err(SamplingError::Shape { what: "pooled output", expected, found: found.to_vec() })
        }
        Some(pooled) => Ok(pooled.clone().narrow(1, 0, width)),
        None => Ok(Tensor::zeros([1, width], device)),
    }
}

/// Frames per second (counted from 0), motion, noise.
fn motion(video: &Video, device: &Device) -> Tensor<2> {
    let numbers = [video.fps.unwrap_or(6.0) - 1.0, video.motion.unwrap_or(127.0), video.noise.unwrap_or(0.0)];
    sinusoidal(&numbers, NUMBER, device).reshape([1, numbers.len() * NUMBER])
}

/// Noise, angle from above and angle around, for each frame.
fn cameras(video: &Video, frames: usize, device: &Device) -> Result<Tensor<2>, SamplingError> {
    const FRONT: &[Camera] = &[Camera { elevation: 0.0, azimuth: 0.0 }];
    let cameras = if video.cameras.is_empty() { FRONT } else { &video.cameras };
    let angles = |angle: &dyn Fn(&Camera) -> f32| {
        let turned = cameras.iter().map(|camera| (angle(camera) % 360.0).to_radians());
        spread_batch(sinusoidal(&turned.collect::<Vec<f32>>(), ANGLE, device), frames)
    };
    let noise = spread_batch(sinusoidal(&[video.noise.unwrap_or(0.0)], NUMBER, device), frames)?;
    let above = angles(&|camera| 90.0 - camera.elevation)?;
    let around = angles(&|camera| camera.azimuth)?;
    Ok(Tensor::cat(vec![noise, above, around], 1))
}

/// The first of two tasks: sines of 1 and 0, then their cosines.
fn task(device: &Device) -> Tensor<2> {
    let values = vec![1f32.sin(), 0.0, 1f32.cos(), 1.0];
    Tensor::from_data(TensorData::new(values, [1, 4]), device)
}
