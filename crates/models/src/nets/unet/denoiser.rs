//! The UNet as a denoising network.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::lora_keys::unet_keys;
use super::model::{self, UNet};
use crate::{
    error::ModelError,
    lora::Prefixes,
    nets::{
        denoiser::{Extras, Network},
        side_inputs::SideInputs,
    },
    weights::ModelWeights,
};

impl Network for UNet {
    fn forward(
        &self,
        x: Tensor<4>,
        timesteps: &[f32],
        context: Tensor<3>,
        extras: &Extras<'_>,
    ) -> Result<Tensor<4>, ModelError> {
        let beside = model::Extras {
            y: extras.vector.as_ref(),
            control: extras.control.as_ref(),
            hooks: extras.modifiers.hooks,
            between: extras.modifiers.between,
            middle: extras.modifiers.middle,
            rng: extras.modifiers.rng,
            sigma: extras.sigma,
            frames: extras.frames,
            ..model::Extras::default()
        };
        self.forward(x, timesteps, &context, &beside)
    }

    fn channels(&self) -> usize {
        self.config().out_channels
    }

    fn activations(&self, latent: [usize; 3]) -> u64 {
        self.config().activations(latent)
    }

    fn model_channels(&self) -> Option<usize> {
        Some(self.config().model_channels)
    }

    fn name_in_checkpoint(&self, key: &str) -> String {
        // The projection of Stable Zero123 lies beside the network.
        let prefix = if key.starts_with("cc_projection.") { "" } else { "model.diffusion_model." };
        format!("{prefix}{key}")
    }

    fn extra_channels(&self) -> usize {
        self.config().in_channels.saturating_sub(self.config().out_channels)
    }

    fn vector_width(&self) -> Option<usize> {
        self.config().vector_width()
    }

    fn side_inputs(&self) -> SideInputs {
        self.side_inputs()
    }

    fn context(&self, prompt: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        self.projected(prompt)
    }

    fn weights(&self) -> Option<&ModelWeights> {
        self.weights()
    }

    fn lora_keys(&self) -> Result<Prefixes, ModelError> {
        unet_keys(self.config())
    }

    fn over(&self, weights: &ModelWeights) -> Result<Arc<dyn Network>, ModelError> {
        Ok(Arc::new(self.config().init(weights)?.with_side_inputs(self.side_inputs())))
    }
}
