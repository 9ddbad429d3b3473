//! The parts of a checkpoint: network, text encoders, autoencoder, each with its configuration and key map.

use super::table::families;
use crate::{
    error::ModelError,
    nets::{
        clip::{self, Activation, TextConfig},
        family::{Families, Family, Found, FoundNetwork, TextEncoderKind, TextNetworkConfig},
        llm::{self, LlmConfig, LlmKind},
        qwen_vision::QwenVisionConfig,
        t5::{self, T5Config},
        unet::UNetConfig,
        vae::{self as vae_family, VaeConfig},
        vae3d::{self, VideoVaeConfig},
        vision::{self as vision_family, VisionConfig},
    },
};
use kiln_memory::{KeyMap, TensorShapes};

/// A recognised text encoder.
pub type TextFound = (TextEncoderKind, Found<TextNetworkConfig>);

/// All that was recognised in a list of names.
#[derive(Debug, Clone)]
pub struct Detected {
    /// The family, if there is a network.
    pub family: Option<Family>,
    /// The denoising network.
    pub network: Option<FoundNetwork>,
    /// Text encoders.
    pub text: Vec<TextFound>,
    /// The autoencoder.
    pub vae: Option<Found<VaeConfig>>,
    /// The image encoder of a model that is told by images what to draw.
    pub vision: Option<Found<VisionConfig>>,
}

impl Detected {
    /// Recognises the parts of a full checkpoint of the families that Kiln brings along.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` when the names of a part are there but its shapes make no sense.
    pub fn in_checkpoint(names: &TensorShapes) -> Result<Self, ModelError> {
        Self::among(names, &families())
    }

    /// Recognises the parts of a full checkpoint of one of `families`.
    ///
    /// # Errors
    /// As [`in_checkpoint`](Self::in_checkpoint).
    pub fn among(names: &TensorShapes, families: &Families) -> Result<Self, ModelError> {
        let found = families.network(names)?;
        let config = found.as_ref().map(|(_, found)| &*found.config);
        let mut text = Vec::new();
        for place in &PLACES {
            if let Some(found) = place.find(names, config.and_then(|config| config.as_a::<UNetConfig>()))? {
                text.push(found);
            }
        }
        text.extend(rows(names)?);
        let roles: Vec<TextEncoderKind> = text.iter().map(|(role, _)| *role).collect();
        let family = found.as_ref().and_then(|(kind, found)| families.family(kind, &*found.config, &roles));
        let first = family.map_or("first_stage_model.", |family| family.vae_prefix);
        let vae = vae(names, &[first, "first_stage_model.", "vae."])?;
        let vision = family.and_then(|family| family.vision_prefix).map(|prefix| vision(names, prefix));
        let network = found.map(|(_, found)| found);
        Ok(Self { family, network, text, vae, vision: vision.transpose()?.flatten() })
    }

    /// The network, if it is a UNet.
    pub fn unet(&self) -> Option<Found<UNetConfig>> {
        let Found { config, map } = self.network.as_ref()?;
        Some(Found { config: config.as_a::<UNetConfig>()?.clone(), map: map.clone() })
    }

    /// Tensors that belong to no part and are not known to be ignorable.
    pub fn unused_tensors<'a>(&self, names: &'a TensorShapes) -> Vec<&'a str> {
        let maps = self.text.iter().map(|(_, found)| &found.map);
        let maps = maps.chain(self.network.iter().map(|found| &found.map)).chain(self.vae.iter().map(|vae| &vae.map));
        let maps = maps.chain(self.vision.iter().map(|vision| &vision.map));
        let known: std::collections::HashSet<&str> =
            maps.flat_map(KeyMap::iter).map(|(_, place)| place.tensor.as_str()).collect();
        let strange = |name: &&str| !known.contains(name) && !super::ignorable::ignorable(name);
        names.iter().map(|(name, _)| name).filter(strange).collect()
    }
}

/// The image encoder below `prefix`, in OpenCLIP's or Hugging Face's names.
///
/// # Errors
/// `ModelError::Unrecognised` when it starts like one but its shapes make no sense.
pub fn vision(names: &TensorShapes, prefix: &str) -> Result<Option<Found<VisionConfig>>, ModelError> {
    let map = vision_family::below(names, prefix);
    let config = VisionConfig::from_names(&map.names())?;
    Ok(config.map(|config| Found { config, map }))
}

/// The autoencoder below the first of `prefixes` that has one.
///
/// # Errors
/// `ModelError::Unrecognised` when it starts like one but its shapes make no sense.
pub fn vae(names: &TensorShapes, prefixes: &[&str]) -> Result<Option<Found<VaeConfig>>, ModelError> {
    for prefix in prefixes {
        let map = if vae_family::is_diffusers(names, prefix) {
            vae_family::diffusers(names, prefix)
        } else {
            vae_family::original(names, prefix)
        };
        let keys = map.names();
        if keys.has("decoder.conv_in.weight") {
            return Ok(Some(Found { config: VaeConfig::from_names(&keys)?, map }));
        }
    }
    Ok(None)
}

/// The autoencoder of clips below the first of `prefixes` that has one.
///
/// # Errors
/// `ModelError::Unrecognised` when it starts like one but its shapes make no sense.
pub fn video_vae(names: &TensorShapes, prefixes: &[&str]) -> Result<Option<Found<VideoVaeConfig>>, ModelError> {
    let Some(prefix) = prefixes.iter().find(|prefix| vae3d::is_video_vae(names, prefix)) else { return Ok(None) };
    let map = vae3d::keys(names, prefix);
    Ok(Some(Found { config: VideoVaeConfig::from_names(&map.names())?, map }))
}

