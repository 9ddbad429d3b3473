//! Which weight of Qwen-Image's network a prefix in a LoRA file means, by every convention there is.
//!
//! Model keys are those of ComfyUI: `diffusion_model.` and the network's own.

use super::config::QwenImageConfig;
use crate::{error::ModelError, lora::Prefixes};

/// Prefixes for the weights of a network. The published Lightning files have the bare names.
///
/// # Errors
/// When the configuration contradicts itself.
pub fn qwen_image_keys(config: &QwenImageConfig) -> Result<Prefixes, ModelError> {
    let tensors = config.tensors()?;
    let mut map = Prefixes::of_tensors(&tensors);
    for stem in tensors.iter().filter_map(|(key, _)| key.strip_suffix(".weight")) {
        let (weight, joined) = (format!("diffusion_model.{stem}.weight"), stem.replace('.', "_"));
        for dotted in ["", "transformer.", "base_model.model."] {
            map.insert(format!("{dotted}{stem}"), weight.clone());
        }
        for start in ["lycoris_", "lora_transformer_"] {
            map.insert(format!("{start}{joined}"), weight.clone());
        }
    }
    Ok(map)
}
