//! Flux as a denoising network.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{
    config::FluxVersion,
    lora_keys::flux_keys,
    model::{Flux, FluxInputs},
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

/// What a network is guided by where nobody says, in negatives too.
const GUIDANCE: f32 = 3.5;
/// Flux.2's prompts are made as long as this.
const TOKENS: usize = 512;

impl Network for Flux {
    fn forward(
        &self,
        x: Tensor<4>,
        timesteps: &[f32],
        context: Tensor<3>,
        extras: &Extras<'_>,
    ) -> Result<Tensor<4>, ModelError> {
        let inputs = FluxInputs {
            vector: extras.vector.clone(),
            guidance: extras.given.guidance.clone(),
            references: extras.given.references.latents.clone(),
            method: extras.given.references.method,
            ..FluxInputs::default()
        };
        self.forward(x, timesteps, context, &inputs)
    }

    fn channels(&self) -> usize {
        self.config().out_channels
    }

    fn extra_channels(&self) -> usize {
        self.config().in_channels.saturating_sub(self.config().out_channels)
    }

    fn activations(&self, latent: [usize; 3]) -> u64 {
        self.config().activations(latent)
    }

    fn default_guidance(&self) -> Option<f32> {
        self.config().guidance.then_some(GUIDANCE)
    }

    fn repeats_prompts(&self) -> bool {
        false
    }

    fn vector_width(&self) -> Option<usize> {
        self.config().vector
    }

    fn side_inputs(&self) -> SideInputs {
        SideInputs::Pooled
    }

    /// Flux.2's prompts stand at the end of a row of zeros, which are looked at like words.
    fn context(&self, prompt: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let [batch, tokens, width] = prompt.dims();
        if self.config().version == FluxVersion::One || tokens >= TOKENS {
            return Ok(prompt);
        }
        let zeros = Tensor::<3>::zeros([batch, TOKENS - tokens, width], &prompt.device());
        Ok(Tensor::cat(vec![zeros.cast(prompt.dtype()), prompt], 1))
    }

    fn weights(&self) -> Option<&ModelWeights> {
        self.weights()
    }

    fn lora_keys(&self) -> Result<Prefixes, ModelError> {
        flux_keys(self.config())
    }

    fn over(&self, weights: &ModelWeights) -> Result<Arc<dyn Network>, ModelError> {
        Ok(Arc::new(self.config().init(weights)?))
    }
}
