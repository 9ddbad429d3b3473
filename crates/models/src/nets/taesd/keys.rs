//! The names of a tiny autoencoder's tensors, and its sizes read off them.

use kiln_memory::{KeyMap, TensorShapes};

/// The sizes of a tiny autoencoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaesdConfig {
    /// Images to latents.
    pub encoder: Option<TaesdHalf>,
    /// Latents to images.
    pub decoder: Option<TaesdHalf>,
}

/// One direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaesdHalf {
    /// Channels of latents.
    pub latent: usize,
    /// Channels inside.
    pub channels: usize,
    /// Channels of images.
    pub image: usize,
    /// Whether the blocks at the latent's size have a global pool (TAEF2).
    pub pool: bool,
}

/// Keys below `encoder.` and `decoder.`, whatever the file calls its halves.
pub(crate) fn canonical(names: &TensorShapes) -> KeyMap {
    let halves = ["taesd_encoder.", "taesd_decoder.", "encoder.", "decoder."];
    if halves.iter().any(|half| names.any(half)) {
        return KeyMap::under(names, "").renamed(|key| Some(key.strip_prefix("taesd_").unwrap_or(key).to_owned()));
    }
    // A half alone: the decoder starts with a function, so its first layer with weights is number 1.
    let half = if names.has("0.weight") { "encoder" } else { "decoder" };
    KeyMap::under(names, "").renamed(|key| Some(format!("{half}.{key}")))
}

impl TaesdConfig {
    /// Reads the configuration off names and shapes, `None` when they are no tiny autoencoder's.
    pub fn from_names(names: &TensorShapes) -> Option<Self> {
        let half = |first: &str, last: &str, side: &str| {
            let (first, last) = (names.shape(first)?, names.shape(last)?);
            let [channels, inputs, 3, 3] = *first else { return None };
            let outputs = *last.first()?;
            let pool = names.any(&format!("{side}.pool."));
            Some((inputs, channels, outputs, pool))
        };
        let decoder = half("decoder.1.weight", "decoder.19.weight", "decoder.3")
            .map(|(latent, channels, image, pool)| TaesdHalf { latent, channels, image, pool });
        let encoder = half("encoder.0.weight", "encoder.14.weight", "encoder.11")
            .map(|(image, channels, latent, pool)| TaesdHalf { latent, channels, image, pool });
        (decoder.is_some() || encoder.is_some()).then_some(Self { encoder, decoder })
    }
}
