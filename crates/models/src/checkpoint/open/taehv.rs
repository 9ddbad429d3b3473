//! The file of a tiny autoencoder of clips.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, Dtype, KeyMap, TensorShapes};

use crate::{
    error::ModelError,
    nets::taehv::{TaehvConfig, TaehvVae},
    weights::{ModelWeights, open, owner},
};

/// Factor on the latents of HunyuanVideo, and of its version 1.5.
const HUNYUAN: f32 = 0.476_986;
const HUNYUAN_15: f32 = 1.036_82;

impl TaehvVae {
    /// Opens a file with both directions in the place of a VAE's; `None` when it is another kind of file.
    ///
    /// As in ComfyUI a file of 16 channels in f16 is HunyuanVideo's, with the scale of its latents, and in another format
    /// Wan 2.1's, which needs none; the kinds for Wan 2.2 and LTX need none either.
    ///
    /// # Errors
    /// Of the file, and of an autoencoder that is not whole.
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Option<Self>, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let Some(config) = TaehvConfig::from_names(&names) else { return Ok(None) };
        let is_half = source.info("decoder.1.weight").is_some_and(|info| info.dtype == Dtype::F16);
        // HunyuanVideo 1.5 has images of blocks of four pixels, and goes from -1 to 1.
        let signed = config.latent == 32 && config.patch == 2;
        let scale = match config.latent {
            32 if signed => HUNYUAN_15,
            48 | 128 => 1.0,
            _ if is_half => HUNYUAN,
            _ => 1.0,
        };
        let holder = owner("vae", &*source);
        let net = Arc::new(config.init(&ModelWeights::new(source, KeyMap::under(&names, ""), &holder, budget))?);
        Ok(Some(Self { net, scale, signed }))
    }
}
