//! Stable Diffusion 3's rows in the table of families.

use std::sync::Arc;

use kiln_memory::{KeyMap, TensorShapes};

use super::{
    config::MmditConfig,
    keys::{is_mmdit, keys},
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

impl NetworkConfig for MmditConfig {
    fn tensors(&self) -> Result<TensorShapes, ModelError> {
        self.tensors()
    }

    fn init(&self, weights: &ModelWeights, _: Option<SideInputs>) -> Result<Arc<dyn Network>, ModelError> {
        Ok(Arc::new(self.init(weights)?))
    }

    fn describe(&self) -> String {
        format!("{} blocks, {} wide", self.blocks(), self.width)
    }
}

/// The network of Stable Diffusion 3.
pub static MMDIT: NetworkKind = NetworkKind {
    name: "an MMDiT",
    probe: "an MMDiT (`joint_blocks.0.context_block.attn.qkv.weight`)",
    find: |names| FoundNetwork::of(find(names), MmditConfig::from_names),
};

/// The network's keys, with the prefix of a checkpoint or without.
fn find(names: &TensorShapes) -> Option<KeyMap> {
    const PREFIXES: [&str; 2] = ["model.diffusion_model.", ""];
    PREFIXES.into_iter().find(|prefix| is_mmdit(names, prefix)).map(|prefix| keys(names, prefix))
}

impl Family {
    /// Stable Diffusion 3 and 3.5, medium and large.
    pub const SD3: Self = Self {
        name: "SD3",
        network: &MMDIT,
        suits: |config, _| config.as_a::<MmditConfig>().is_some(),
        prediction: |_, _| Ok(Prediction::Flow { shift: 3.0, multiplier: 1000.0 }),
        told: |_| Some(SideInputs::Pooled),
        latent: |_| LatentFormat::SD3,
        text: &TextRecipe::SD3,
        vae_prefix: "first_stage_model.",
        vision_prefix: None,
        architecture: |_| None,
    };
}
