//! The families of Stable Diffusion, told by the UNet's configuration and the text encoders beside it.

use std::sync::Arc;

use kiln_memory::{KeyMap, TensorShapes};

use super::{
    config::UNetConfig,
    keys::{diffusers, is_diffusers, original},
    prediction::{sd2, sdxl},
    variant::Variant,
};
use crate::{
    error::ModelError,
    latent::LatentFormat,
    nets::{
        clip::Hidden,
        denoiser::Network,
        family::{
            Family, Found, FoundNetwork, NetworkConfig, NetworkKind, Prediction, PromptWay, TextEncoderKind, TextRecipe,
        },
        side_inputs::SideInputs,
    },
    weights::ModelWeights,
};

impl NetworkConfig for UNetConfig {
    fn tensors(&self) -> Result<TensorShapes, ModelError> {
        self.tensors()
    }

    fn init(&self, weights: &ModelWeights, told: Option<SideInputs>) -> Result<Arc<dyn Network>, ModelError> {
        let network = self.init(weights)?;
        Ok(Arc::new(match told {
            Some(told) => network.with_side_inputs(told),
            None => network,
        }))
    }

    fn describe(&self) -> String {
        format!("{} wide", self.model_channels)
    }
}

/// Stable Diffusion's UNet.
pub static UNET: NetworkKind = NetworkKind {
    name: "a UNet",
    probe: "a UNet (`model.diffusion_model.input_blocks.0.0.weight`, or `conv_in.weight` and `down_blocks.*`)",
    find: |names| {
        let found = find(names)?;
        Ok(found.map(|Found { config, map }| FoundNetwork { config: Arc::new(config), map }))
    },
};

/// The UNet among `names`: with the prefix of a checkpoint or without, in original or diffusers' names.
///
/// # Errors
/// `ModelError::Unrecognised` when it starts like a UNet but its shapes make no sense.
pub fn find(names: &TensorShapes) -> Result<Option<Found<UNetConfig>>, ModelError> {
    let map = keys(names);
    let keys = map.names();
    if !keys.has("input_blocks.0.0.weight") || !keys.any("time_embed.") {
        return Ok(None);
    }
    Ok(Some(Found { config: UNetConfig::from_names(&keys)?, map }))
}

fn keys(names: &TensorShapes) -> KeyMap {
    let prefix = prefix(names);
    let mut map = if is_diffusers(names, prefix) { diffusers(names, prefix) } else { original(names, prefix) };
    // A projection that Stable Zero123 has beside its network.
    for key in ["cc_projection.weight", "cc_projection.bias"] {
        if let Some(shape) = names.shape(key) {
            map.whole(key, key, shape);
        }
    }
    map
}

/// The prefix with most tensors, if it has more than five; then `model.`, then none.
fn prefix(names: &TensorShapes) -> &'static str {
    let candidates = ["model.diffusion_model.", "model.model.", "net."];
    let best = candidates.into_iter().max_by_key(|prefix| names.starting_with(prefix));
    match best {
        Some(prefix) if names.starting_with(prefix) > 5 => prefix,
        _ if names.starting_with("model.input_blocks.") > 5 => "model.",
        _ => "",
    }
}

/// CLIP-L's last hidden state.
static SD1_TEXT: TextRecipe = TextRecipe {
    name: "SD1",
    roles: &[TextEncoderKind::L],
    hidden: Hidden::LAST,
    projects_pooled: false,
    places: &[(TextEncoderKind::L, "cond_stage_model.transformer.")],
    way: PromptWay::Joined,
};

/// CLIP-H's hidden state before the last, normalised.
static SD2_TEXT: TextRecipe = TextRecipe {
    name: "SD2",
    roles: &[TextEncoderKind::H],
    hidden: Hidden { layer: -2, norm: true },
    projects_pooled: true,
    places: &[(TextEncoderKind::H, "cond_stage_model.model.")],
    way: PromptWay::Joined,
};

/// Hidden states before the last of CLIP-L and bigG, side by side.
static SDXL_TEXT: TextRecipe = TextRecipe {
    name: "SDXL",
    roles: &[TextEncoderKind::L, TextEncoderKind::G],
    hidden: Hidden { layer: -2, norm: false },
    projects_pooled: true,
    places: &[
        (TextEncoderKind::L, "conditioner.embedders.0.transformer."),
        (TextEncoderKind::G, "conditioner.embedders.1.model."),
    ],
    way: PromptWay::Joined,
};

/// bigG alone.
static REFINER_TEXT: TextRecipe = TextRecipe {
    name: "SDXL refiner",
    roles: &[TextEncoderKind::G],
    hidden: Hidden { layer: -2, norm: false },
    projects_pooled: true,
    places: &[(TextEncoderKind::G, "conditioner.embedders.0.model.")],
    way: PromptWay::Joined,
};

static NO_TEXT: TextRecipe = TextRecipe::NONE;

/// What a network of Stability AI's video models predicts.
const VIDEO: Prediction = Prediction::ContinuousV { sigma_min: 0.002, sigma_max: 700.0 };

fn unet(config: &dyn NetworkConfig) -> Option<&UNetConfig> {
    config.as_a::<UNetConfig>()
}

/// Whether a UNet has this among what it is told.
fn is_told(config: &dyn NetworkConfig, told: &[SideInputs]) -> bool {
    unet(config).is_some_and(|config| told.contains(&config.side_inputs()))
}

