//! Flux.2's form of latents: squares of 2x2 cells in one, normalised by statistics that the file holds.

use burn::tensor::{Device, Tensor};
use kiln_memory::Weight;

use crate::{error::ModelError, ops, weights::WeightBuilder};

/// Added to variances.
const EPS: f64 = 1e-4;
/// Cells along the side of a square.
const SIDE: usize = 2;

/// A batch normalisation's stored statistics over packed channels.
#[derive(Debug)]
pub(super) struct Packing {
    mean: Weight,
    variance: Weight,
    channels: usize,
}

impl Packing {
    /// Takes `bn.running_mean` and `bn.running_var`, `[channels]` each.
    pub(super) fn new(wb: &WeightBuilder<'_>, channels: usize) -> Result<Self, ModelError> {
        let take = |name: &str| wb.get(name, &[channels]);
        Ok(Self { mean: take("bn.running_mean")?, variance: take("bn.running_var")?, channels })
    }

    /// # Shapes
    /// `[batch, c, h, w]` to `[batch, 4 · c, h / 2, w / 2]`, the channel slowest, then row and column of the square.
    pub(super) fn pack(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let [_, _, height, width] = x.dims();
        if height % SIDE != 0 || width % SIDE != 0 {
            let expected = format!("sides of multiples of {SIDE} latent cells");
            return Err(ModelError::Input { network: "VAE", what: "image", expected, found: vec![height, width] });
        }
        let packed = ops::pixel_unshuffle(x, SIDE)?;
        let (mean, deviation) = self.statistics(&packed.device())?;
        Ok((packed - mean) / deviation)
    }

    /// The other way.
    pub(super) fn unpack(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let (mean, deviation) = self.statistics(&x.device())?;
        Ok(ops::pixel_shuffle(x * deviation + mean, SIDE)?)
    }

    /// Means and standard deviations, `[1, channels, 1, 1]`.
    fn statistics(&self, device: &Device) -> Result<(Tensor<4>, Tensor<4>), ModelError> {
        let (mean, variance) = (self.mean.acquire::<1>(device)?, self.variance.acquire::<1>(device)?);
        let shape = [1, self.channels, 1, 1];
        Ok((mean.tensor().reshape(shape), (variance.tensor() + EPS).sqrt().reshape(shape)))
    }
}
