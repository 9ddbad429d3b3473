//! Z-Image as a denoising network.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{lora_keys::zimage_keys, model::ZImage};
use crate::{
    error::ModelError,
    lora::Prefixes,
    nets::{
        activations::ActivationTap,
        denoiser::{Extras, Network},
    },
    weights::ModelWeights,
};

impl Network for ZImage {
    fn forward(
        &self,
        x: Tensor<4>,
        timesteps: &[f32],
        context: Tensor<3>,
        _: &Extras<'_>,
    ) -> Result<Tensor<4>, ModelError> {
        self.forward(x, timesteps, context, ActivationTap::default())
    }

    fn channels(&self) -> usize {
        self.config().channels
    }

    fn activations(&self, latent: [usize; 3]) -> u64 {
        self.config().activations(latent)
    }

    fn repeats_prompts(&self) -> bool {
        false
    }

    fn weights(&self) -> Option<&ModelWeights> {
        self.weights()
    }

    fn lora_keys(&self) -> Result<Prefixes, ModelError> {
        zimage_keys(self.config())
    }

    fn over(&self, weights: &ModelWeights) -> Result<Arc<dyn Network>, ModelError> {
        Ok(Arc::new(self.config().init(weights)?))
    }
}
