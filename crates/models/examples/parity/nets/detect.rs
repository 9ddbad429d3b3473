//! Detection: every key of a full checkpoint is consumed, none is missing, the configuration is the reference's.

use kiln_memory::TensorShapes;
use kiln_models::{
    clip::{self, Activation, TextConfig},
    detect::{Detected, ignorable},
    unet::UNetConfig,
    vae::VaeConfig,
};
use serde_json::{Value, json};

use super::recipe::names;
use crate::case::{CaseResult, Folder, Trouble};

/// `keys_*.json`: what a network of the detected configuration takes is exactly what the list holds.
pub fn keys(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let names = names(&folder.json(file)?)?;
    let detected = Detected::in_checkpoint(&names)?;
    let (Some(unet), Some(vae)) = (detected.unet(), &detected.vae) else {
        return Ok(vec![CaseResult::broken("parts", "no UNet or no VAE was recognised")]);
    };
    let mut results = vec![
        consumed("unet", &unet.config.tensors()?, &unet.map.names()),
        consumed("vae", &vae.config.tensors()?, &vae.map.names()),
    ];
    for (role, text) in &detected.text {
        results.push(consumed(role.name(), &text.config.tensors()?, &text.map.names()));
    }
    let roles: Vec<_> = detected.text.iter().map(|(role, _)| *role).collect();
    let complete = detected.family.is_some_and(|family| family.roles() == roles);
    results.push(CaseResult::exact("text encoders", complete, format!("{:?} has {roles:?}", detected.family)));
    let unused = detected.unused_tensors(&names);
    results.push(CaseResult::exact("nothing left over", unused.is_empty(), format!("{unused:?}")));
    Ok(results)
}

fn consumed(part: &str, needed: &TensorShapes, there: &TensorShapes) -> CaseResult {
    let wrong: Vec<&str> =
        needed.iter().filter(|(name, shape)| there.shape(name) != Some(shape)).map(|(name, _)| name).collect();
    let left: Vec<&str> =
        there.iter().map(|(name, _)| name).filter(|name| !needed.has(name) && !ignorable(name)).collect();
    CaseResult::exact(
        part,
        wrong.is_empty() && left.is_empty(),
        format!("missing or misshapen {wrong:?}, unused {left:?}"),
    )
}

/// `detect_*.json`: each field of the reference's configuration that says something about the network.
pub fn configuration(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let names = names(&folder.json(&file.replace("detect_", "keys_"))?)?;
    let unet = Detected::in_checkpoint(&names)?.unet().ok_or("no UNet was recognised")?;
    let (found, expected) = (fields(&unet.config), folder.json(file)?);
    let same = |(key, value): (&String, &Value)| {
        let expected = expected.get(key).unwrap_or(&Value::Null);
        CaseResult::exact(key.as_str(), value == expected, format!("{value} instead of {expected}"))
    };
    Ok(found.as_object().map(|fields| fields.iter().map(same).collect()).unwrap_or_default())
}

fn fields(config: &UNetConfig) -> Value {
    json!({
        "adm_in_channels": config.adm_channels,
        "in_channels": config.in_channels,
        "out_channels": config.out_channels,
        "model_channels": config.model_channels,
        "num_res_blocks": config.res_blocks,
        "transformer_depth": config.depth,
        "transformer_depth_output": config.depth_output,
        "channel_mult": config.channel_mult,
        "transformer_depth_middle": config.middle.number(),
        "use_linear_in_transformer": config.linear_projection,
        "context_dim": config.context_dim,
    })
}

/// `tiny_keys.json`: the tiny models' networks take exactly these tensors.
pub fn tiny_keys(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let models = folder.json(file)?;
    let models = models.as_object().ok_or("the tiny models are an object")?;
    let judge = |(model, list): (&String, &Value)| {
        let keys = clip::hugging_face(&names(list)?, &format!("{model}.")).names();
        Ok(consumed(model, &needed(&keys)?, &keys))
    };
    models.iter().map(judge).collect()
}

fn needed(keys: &TensorShapes) -> Result<TensorShapes, Trouble> {
    if keys.has("input_blocks.0.0.weight") {
        let config = UNetConfig::from_names(keys)?;
        // Shapes don't depend on heads; one fits every width.
        return Ok(config.with_heads(kiln_models::unet::Heads::Count(1)).tensors()?);
    }
    if keys.has("decoder.conv_in.weight") {
        return Ok(VaeConfig::from_names(keys)?.tensors()?);
    }
    Ok(TextConfig::from_names(keys, Activation::Gelu)?.tensors()?)
}
