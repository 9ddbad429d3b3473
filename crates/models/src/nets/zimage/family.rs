//! Z-Image's row in the table of families.

use std::sync::Arc;

use kiln_memory::{KeyMap, TensorShapes};

use super::{config::ZImageConfig, keys::keys};
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

impl NetworkConfig for ZImageConfig {
    fn tensors(&self) -> Result<TensorShapes, ModelError> {
        self.tensors()
    }

    fn init(&self, weights: &ModelWeights, _: Option<SideInputs>) -> Result<Arc<dyn Network>, ModelError> {
        Ok(Arc::new(self.init(weights)?))
    }

    fn describe(&self) -> String {
        format!("{} blocks, {} wide", self.layers, self.dim)
    }
}

/// The network of Z-Image.
pub static ZIMAGE: NetworkKind = NetworkKind {
    name: "a Z-Image network",
    probe: "a Z-Image network (`cap_embedder.1.weight`, `layers.0.adaLN_modulation.0.weight`)",
    find: |names| FoundNetwork::of(find(names), ZImageConfig::from_names),
};

/// The network's keys, with the prefix of a checkpoint or without.
fn find(names: &TensorShapes) -> Option<KeyMap> {
    const PREFIXES: [&str; 3] = ["model.diffusion_model.", "", "transformer."];
    PREFIXES.iter().map(|prefix| keys(names, prefix)).find(|map| ZImageConfig::fits(&map.names()))
}

impl Family {
    /// Z-Image and Z-Image-Turbo.
    pub const Z_IMAGE: Self = Self {
        name: "Z-Image",
        network: &ZIMAGE,
        suits: |config, _| config.as_a::<ZImageConfig>().is_some(),
        prediction: |_, _| Ok(Prediction::Flow { shift: 3.0, multiplier: 1.0 }),
        told: |_| None,
        latent: |_| LatentFormat::FLUX,
        text: &TextRecipe::Z_IMAGE,
        vae_prefix: "vae.",
        vision_prefix: None,
        architecture: |_| None,
    };
}
