//! FreeU: the backbone's features amplified, the skips' low frequencies damped, on the way up.
//!
//! Source: Si et al. 2023, "FreeU: Free Lunch in Diffusion U-Net", and the version of its authors' second release.

use burn::tensor::Tensor;

use crate::ops::frequency;

/// Factors for the two widest stages, recognised by their number of channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FreeU {
    /// Channels of the UNet's first level.
    pub model_channels: usize,
    /// Factors on the backbone where it has four and two times as many channels.
    pub backbone: [f32; 2],
    /// Factors on the lowest frequencies of the skips there.
    pub skip: [f32; 2],
    /// Whether the backbone's factor follows the mean activation of each place (version 2).
    pub adaptive: bool,
}

impl FreeU {
    pub(super) fn weighed(&self, h: Tensor<4>, skip: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let channels = h.dims()[1];
        let stage = [4, 2].iter().position(|times| channels == self.model_channels * times);
        let Some(stage) = stage else { return (h, skip) };
        let half = channels / 2;
        let (first, rest) = (h.clone().narrow(1, 0, half), h.clone().narrow(1, half, channels - half));
        let first = first * self.factor(&h, self.backbone[stage]);
        (Tensor::cat(vec![first, rest], 1), damped(skip, self.skip[stage]))
    }

    /// What the first half of the channels is multiplied by, broadcastable to them.
    fn factor(&self, h: &Tensor<4>, backbone: f32) -> Tensor<4> {
        if !self.adaptive {
            return Tensor::<4>::full([1, 1, 1, 1], backbone, &h.device()).cast(h.dtype());
        }
        let mean = h.clone().mean_dim(1);
        let [batch, _, height, width] = mean.dims();
        let flat = mean.clone().reshape([batch, height * width]);
        let least = flat.clone().min_dim(1).reshape([batch, 1, 1, 1]);
        let most = flat.max_dim(1).reshape([batch, 1, 1, 1]);
        let relative = (mean - least.clone()) / (most - least);
        relative * (backbone - 1.0) + 1.0
    }
}

/// The skip with its mean and the frequency below it scaled, along both axes.
fn damped(skip: Tensor<4>, scale: f32) -> Tensor<4> {
    let low = frequency::band(&skip, [1, 1]);
    skip + low * (scale - 1.0)
}