fn takes_no_vector(config: &dyn NetworkConfig) -> bool {
    unet(config).is_some_and(|config| config.adm_channels.is_none())
}

impl Family {
    /// Stable Diffusion 1.x and everything of its layout.
    pub const SD1: Self = Self {
        name: "SD1",
        network: &UNET,
        suits: |config, _| takes_no_vector(config),
        prediction: |_, _| Ok(Prediction::Eps),
        told: |_| None,
        latent: |_| LatentFormat::SD1,
        text: &SD1_TEXT,
        vae_prefix: "first_stage_model.",
        vision_prefix: None,
        architecture: |_| None,
    };

    /// Stable Diffusion 2.x.
    pub const SD2: Self = Self {
        name: "SD2",
        suits: |config, _| unet(config).is_some_and(|unet| unet.adm_channels.is_none() && unet.linear_projection),
        prediction: sd2,
        text: &SD2_TEXT,
        ..Self::SD1
    };

    /// Stable Diffusion 2.1 unCLIP, told by images what to draw beside the prompt.
    pub const UNCLIP: Self = Self {
        name: "SD2 unCLIP",
        suits: |config, roles| match unet(config).map(|unet| (unet.adm_channels, unet.context_dim)) {
            Some((Some(_), _)) if roles == [TextEncoderKind::H] => true,
            // An embedding of CLIP-L or CLIP-H and its noise level, beside CLIP-H's prompts.
            Some((Some(1536 | 2048), Some(1024))) => roles.is_empty(),
            _ => false,
        },
        told: |_| Some(SideInputs::Embeddings),
        vision_prefix: Some("embedder.model.visual."),
        ..Self::SD2
    };

    /// Stable Diffusion's x4 upscaler.
    pub const UPSCALER: Self = Self {
        name: "SD x4 upscaler",
        suits: |config, _| is_told(config, &[SideInputs::LowRes]),
        prediction: |_, _| Ok(Prediction::VLowRes),
        latent: |_| LatentFormat::SD_X4,
        ..Self::SD2
    };

    /// Lotus: depth or normals of an image in one step, on SD2's network.
    pub const LOTUS: Self = Self {
        name: "Lotus",
        suits: |config, _| is_told(config, &[SideInputs::Task]),
        prediction: |_, _| Ok(Prediction::Image),
        ..Self::SD2
    };

    /// SDXL base, and distilled models of its layout.
    pub const SDXL: Self = Self {
        name: "SDXL",
        suits: |config, _| unet(config).is_some(),
        prediction: |_, source| sdxl(source),
        told: |prediction| matches!(prediction, Prediction::ContinuousV { .. }).then_some(SideInputs::ScaledImage),
        latent: |prediction| match prediction {
            Prediction::Edm => LatentFormat::PLAYGROUND,
            _ => LatentFormat::SDXL,
        },
        text: &SDXL_TEXT,
        architecture: |network| {
            let edits = network.extra_channels() == network.channels();
            Some(if edits { "stable-diffusion-xl-v1-edit" } else { "stable-diffusion-xl-v1-base" })
        },
        ..Self::SD1
    };

    /// SDXL refiner.
    pub const SDXL_REFINER: Self = Self {
        name: "SDXL refiner",
        suits: |config, roles| match unet(config).map(|unet| (unet.adm_channels, unet.context_dim)) {
            Some((Some(_), _)) if roles == [TextEncoderKind::G] => true,
            // Five size embeddings of 256 beside a pooled vector as wide as the context: only the refiner's.
            Some((Some(adm), Some(context))) => roles.is_empty() && adm == context + 5 * 256,
            _ => false,
        },
        prediction: |_, _| Ok(Prediction::Eps),
        told: |_| None,
        latent: |_| LatentFormat::SDXL,
        text: &REFINER_TEXT,
        architecture: |_| Some("stable-diffusion-xl-v1-refiner"),
        ..Self::SDXL
    };

    /// Stable Video Diffusion: a video from an image.
    pub const SVD: Self = Self {
        name: "SVD",
        suits: |config, _| is_told(config, &[SideInputs::Motion]),
        prediction: |_, _| Ok(VIDEO),
        text: &NO_TEXT,
        vision_prefix: Some("conditioner.embedders.0.open_clip.model.visual."),
        architecture: |_| Some("stable-video-diffusion-img2vid-v1"),
        ..Self::SD1
    };

    /// SV3D: an image's object seen from all around.
    pub const SV3D: Self = Self {
        name: "SV3D",
        suits: |config, _| is_told(config, &[SideInputs::Orbit, SideInputs::Cameras]),
        // What lies under the usual name there decodes no frames.
        vae_prefix: "conditioner.embedders.1.encoder.",
        ..Self::SVD
    };

    /// Stable Zero123: an image's object seen from elsewhere.
    pub const ZERO123: Self = Self {
        name: "Stable Zero123",
        suits: |config, _| unet(config).is_some_and(|unet| matches!(unet.variant, Variant::Posed { .. })),
        text: &NO_TEXT,
        vision_prefix: Some("cond_stage_model.model.visual."),
        ..Self::SD1
    };

    /// The families of this network, in the order in which they are asked.
    pub(crate) const STABLE_DIFFUSION: [Self; 10] = [
        Self::SVD,
        Self::SV3D,
        Self::UPSCALER,
        Self::LOTUS,
        Self::ZERO123,
        Self::SD2,
        Self::SD1,
        Self::UNCLIP,
        Self::SDXL_REFINER,
        Self::SDXL,
    ];
}
