//! Lists of names and shapes: every tensor is taken, configurations and sizes are the reference's.

use indexmap::IndexMap;
use kiln_memory::TensorShapes;
use kiln_models::{flux::FluxConfig, flux::FluxVersion, vae::VaeConfig, zimage::ZImageConfig};
use serde_json::{Value, json};

use crate::case::{CaseResult, Folder, Trouble};
use crate::nets::recipe::names;

/// Tensors that a network of these names takes; `None` where it is a text encoder.
fn needed(names: &TensorShapes) -> Result<Option<TensorShapes>, Trouble> {
    Ok(if FluxConfig::fits(names) {
        Some(FluxConfig::from_names(names)?.tensors()?)
    } else if ZImageConfig::fits(names) {
        Some(ZImageConfig::from_names(names)?.tensors()?)
    } else if names.has("decoder.conv_in.weight") {
        Some(VaeConfig::from_names(names)?.tensors()?)
    } else {
        None
    })
}

/// Names that files have and nothing reads: `norm_final` of Z-Image, and a count of batches.
fn is_idle(name: &str) -> bool {
    matches!(name, "norm_final.weight" | "bn.num_batches_tracked")
}

fn taken(model: &str, there: &TensorShapes) -> Result<Option<CaseResult>, Trouble> {
    let Some(needed) = needed(there)? else { return Ok(None) };
    let wrong: Vec<&str> =
        needed.iter().filter(|(name, shape)| there.shape(name) != Some(shape)).map(|(name, _)| name).collect();
    let left: Vec<&str> =
        there.iter().map(|(name, _)| name).filter(|name| !needed.has(name) && !is_idle(name)).collect();
    let note = format!("missing or misshapen {wrong:?}, unused {left:?}");
    Ok(Some(CaseResult::exact(model, wrong.is_empty() && left.is_empty(), note)))
}

fn of_each(
    lists: &Value,
    judge: impl Fn(&str, &TensorShapes) -> Result<Option<CaseResult>, Trouble>,
) -> Result<Vec<CaseResult>, Trouble> {
    let lists = lists.as_object().ok_or("an object of models")?;
    let mut results = Vec::new();
    for (model, list) in lists {
        results.extend(judge(model, &names(list)?)?);
    }
    Ok(results)
}

/// `keys_full`: the networks take exactly these tensors.
pub fn keys(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    of_each(&folder.json(file)?, taken)
}

/// `tiny_keys`: the same, under prefixes.
pub fn tiny(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    of_each(&folder.json(file)?, |model, names| {
        let prefix = names.iter().next().and_then(|(name, _)| name.split_once('.')).map_or("", |(prefix, _)| prefix);
        taken(model, &names.under(&format!("{prefix}.")))
    })
}

/// `sizes_full`: tensors and parameters, in all and by class.
pub fn sizes(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let lists = folder.json("keys_full.json.gz")?;
    let expected = folder.json(file)?;
    of_each(&lists, |model, names| {
        let mut classes: IndexMap<String, u64> = IndexMap::new();
        for (name, shape) in names.iter() {
            let class: Vec<&str> =
                name.split('.').map(|part| if part.parse::<usize>().is_ok() { "N" } else { part }).collect();
            *classes.entry(class.join(".")).or_default() += shape.iter().product::<usize>() as u64;
        }
        let expected = &expected[model];
        let all: u64 = classes.values().sum();
        let known = expected["classes"].as_object().ok_or("no classes")?;
        let by_class: u64 = known.values().filter_map(Value::as_u64).sum();
        let right = expected["tensors"] == json!(names.len()) && expected["params"] == json!(all) && by_class == all;
        Ok(Some(CaseResult::exact(model, right, format!("{} tensors, {all} parameters", names.len()))))
    })
}

/// `detect_full`: what names and shapes say about each network.
pub fn configurations(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let lists = folder.json("keys_full.json.gz")?;
    let mut results = Vec::new();
    for (model, expected) in folder.json(file)?.as_object().ok_or("an object of models")? {
        let Some(expected) = expected.get("config") else { continue };
        let names = names(&lists[model])?;
        let found = if FluxConfig::fits(&names) { flux(&names)? } else { zimage(&names)? };
        for (field, value) in found.as_object().into_iter().flatten() {
            let right = *value == expected[field];
            let note = format!("{value} instead of {}", expected[field]);
            results.push(CaseResult::exact(format!("{model}.{field}"), right, note));
        }
    }
    Ok(results)
}

fn flux(names: &TensorShapes) -> Result<Value, Trouble> {
    let config = FluxConfig::from_names(names)?;
    let bias = config.version == FluxVersion::One;
    Ok(json!({
        "image_model": if bias { "flux" } else { "flux2" },
        "axes_dim": config.axes,
        "num_heads": config.heads(),
        "mlp_ratio": config.mlp as f64 / config.hidden as f64,
        "theta": config.theta as u64,
        "out_channels": config.out_channels,
        "in_channels": config.in_channels,
        "hidden_size": config.hidden,
        "context_in_dim": config.context,
        "patch_size": config.version.patch(),
        "vec_in_dim": config.vector,
        "depth": config.double,
        "depth_single_blocks": config.single,
        "guidance_embed": config.guidance,
        "qkv_bias": bias,
    }))
}

fn zimage(names: &TensorShapes) -> Result<Value, Trouble> {
    let config = ZImageConfig::from_names(names)?;
    Ok(json!({
        "in_channels": config.channels,
        "dim": config.dim,
        "cap_feat_dim": config.caption,
        "n_layers": config.layers,
        "n_heads": config.heads(),
        "axes_dims": config.axes,
        "rope_theta": config.theta,
        "pad_tokens_multiple": config.padding,
    }))
}
