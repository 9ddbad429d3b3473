//! From patches to tokens: a convolution that steps as far as it reaches is a linear layer of each patch.

use burn::tensor::Tensor;
use kiln_memory::Weight;

use super::config::MmditConfig;
use crate::{error::ModelError, ops, weights::WeightBuilder};

/// `x_embedder.proj`, a convolution in files.
#[derive(Debug)]
pub(super) struct PatchEmbedder {
    weight: Weight,
    bias: Weight,
    shape: [usize; 2],
}

impl PatchEmbedder {
    /// Takes `x_embedder.proj.weight` `[width, channels, patch, patch]` and its bias from the builder.
    pub(super) fn new(wb: &WeightBuilder<'_>, config: &MmditConfig) -> Result<Self, ModelError> {
        let MmditConfig { width, in_channels, patch, .. } = *config;
        Ok(Self {
            weight: wb.get("x_embedder.proj.weight", &[width, in_channels, patch, patch])?,
            bias: wb.get("x_embedder.proj.bias", &[width])?,
            shape: [width, in_channels * patch * patch],
        })
    }

    /// # Shapes
    /// `[batch, patches, channels · patch²]` with the channel slowest to `[batch, patches, width]`.
    pub(super) fn forward(&self, patches: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let device = patches.device();
        let (weight, bias) = (self.weight.acquire_as(self.shape, &device)?, self.bias.acquire::<1>(&device)?);
        Ok(ops::linear(patches, weight.tensor(), Some(bias.tensor()))?)
    }
}
