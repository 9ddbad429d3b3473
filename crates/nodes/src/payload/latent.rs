//! `LATENT`: images in an autoencoder's space, with what sampling wants to know about them.

use std::sync::Arc;

use burn::tensor::Tensor;
use kiln_exec::object;

use super::tensor::tensor_bytes;

/// Latents of equal size, and what belongs to them.
#[derive(Clone, Debug)]
pub struct Latent {
    /// `[batch, channels, height / 8, width / 8]` in f32, unscaled as the autoencoder gives it. Latents with frames,
    /// `[batch, channels, frames, height / 8, width / 8]`, have them folded into the channels: the same values in the same
    /// order.
    pub samples: Arc<Tensor<4>>,
    /// How many frames are folded into the channels, for latents that have an axis of them.
    pub frames: Option<usize>,
    /// Where to denoise (1) and where to keep (0): `[batch, 1, height, width]`, of any size.
    pub noise_mask: Option<Arc<Tensor<4>>>,
    /// Which noise of the batch each item gets.
    pub batch_index: Option<Arc<[usize]>>,
}

object!(Latent, "LATENT", |l| l.bytes(), storage: |l| Some(Arc::as_ptr(&l.samples).addr() as u64));

impl Latent {
    /// Latents without mask and with noise in batch order.
    pub fn new(samples: Tensor<4>) -> Self {
        Self { samples: Arc::new(samples), frames: None, noise_mask: None, batch_index: None }
    }

    /// Latents with frames, `[batch, channels · frames, height, width]`.
    pub fn with_frames(samples: Tensor<4>, frames: usize) -> Self {
        Self { frames: Some(frames), ..Self::new(samples) }
    }

    /// The shape as other programs see it: five sides where there are frames.
    pub fn shape(&self) -> Vec<usize> {
        let [batch, channels, height, width] = self.dims();
        match self.frames {
            Some(frames) => vec![batch, channels / frames.max(1), frames, height, width],
            None => vec![batch, channels, height, width],
        }
    }

    /// Other samples with the same mask and batch index.
    pub fn with_samples(&self, samples: Tensor<4>) -> Self {
        Self { samples: Arc::new(samples), ..self.clone() }
    }

    /// With a mask `[batch, 1, height, width]`.
    pub fn with_noise_mask(self, mask: Tensor<4>) -> Self {
        Self { noise_mask: Some(Arc::new(mask)), ..self }
    }

    /// The tensor, `[batch, channels, height, width]`, frames folded into the channels.
    pub fn tensor(&self) -> Tensor<4> {
        (*self.samples).clone()
    }

    /// Batch, channels (times frames), height, width, in latent cells.
    pub fn dims(&self) -> [usize; 4] {
        self.samples.dims()
    }

    fn bytes(&self) -> u64 {
        tensor_bytes(&self.samples) + self.noise_mask.as_ref().map_or(0, |m| tensor_bytes(m))
    }
}