/// Where a checkpoint keeps a text encoder.
struct TextPlace {
    prefix: &'static str,
    open_clip: bool,
    /// `None`: bigG beside a UNet that takes `y`, otherwise H.
    role: Option<TextEncoderKind>,
}

const PLACES: [TextPlace; 7] = [
    TextPlace { prefix: "cond_stage_model.transformer.", open_clip: false, role: Some(TextEncoderKind::L) },
    TextPlace { prefix: "cond_stage_model.model.", open_clip: true, role: Some(TextEncoderKind::H) },
    TextPlace { prefix: "conditioner.embedders.0.transformer.", open_clip: false, role: Some(TextEncoderKind::L) },
    TextPlace { prefix: "conditioner.embedders.0.model.", open_clip: true, role: None },
    TextPlace { prefix: "conditioner.embedders.1.model.", open_clip: true, role: Some(TextEncoderKind::G) },
    TextPlace { prefix: "text_encoders.clip_l.transformer.", open_clip: false, role: Some(TextEncoderKind::L) },
    TextPlace { prefix: "text_encoders.clip_g.transformer.", open_clip: false, role: Some(TextEncoderKind::G) },
];

impl TextPlace {
    fn find(&self, names: &TensorShapes, unet: Option<&UNetConfig>) -> Result<Option<TextFound>, ModelError> {
        if !names.any(self.prefix) {
            return Ok(None);
        }
        let gelu = self.open_clip || self.role == Some(TextEncoderKind::G);
        let activation = if gelu { Activation::Gelu } else { Activation::QuickGelu };
        let keys = if self.open_clip { clip::open_clip } else { clip::hugging_face };
        let map = keys(names, self.prefix);
        let keys = map.names();
        if !keys.any("text_model.") {
            return Ok(None);
        }
        let takes_y = unet.is_some_and(|unet| unet.adm_channels.is_some());
        let role = self.role.unwrap_or(if takes_y { TextEncoderKind::G } else { TextEncoderKind::H });
        let config = TextNetworkConfig::Clip(config(&keys, role, activation)?);
        Ok(Some((role, Found { config, map })))
    }
}

/// Text encoders of a file that holds nothing else, in Hugging Face's or OpenCLIP's names; or those of a checkpoint.
///
/// # Errors
/// `ModelError::Unrecognised` when it starts like one but its shapes make no sense.
pub fn text_encoders(names: &TensorShapes) -> Result<Vec<TextFound>, ModelError> {
    let prefix = ["", "text_encoder.", "transformer.", "clip_l.transformer.", "clip_g.transformer."].into_iter().find(
        |prefix| names.any(&format!("{prefix}text_model.")) || names.any(&format!("{prefix}transformer.resblocks.")),
    );
    let Some(prefix) = prefix else {
        return Ok(Detected::in_checkpoint(names)?.text);
    };
    let map = if names.any(&format!("{prefix}transformer.resblocks.")) {
        clip::open_clip(names, prefix)
    } else {
        clip::hugging_face(names, prefix)
    };
    let keys = map.names();
    let layers = keys.count("text_model.encoder.layers.");
    let role = match layers {
        31.. => TextEncoderKind::G,
        23.. => TextEncoderKind::H,
        _ => TextEncoderKind::L,
    };
    let activation = if layers >= 23 { Activation::Gelu } else { Activation::QuickGelu };
    let config = TextNetworkConfig::Clip(config(&keys, role, activation)?);
    Ok(vec![(role, Found { config, map })])
}

/// Text encoders that read rows: T5, a language model.
fn rows(names: &TensorShapes) -> Result<Vec<TextFound>, ModelError> {
    let mut found = Vec::new();
    if let Some(prefix) = t5::find(names) {
        let map = t5::hugging_face(names, prefix);
        let config = TextNetworkConfig::T5(T5Config::from_names(&map.names())?);
        found.push((TextEncoderKind::T5, Found { config, map }));
    }
    if let Some(prefix) = llm::find(names) {
        let map = llm::hugging_face(names, prefix);
        let keys = map.names();
        let config = LlmConfig::from_names(&keys)?;
        let (role, config) = match config.kind {
            // Blocks that no family looks at are neither loaded nor counted.
            LlmKind::Mistral3 => {
                let llama_cpp = names.has(&format!("{prefix}blk.0.attn_q.weight"));
                (TextEncoderKind::Mistral3, config.cut_to(MISTRAL_BLOCKS).with_interleaved(llama_cpp))
            }
            LlmKind::Qwen3 => {
                let layers = config.layers.saturating_sub(1);
                (TextEncoderKind::Qwen3, config.cut_to(layers))
            }
            LlmKind::Qwen25Vl => (TextEncoderKind::Qwen25, config),
        };
        let vision = QwenVisionConfig::from_names(&keys)?;
        found.push((role, Found { config: TextNetworkConfig::Llm(config, vision), map }));
    }
    Ok(found)
}

/// FLUX.2 looks at the state after so many blocks last.
const MISTRAL_BLOCKS: usize = 30;

/// An encoder's sizes. OpenCLIP-H has 24 layers; files made from diffusers' SD2 lack the last one, which SD2 never uses.
fn config(keys: &TensorShapes, role: TextEncoderKind, activation: Activation) -> Result<TextConfig, ModelError> {
    const SHORT_H: usize = 23;
    let config = TextConfig::from_names(keys, activation)?;
    let dropped = usize::from(role == TextEncoderKind::H && config.layers == SHORT_H);
    Ok(config.with_dropped(dropped))
}
