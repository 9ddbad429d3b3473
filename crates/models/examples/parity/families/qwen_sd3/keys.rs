//! Names, shapes and what is made of them: detection, sizes, diffusers' names, latent formats.

use indexmap::IndexMap;
use kiln_memory::{KeyMap, Slice, TensorShapes};
use kiln_models::{
    LatentFormat,
    detect::families,
    family::FoundNetwork,
    mmdit::{self, MmditConfig},
    qwen_image::QwenImageConfig,
    vae3d::{self, VideoVaeConfig},
};
use serde_json::Value;

use crate::case::{CaseResult, Folder, Trouble};
use crate::nets::recipe::names;

/// The lists of full-size names, by model.
pub fn full_lists(folder: &Folder) -> Result<Vec<(String, TensorShapes)>, Trouble> {
    let all = folder.json("keys_full.json.gz")?;
    let lists = all.as_object().ok_or("lists by model")?.iter();
    lists.map(|(model, list)| Ok((model.clone(), names(list)?))).collect()
}

fn network(names: &TensorShapes) -> Result<Option<FoundNetwork>, Trouble> {
    Ok(families().network(names)?.map(|(_, found)| found))
}

/// What a network or autoencoder of these names takes, and what the list holds, in its own keys.
fn needed(names: &TensorShapes) -> Result<Option<(TensorShapes, TensorShapes)>, Trouble> {
    if let Some(found) = network(names)? {
        return Ok(Some((found.config.tensors()?, found.map.names())));
    }
    if names.has("decoder.middle.0.residual.0.gamma") {
        let keys = vae3d::keys(names, "").names();
        return Ok(Some((VideoVaeConfig::from_names(&keys)?.tensors()?, keys)));
    }
    Ok(None)
}

/// `keys_full`: networks and autoencoders take exactly what the lists hold. Text encoders are others' business.
pub fn full(folder: &Folder, _: &str) -> Result<Vec<CaseResult>, Trouble> {
    let mut results = Vec::new();
    for (model, names) in full_lists(folder)? {
        if let Some((needed, there)) = needed(&names)? {
            results.push(consumed(&model, &needed, &there));
        }
    }
    Ok(results)
}

/// `tiny_keys`: the same for the tiny models.
pub fn tiny(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let all = folder.json(file)?;
    let mut results = Vec::new();
    for (model, list) in all.as_object().ok_or("lists by model")? {
        if model.starts_with("cn_") || model.starts_with("file_cn_") {
            results.push(CaseResult::skipped(model, "ControlNets of Stable Diffusion 3 are not run yet"));
            continue;
        }
        if let Some((needed, there)) = needed(&names(list)?.under(&format!("{model}.")))? {
            results.push(consumed(model, &needed, &there));
        }
    }
    Ok(results)
}

fn consumed(model: &str, needed: &TensorShapes, there: &TensorShapes) -> CaseResult {
    let wrong: Vec<&str> =
        needed.iter().filter(|(name, shape)| there.shape(name) != Some(shape)).map(|(name, _)| name).collect();
    let left: Vec<&str> = there.iter().map(|(name, _)| name).filter(|name| !needed.has(name)).collect();
    CaseResult::exact(model, wrong.is_empty() && left.is_empty(), format!("missing {wrong:?}, unused {left:?}"))
}

/// `detect_full`: the numbers of ComfyUI's configuration that say something about the network.
pub fn detected(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let expected = folder.json(file)?;
    let mut results = Vec::new();
    for (model, names) in full_lists(folder)? {
        let Some(found) = network(&names)? else { continue };
        let Some(config) = expected.pointer(&format!("/{model}/config")) else { continue };
        for (field, value) in fields(&found) {
            let wanted = config.get(field).cloned().unwrap_or(Value::Null);
            let note = format!("{value} instead of {wanted}");
            results.push(CaseResult::exact(format!("{model}/{field}"), value == wanted, note));
        }
    }
    Ok(results)
}

fn fields(found: &FoundNetwork) -> Vec<(&'static str, Value)> {
    if let Some(config) = found.config.as_a::<QwenImageConfig>() {
        return vec![("in_channels", (config.in_channels * 4).into()), ("num_layers", config.blocks.into())];
    }
    let Some(config) = found.config.as_a::<MmditConfig>() else { return Vec::new() };
    let blocks = config.second_attention.iter().enumerate().filter(|(_, second)| **second);
    let second: Vec<usize> = blocks.map(|(i, _)| i).collect();
    vec![
        ("in_channels", config.in_channels.into()),
        ("out_channels", config.out_channels.into()),
        ("patch_size", config.patch.into()),
        ("depth", config.blocks().into()),
        ("adm_in_channels", config.vector.into()),
        ("pos_embed_max_size", config.positions.map_or(Value::Null, Value::from)),
        ("qk_norm", if config.qk_norm { "rms".into() } else { Value::Null }),
        ("x_block_self_attn_layers", second.into()),
    ]
}

