//! Which weight of an MMDiT a prefix in a LoRA file means, by every convention there is.
//!
//! Model keys are those of ComfyUI: `diffusion_model.` and the original name. The table holds targets that a network may
//! lack; they simply never match.

use super::{
    config::MmditConfig,
    keys::{BLOCK, OUTSIDE, is_swapped},
};
use crate::{
    error::ModelError,
    lora::{Place, Prefixes},
};

/// Prefixes for the weights of a network.
///
/// # Errors
/// When the configuration contradicts itself.
pub fn mmdit_keys(config: &MmditConfig) -> Result<Prefixes, ModelError> {
    let mut map = Prefixes::of_tensors(&config.tensors()?);
    let last = config.heads().saturating_sub(1);
    for (key, module) in OUTSIDE {
        add(&mut map, module, place(key, last));
    }
    for (i, (part, modules)) in (0..config.blocks()).flat_map(|i| BLOCK.map(|part| (i, part))) {
        let key = format!("joint_blocks.{i}.{part}");
        for (n, module) in modules.iter().enumerate() {
            let place = match modules.len() {
                1 => place(&key, last),
                _ => Place::rows(format!("diffusion_model.{key}.weight"), n * config.width, config.width),
            };
            add(&mut map, &format!("transformer_blocks.{i}.{module}"), place);
        }
    }
    Ok(map)
}

fn place(key: &str, last: usize) -> Place {
    let weight = format!("diffusion_model.{key}.weight");
    if is_swapped(key, last) { Place::swapped(weight) } else { Place::whole(weight) }
}

/// All ways to write a module of diffusers' names.
fn add(map: &mut Prefixes, module: &str, place: Place) {
    let joined = module.replace('.', "_");
    for dotted in ["transformer.", "base_model.model."] {
        map.insert(format!("{dotted}{module}"), place.clone());
    }
    for start in ["lora_transformer_", "lycoris_"] {
        map.insert(format!("{start}{joined}"), place.clone());
    }
}
