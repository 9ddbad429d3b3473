//! Qwen-Image's row in the table of families.

use std::sync::Arc;

use kiln_memory::{KeyMap, TensorShapes};

use super::{
    config::QwenImageConfig,
    keys::{is_qwen_image, keys},
};
use crate::{
    error::ModelError,
    latent::LatentFormat,
    nets::{
        denoiser::Network,
        family::{Family, FoundNetwork, NetworkConfig, NetworkKind, Prediction, TextRecipe},
        side_inputs::SideInputs,
    },
    weights::ModelWeights,
};

impl NetworkConfig for QwenImageConfig {
    fn tensors(&self) -> Result<TensorShapes, ModelError> {
        self.tensors()
    }

    fn init(&self, weights: &ModelWeights, _: Option<SideInputs>) -> Result<Arc<dyn Network>, ModelError> {
        Ok(Arc::new(self.init(weights)?))
    }

    fn describe(&self) -> String {
        format!("{} blocks, {} wide", self.blocks, self.width)
    }
}

/// The network of Qwen-Image.
pub static QWEN_IMAGE: NetworkKind = NetworkKind {
    name: "Qwen-Image's network",
    probe: "Qwen-Image's network (`txt_norm.weight` and `transformer_blocks.0.img_mlp.net.0.proj.weight`)",
    find: |names| FoundNetwork::of(find(names), QwenImageConfig::from_names),
};

/// The network's keys, with the prefix of a checkpoint or without.
fn find(names: &TensorShapes) -> Option<KeyMap> {
    const PREFIXES: [&str; 2] = ["model.diffusion_model.", ""];
    PREFIXES.into_iter().find(|prefix| is_qwen_image(names, prefix)).map(|prefix| keys(names, prefix))
}

impl Family {
    /// Qwen-Image and Qwen-Image-Edit: nothing in a file tells them apart.
    pub const QWEN_IMAGE: Self = Self {
        name: "Qwen-Image",
        network: &QWEN_IMAGE,
        suits: |config, _| config.as_a::<QwenImageConfig>().is_some(),
        prediction: |_, _| Ok(Prediction::Flux { mu: 1.15 }),
        told: |_| None,
        latent: |_| LatentFormat::WAN,
        text: &TextRecipe::QWEN_IMAGE,
        vae_prefix: "vae.",
        vision_prefix: None,
        architecture: |_| None,
    };
}
