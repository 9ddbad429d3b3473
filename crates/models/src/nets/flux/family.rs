//! The rows of Flux.1 and Flux.2 in the table of families.

use std::sync::Arc;

use kiln_memory::{KeyMap, TensorShapes};

use super::{
    config::{FluxConfig, FluxVersion},
    keys::{diffusers, is_diffusers, original},
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

impl NetworkConfig for FluxConfig {
    fn tensors(&self) -> Result<TensorShapes, ModelError> {
        self.tensors()
    }

    fn init(&self, weights: &ModelWeights, _: Option<SideInputs>) -> Result<Arc<dyn Network>, ModelError> {
        Ok(Arc::new(self.init(weights)?))
    }

    fn describe(&self) -> String {
        format!("{} double and {} single blocks, {} wide", self.double, self.single, self.hidden)
    }
}

/// The network of Flux.1 and Flux.2.
pub static FLUX: NetworkKind = NetworkKind {
    name: "a Flux network",
    probe: "a Flux network (`double_blocks.0.img_attn.norm.key_norm.scale`, or `single_transformer_blocks.*`)",
    find: |names| FoundNetwork::of(find(names), FluxConfig::from_names),
};

/// The network's keys, with the prefix of a checkpoint or without. Chroma's are left to others: its modulation is none of
/// these.
fn find(names: &TensorShapes) -> Option<KeyMap> {
    const PREFIXES: [&str; 3] = ["model.diffusion_model.", "", "transformer."];
    let map = |prefix: &&str| {
        let map = if is_diffusers(names, prefix) { diffusers(names, prefix) } else { original(names, prefix) };
        let keys = map.names();
        (FluxConfig::fits(&keys) && !keys.any("distilled_guidance_layer.")).then_some(map)
    };
    PREFIXES.iter().find_map(map)
}

fn is(config: &dyn NetworkConfig, suits: impl Fn(&FluxConfig) -> bool) -> bool {
    config.as_a::<FluxConfig>().is_some_and(suits)
}

impl Family {
    /// Flux.1 schnell: no guidance, its levels aren't shifted.
    pub const FLUX_SCHNELL: Self = Self {
        name: "Flux.1 schnell",
        suits: |config, _| is(config, |flux| flux.version == FluxVersion::One && !flux.guidance),
        prediction: |_, _| Ok(Prediction::Flow { shift: 1.0, multiplier: 1.0 }),
        ..Self::FLUX
    };

    /// Flux.1 dev, Fill, Canny, Depth and Kontext.
    pub const FLUX: Self = Self {
        name: "Flux.1",
        network: &FLUX,
        suits: |config, _| is(config, |flux| flux.version == FluxVersion::One),
        prediction: |_, _| Ok(Prediction::Flux { mu: 1.15 }),
        told: |_| Some(SideInputs::Pooled),
        latent: |_| LatentFormat::FLUX,
        text: &TextRecipe::FLUX1,
        vae_prefix: "vae.",
        vision_prefix: None,
        architecture: |_| None,
    };

    /// Flux.2.
    pub const FLUX2: Self = Self {
        name: "Flux.2",
        suits: |config, _| is(config, |flux| flux.version == FluxVersion::Two),
        prediction: |_, _| Ok(Prediction::Flux { mu: 2.02 }),
        latent: |_| LatentFormat::FLUX2,
        text: &TextRecipe::FLUX2,
        ..Self::FLUX
    };
}
