//! Which weight of a Z-Image network a prefix in a LoRA file means, by every convention there is.

use super::config::ZImageConfig;
use crate::{
    error::ModelError,
    lora::{Place, Prefixes},
};

/// Beginnings of names that trainers on diffusers write.
const STARTS: [&str; 4] = ["diffusion_model.", "transformer.", "base_model.model.", "lora_unet_"];
const LAYERS: [(&str, &str); 3] = [("to_out.0", "out"), ("norm_q", "q_norm"), ("norm_k", "k_norm")];

/// Prefixes for the weights of a network.
///
/// # Errors
/// When the configuration contradicts itself.
pub fn zimage_keys(config: &ZImageConfig) -> Result<Prefixes, ModelError> {
    let tensors = config.tensors()?;
    let mut map = Prefixes::of_tensors(&tensors);
    // A weight of the file that the network has no use for, but files may change.
    map.extend(
        ["lora_unet_norm_final", "diffusion_model.norm_final"]
            .map(|prefix| (prefix.to_owned(), Place::whole("diffusion_model.norm_final.weight"))),
    );
    for (key, _) in tensors.iter() {
        let Some(stem) = key.strip_suffix(".weight") else { continue };
        let target = format!("diffusion_model.{key}");
        for start in ["transformer.", "base_model.model."] {
            map.insert(format!("{start}{stem}"), target.clone());
        }
        let Some((block, layer)) = stem.rsplit_once(".attention.") else { continue };
        let mut add = |name: &str, place: &Place| {
            for start in STARTS {
                let name = format!("{block}.attention.{name}");
                let name = if start.ends_with('_') { name.replace('.', "_") } else { name };
                map.insert(format!("{start}{name}"), place.clone());
            }
        };
        if layer == "qkv" {
            for (third, name) in ["to_q", "to_k", "to_v"].iter().enumerate() {
                add(name, &Place::rows(target.clone(), third * config.dim, config.dim));
            }
        }
        for (name, _) in LAYERS.iter().filter(|(_, own)| *own == layer) {
            add(name, &Place::whole(target.clone()));
        }
    }
    Ok(map)
}
