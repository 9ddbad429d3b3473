//! The MMDiT as a denoising network.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{
    lora_keys::mmdit_keys,
    model::{Mmdit, Pass},
};
use crate::{
    error::ModelError,
    lora::Prefixes,
    nets::{
        denoiser::{Extras, Network},
        side_inputs::SideInputs,
    },
    weights::ModelWeights,
};

impl Network for Mmdit {
    fn forward(
        &self,
        x: Tensor<4>,
        timesteps: &[f32],
        context: Tensor<3>,
        extras: &Extras<'_>,
    ) -> Result<Tensor<4>, ModelError> {
        let skipped = extras.modifiers.skipped.map_or(&[][..], |skipped| skipped.double.as_slice());
        self.forward(x, timesteps, context, &Pass { vector: extras.vector.as_ref(), skipped, ..Pass::default() })
    }

    fn channels(&self) -> usize {
        self.config().out_channels
    }

    fn activations(&self, latent: [usize; 3]) -> u64 {
        self.config().activations(latent)
    }

    fn repeats_prompts(&self) -> bool {
        false
    }

    fn vector_width(&self) -> Option<usize> {
        Some(self.config().vector)
    }

    fn side_inputs(&self) -> SideInputs {
        SideInputs::Pooled
    }

    fn weights(&self) -> Option<&ModelWeights> {
        self.weights()
    }

    fn lora_keys(&self) -> Result<Prefixes, ModelError> {
        mmdit_keys(self.config())
    }

    fn over(&self, weights: &ModelWeights) -> Result<Arc<dyn Network>, ModelError> {
        Ok(Arc::new(self.config().init(weights)?))
    }
}