/// `sizes_full`: parameters of each class of tensors, block numbers replaced by `N`.
pub fn sizes(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let expected = folder.json(file)?;
    let mut results = Vec::new();
    for (model, names) in full_lists(folder)? {
        let Some((needed, _)) = needed(&names)? else { continue };
        let Some(classes) = expected.pointer(&format!("/{model}/classes")).and_then(Value::as_object) else { continue };
        let mut found: IndexMap<String, u64> = IndexMap::new();
        for (name, shape) in needed.iter() {
            *found.entry(class(name)).or_default() += shape.iter().product::<usize>() as u64;
        }
        let mut wanted: IndexMap<String, u64> = IndexMap::new();
        for (name, count) in classes {
            *wanted.entry(class(name)).or_default() += count.as_u64().unwrap_or_default();
        }
        let wrong: Vec<_> = wanted.iter().filter(|(name, count)| found.get(*name) != Some(count)).collect();
        let right = wrong.is_empty() && found.len() == wanted.len();
        results.push(CaseResult::exact(model, right, format!("{wrong:?}")));
    }
    Ok(results)
}

/// A name with `N` in place of every number between dots.
fn class(name: &str) -> String {
    let part = |part: &str| if part.parse::<usize>().is_ok() { "N".to_owned() } else { part.to_owned() };
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}

/// `diffusers_keys_sd3`: every tensor of diffusers' names lands where the map says.
pub fn diffusers(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let lists: IndexMap<String, TensorShapes> = full_lists(folder)?.into_iter().collect();
    let maps = folder.json(file)?;
    let mut results = Vec::new();
    for (model, map) in maps.as_object().ok_or("maps by model")? {
        let list = lists.get(model).ok_or_else(|| format!("keys_full has no `{model}`"))?;
        let entries = map.as_object().ok_or("an object")?;
        let places = entries.iter().filter_map(|(name, place)| Some((name, Place::of(place, list)?)));
        let places: Vec<(&String, Place)> = places.collect();
        let names: TensorShapes = places.iter().map(|(name, place)| (name.as_str(), place.shape.clone())).collect();
        let found = mmdit::keys(&names, "");
        let wrong: Vec<&str> =
            places.iter().filter(|(name, place)| !place.is_in(&found, name)).map(|(name, _)| name.as_str()).collect();
        results.push(CaseResult::exact(
            format!("{model} ({} names)", places.len()),
            wrong.is_empty(),
            format!("{wrong:?}"),
        ));
    }
    Ok(results)
}

/// Where a tensor of diffusers' goes.
struct Place {
    key: String,
    /// The first row, of a part.
    row: Option<usize>,
    swapped: bool,
    /// Of the tensor in the file.
    shape: Vec<usize>,
}

impl Place {
    /// `None` for a place that the model lacks.
    fn of(place: &Value, list: &TensorShapes) -> Option<Self> {
        let key = place.as_str().or_else(|| place.get(0)?.as_str())?.to_owned();
        let mut shape = list.shape(&key)?.to_vec();
        let part = place.get(1).map(crate::families::common::sizes).filter(|part| part.len() == 3);
        if let (Some(part), Some(rows)) = (&part, shape.first_mut()) {
            *rows = part[2];
        }
        let swapped = place.get(2).and_then(Value::as_str) == Some("swap_halves");
        Some(Self { key, row: part.map(|part| part[1]), swapped, shape })
    }

    fn is_in(&self, map: &KeyMap, name: &str) -> bool {
        let Some(found) = map.place(&self.key) else { return false };
        let parts: Vec<&str> = found.tensors().collect();
        let Some(at) = parts.iter().position(|part| *part == name) else { return false };
        let rows = self.shape.first().copied().unwrap_or_default();
        self.row.is_none_or(|row| row == at * rows) && self.swapped == (found.part == Slice::Swapped)
    }
}

/// `latent_rgb`: factors, bias, statistics.
pub fn latents(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let expected = folder.json(file)?;
    let mut results = Vec::new();
    for (kind, format) in [("qwen", LatentFormat::WAN), ("sd3", LatentFormat::SD3)] {
        let numbers = |value: &Value| -> Vec<f32> {
            value.as_array().into_iter().flatten().filter_map(|v| Some(v.as_f64()? as f32)).collect()
        };
        let entry = expected.get(kind).ok_or_else(|| format!("no `{kind}`"))?;
        let (mean, std) = format.statistics.unwrap_or_default();
        let found: Vec<(&str, Vec<f32>)> = vec![
            ("bias", format.rgb_bias.to_vec()),
            ("mean", mean.to_vec()),
            ("std", std.to_vec()),
            ("shift", vec![format.shift]),
            ("scale", vec![format.scale]),
        ];
        let factors = entry.get("factors").and_then(Value::as_array).into_iter().flatten().flat_map(numbers);
        let same = factors.eq(format.rgb.iter().flatten().copied());
        results.push(CaseResult::exact(format!("{kind}/factors"), same, "other factors"));
        for (field, found) in found {
            let Some(wanted) = entry.get(field) else { continue };
            let wanted = wanted.as_f64().map_or_else(|| numbers(wanted), |number| vec![number as f32]);
            results.push(CaseResult::exact(format!("{kind}/{field}"), found == wanted, format!("{found:?}")));
        }
    }
    Ok(results)
}
