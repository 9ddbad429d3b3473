//! Qwen-Image's network as a denoising network.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{
    lora_keys::qwen_image_keys,
    model::{Pass, QwenImage},
};
use crate::{
    error::ModelError,
    lora::Prefixes,
    nets::denoiser::{Extras, Network},
    weights::ModelWeights,
};

impl Network for QwenImage {
    fn forward(
        &self,
        x: Tensor<4>,
        timesteps: &[f32],
        context: Tensor<3>,
        extras: &Extras<'_>,
    ) -> Result<Tensor<4>, ModelError> {
        if extras.latent_frames != 1 {
            let expected = "one frame (encode pictures one by one: several make a video)".to_owned();
            return Err(ModelError::Input {
                network: "Qwen-Image",
                what: "latent",
                expected,
                found: vec![extras.latent_frames],
            });
        }
        let references = &extras.given.references;
        let pass = Pass { references: &references.latents, method: references.method, ..Pass::default() };
        self.forward(x, timesteps, context, &pass)
    }

    fn channels(&self) -> usize {
        self.config().out_channels
    }

    fn activations(&self, latent: [usize; 3]) -> u64 {
        self.config().activations(latent)
    }

    fn has_frames(&self) -> bool {
        true
    }

    fn repeats_prompts(&self) -> bool {
        false
    }

    fn weights(&self) -> Option<&ModelWeights> {
        self.weights()
    }

    fn lora_keys(&self) -> Result<Prefixes, ModelError> {
        qwen_image_keys(self.config())
    }

    fn over(&self, weights: &ModelWeights) -> Result<Arc<dyn Network>, ModelError> {
        Ok(Arc::new(self.config().init(weights)?))
    }
}
