//! Which weight of a Flux network a prefix in a LoRA file means, by every convention there is.
//!
//! Model keys are those of ComfyUI: `diffusion_model.` and the original name. The table holds targets that a network may
//! lack; they simply never match.

use super::{
    config::FluxConfig,
    names::{Part, names, weight_end},
};
use crate::{
    error::ModelError,
    lora::{Place, Prefixes},
};

/// Prefixes for the weights of a network.
///
/// # Errors
/// When the configuration contradicts itself.
pub fn flux_keys(config: &FluxConfig) -> Result<Prefixes, ModelError> {
    let mut map = Prefixes::of_tensors(&config.tensors()?);
    let hidden = config.hidden;
    for name in names(config.double, config.single) {
        let key = format!("diffusion_model.{}.{}", name.key, weight_end(&name.key));
        let place = match name.part {
            Part::Whole => Place::whole(key),
            Part::Rows { first, count } => Place::rows(key, first * hidden, count * hidden),
            Part::Swapped => Place::swapped(key),
        };
        let joined = name.diffusers.replace('.', "_");
        map.insert(format!("transformer.{}", name.diffusers), place.clone());
        map.insert(format!("lycoris_{joined}"), place.clone());
        map.insert(format!("lora_transformer_{joined}"), place);
    }
    for i in 0..config.single {
        let key = format!("diffusion_model.single_blocks.{i}.linear1.weight");
        map.insert(format!("diffusion_model.single_blocks.{i}.linear1_qkv"), Place::rows(key, 0, 3 * hidden));
    }
    Ok(map)
}
