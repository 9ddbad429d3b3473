//! `vae_tiny`, `vae_full`: both directions of the 16-channel autoencoder and of Flux.2's.

use kiln_memory::{Budget, KeyMap};
use kiln_models::{
    ModelWeights,
    vae::{self, Vae, VaeConfig},
};
use serde_json::Value;

use crate::case::{CaseResult, Folder, Trouble};
use crate::families::common::tiny_weights;
use crate::nets::recipe::{names, source, stored, values};

const TINY: f64 = 2e-5;
const FULL: f64 = 1e-4;

fn opened(weights: &ModelWeights) -> Result<Vae, Trouble> {
    Ok(VaeConfig::from_names(&weights.map().names())?.init(weights)?)
}

fn text<'a>(params: &'a Value, key: &str) -> Result<&'a str, Trouble> {
    Ok(params.get(key).and_then(Value::as_str).ok_or_else(|| format!("params has no {key}"))?)
}

/// Without ranges: -1 to 1, and what lies beyond.
pub fn tiny(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let mut results = Vec::new();
    for model in ["ae", "flux2ae"] {
        let vae = opened(&tiny_weights(folder, text(&params, &format!("{model}_prefix"))?)?)?;
        let image = vae.decode(stored(&tensors, &format!("{model}.in.z"))?)?;
        let latent = vae.encode(stored(&tensors, &format!("{model}.in.img"))?)?;
        for (what, found) in [("decode", image), ("encode", latent)] {
            let name = format!("{model}.out.{what}");
            results.push(CaseResult::near(name.as_str(), &values(found)?, &tensors.floats(&name)?, TINY));
        }
    }
    Ok(results)
}

/// Images as people hold them, at full size.
pub fn full(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let lists = folder.json("keys_full.json.gz")?;
    let mut results = Vec::new();
    for (model, list) in [("ae", "ae"), ("flux2", "flux2_vae")] {
        let prefix = text(&params, &format!("{model}_prefix"))?;
        let plain = names(lists.get(list).ok_or_else(|| format!("no keys of `{list}`"))?)?;
        let hashed = plain.iter().map(|(name, shape)| (format!("{prefix}{name}"), shape)).collect();
        let map = vae::original(&hashed, prefix);
        debug_assert_eq!(map.len(), KeyMap::under(&hashed, prefix).len());
        let weights = ModelWeights::new(source(&hashed, None), map, "parity", &Budget::new("parity", 1 << 30));
        let vae = opened(&weights)?;
        let image = vae.decode_image(stored(&tensors, &format!("{model}.in.z"))?)?;
        let latent = vae.encode_image(stored(&tensors, &format!("{model}.in.img_bhwc"))?)?;
        for (what, found) in [("decode_bhwc", image), ("encode", latent)] {
            let name = format!("{model}.out.{what}");
            results.push(CaseResult::near(name.as_str(), &values(found)?, &tensors.floats(&name)?, FULL));
        }
    }
    Ok(results)
}
