//! The latent that a run starts from: with its model's channels, and whether anything is in it.
//!
//! Read from its device once. Knows nothing of noise or masks.

use burn::tensor::Tensor;

use crate::sampler::SamplingError;

/// A latent fitted to a model.
#[derive(Debug, Clone)]
pub struct StartLatent {
    tensor: Tensor<4>,
    empty: bool,
    frames: usize,
}

impl StartLatent {
    /// `latent` `[B, C, h, w]` as the autoencoder gives it; an empty one of another number of channels becomes an empty one
    /// of this number.
    ///
    /// # Errors
    /// When a latent that isn't empty has other channels, or a side has no cells.
    pub fn new(latent: Tensor<4>, channels: usize) -> Result<Self, SamplingError> {
        Self::with_frames(latent, 1, channels)
    }

    /// A latent of so many frames, `[B, C, F, h, w]` with the frames folded into the channels: `[B, C · F, h, w]`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_frames(latent: Tensor<4>, frames: usize, channels: usize) -> Result<Self, SamplingError> {
        let (found, frames) = (latent.dims(), frames.max(1));
        let empty = found.iter().all(|side| *side > 0) && is_zero(&latent)?;
        if found[1] == channels * frames && found.iter().all(|side| *side > 0) {
            return Ok(Self { tensor: latent, empty, frames });
        }
        if !empty {
            let frames = if frames == 1 { String::new() } else { format!("{frames} frames of ") };
            let expected = format!("{frames}[B, {channels}, H/8, W/8], as the autoencoder of this model gives it");
            return Err(SamplingError::Shape { what: "latent_image", expected, found: found.to_vec() });
        }
        Ok(Self { tensor: latent.narrow(1, 0, 1).repeat_dim(1, channels * frames), empty, frames })
    }

    /// How many frames are folded into the channels; 1 for images.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// The latent, `[B, channels · frames, h, w]`.
    pub fn tensor(&self) -> &Tensor<4> {
        &self.tensor
    }

    /// Whether all of it is 0: nothing to start from but noise.
    pub fn is_empty(&self) -> bool {
        self.empty
    }
}

/// Whether all values are 0.
fn is_zero(latent: &Tensor<4>) -> Result<bool, SamplingError> {
    let largest = latent.clone().abs().max();
    largest.try_into_scalar::<f32>().map(|v| v == 0.0).map_err(|e| SamplingError::Read(e.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn an_empty_latent_gets_the_models_channels() {
        let start = StartLatent::new(Tensor::zeros([2, 4, 3, 5], &Device::flex()), 16).unwrap();
        assert_eq!((start.tensor().dims(), start.is_empty()), ([2, 16, 3, 5], true));
    }

    #[test]
    fn a_latent_that_holds_something_stays_or_is_refused() {
        let latent = Tensor::<4>::ones([1, 4, 2, 2], &Device::flex());
        let start = StartLatent::new(latent.clone(), 4).unwrap();
        assert_eq!((start.tensor().dims(), start.is_empty()), ([1, 4, 2, 2], false));
        let error = StartLatent::new(latent, 16).unwrap_err().to_string();
        assert!(error.contains("`latent_image` should be [B, 16, H/8, W/8]"), "{error}");
    }

    #[test]
    fn a_latent_without_cells_is_refused() {
        assert!(StartLatent::new(Tensor::zeros([1, 4, 0, 2], &Device::flex()), 4).is_err());
    }
}
