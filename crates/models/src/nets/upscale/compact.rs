//! Real-ESRGAN's compact network: a row of convolutions, one shuffle, plus the enlarged input.

use burn::tensor::Tensor;
use kiln_memory::Weight;

use super::config::CompactConfig;
use crate::{error::ModelError, nets::layers::Conv2d, ops, weights::WeightBuilder};

/// Source: `SRVGGNetCompact` of xinntao's Real-ESRGAN.
#[derive(Debug)]
pub(super) struct Compact {
    scale: usize,
    body: Vec<(Conv2d, Slopes)>,
    last: Conv2d,
}

impl Compact {
    pub(super) fn new(config: &CompactConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let CompactConfig { image_channels, channels, last, scale, slopes } = *config;
        let pair = |n: usize| {
            let inputs = if n == 0 { image_channels } else { channels };
            let conv = Conv2d::new(wb, &format!("body.{n}"), inputs, channels, 3)?;
            Ok((conv, Slopes(wb.get(&format!("body.{}.weight", n + 1), &[slopes])?)))
        };
        Ok(Self {
            scale,
            body: (0..last).step_by(2).map(pair).collect::<Result<_, ModelError>>()?,
            last: Conv2d::new(wb, &format!("body.{last}"), channels, image_channels * scale * scale, 3)?,
        })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let [_, _, height, width] = x.dims();
        let h = self.body.iter().try_fold(x.clone(), |h, (conv, slopes)| slopes.forward(conv.forward(h)?))?;
        let detail = ops::pixel_shuffle(self.last.forward(h)?, self.scale)?;
        Ok(detail + ops::upsample_nearest(x, height * self.scale, width * self.scale)?)
    }
}

/// ReLU with a learned slope for negative values, per channel or one for all.
#[derive(Debug)]
struct Slopes(Weight);

impl Slopes {
    fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let slopes = self.0.acquire_as([1, self.0.elements(), 1, 1], &x.device())?;
        Ok(x.clone().clamp_min(0.0) + x.clamp_max(0.0) * slopes.tensor())
    }
}
