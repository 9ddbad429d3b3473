//! LoRA: every prefix of a network, and what files of every convention do to its weights.

use std::sync::Arc;

use kiln_memory::{Dtype, MemorySource, Patch as _, TensorShapes, TensorSource};
use kiln_models::{
    flux::flux_keys,
    lora::{LoraFile, Matrix, Part, Patch, Place, Prefixes, Target},
    mmdit::{MmditConfig, mmdit_keys},
    qwen_image::{QwenImageConfig, qwen_image_keys},
    zimage::zimage_keys,
};
use serde_json::{Value, json};

use super::common::{tiny_names, tiny_weights};
use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::flux::common::{flux_config, zimage_config};
use crate::nets::recipe::names;

const TOLERANCE: f64 = 1e-6;

/// What full-size models are called in `keys_full`, beside their names with an ending.
const FULL: [(&str, &str); 3] = [("qwen", "qwen_image"), ("sd35m", "sd35_medium"), ("sd35l", "sd35_large")];

fn prefixes(names: &TensorShapes, config: &Value) -> Result<Prefixes, Trouble> {
    if names.any("joint_blocks.") {
        return Ok(mmdit_keys(&MmditConfig::from_names(names)?)?);
    }
    if names.has("transformer_blocks.0.img_mod.1.weight") {
        return Ok(qwen_image_keys(&QwenImageConfig::from_names(names)?)?);
    }
    if names.has("cap_embedder.1.weight") {
        return Ok(zimage_keys(&zimage_config(names, config)?)?);
    }
    Ok(flux_keys(&flux_config(names, config)?)?)
}

fn written(place: &Place) -> Value {
    match place.part {
        Part::Whole => json!(place.key),
        Part::Rows { start, len } => json!([place.key, [0, start, len]]),
        Part::Swapped => json!([place.key, null, "swap_halves"]),
    }
}

/// `lora_keys_tiny_*`, `lora_keys_full_*`: every prefix means the reference's place.
pub fn keys(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let model = file.trim_end_matches(".json.gz").rsplit('_').next().unwrap_or_default();
    let names = if file.contains("_full_") {
        let lists = folder.json("keys_full.json.gz")?;
        let other = FULL.iter().find(|(short, _)| *short == model).map_or(model, |(_, full)| full);
        let published = [other.to_owned(), format!("{model}_dev"), format!("{model}_turbo")];
        let list = published.iter().find(|key| lists.get(key.as_str()).is_some());
        names(&lists[list.ok_or("no such model in keys_full")?])?
    } else {
        tiny_names(folder, model)?.under(&format!("{model}."))
    };
    let found = prefixes(&names, &folder.entry(file).params["config"])?;
    let maps = folder.json(file)?;
    let expected = maps.as_object().ok_or("a map of prefixes")?;
    let wrong = |(prefix, place): &(&String, &Value)| found.get(prefix).map(written).as_ref() != Some(place);
    let wrong: Vec<_> = expected.iter().filter(wrong).take(5).collect();
    Ok(vec![CaseResult::exact(format!("{} prefixes", expected.len()), wrong.is_empty(), format!("{wrong:?}"))])
}

fn file_of(tensors: &Tensors, prefix: &str) -> Result<LoraFile, Trouble> {
    let mut source = MemorySource::new("lora");
    for name in tensors.names() {
        if let Some(key) = name.strip_prefix(prefix) {
            source.insert(key, Dtype::F32, &tensors.shape(name)?, tensors.bytes(name)?.to_vec())?;
        }
    }
    Ok(LoraFile::new(Arc::new(source) as Arc<dyn TensorSource>))
}

/// `lora_*`: patched weights minus original ones, every so many rows.
pub fn deltas(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let prefix = params["prefix"].as_str().ok_or("params has no prefix")?;
    let weights = tiny_weights(folder, prefix)?;
    let prefixes = prefixes(&weights.map().names(), &params["config"])?;
    let outputs = tensors.names().into_iter().filter_map(|name| name.strip_prefix("delta."));
    let one = |name: &str| {
        let (kind, rest) = name.split_once('.').ok_or("`delta.KIND.STRENGTH.TARGET`")?;
        let (strength, target) = rest.split_once(".diffusion_model.").ok_or("`delta.KIND.STRENGTH.TARGET`")?;
        let lora = file_of(&tensors, &format!("file.{kind}."))?;
        let key = format!("diffusion_model.{target}");
        let targets: Vec<Target> = lora.find(&prefixes).targets.into_iter().filter(|own| own.key == key).collect();
        let shape = weights.map().place(target).ok_or("no such weight")?.shape.clone();
        let mut values = vec![0.0; shape.iter().product()];
        kiln_memory::hash_uniform(&format!("{prefix}{target}"), &shape, &mut values);
        let whole =
            params["files"][kind]["whole_weight_stored"].as_array().is_some_and(|all| all.contains(&json!(key)));
        let mut matrix = Matrix { shape, values };
        let original = matrix.clone();
        for target in &targets {
            let strength: f32 = strength.parse()?;
            if whole {
                lora.adapter(target)?.apply(&mut matrix, strength)?;
            } else {
                let patch = Patch { file: lora.clone(), target: target.clone(), strength };
                patch.apply(&matrix.shape.clone(), &mut matrix.values)?;
            }
        }
        if !whole {
            matrix.values.iter_mut().zip(&original.values).for_each(|(patched, plain)| *patched -= plain);
        }
        let found = rows(&matrix, &params["row_step"], strength);
        let expected = tensors.floats(&format!("delta.{name}"))?;
        Ok::<_, Trouble>(CaseResult::near(name, &found, &expected, TOLERANCE))
    };
    Ok(outputs.map(|name| one(name).unwrap_or_else(|trouble| CaseResult::broken(name, trouble))).collect())
}

/// Every so many rows of a large matrix, all of a small one.
fn rows(matrix: &Matrix, steps: &Value, strength: &str) -> Vec<f32> {
    let small = steps["only_if_more_values_than"].as_u64().unwrap_or(0) as usize;
    let step = steps[strength].as_u64().unwrap_or(1) as usize;
    if matrix.values.len() <= small {
        return matrix.values.clone();
    }
    let width: usize = matrix.shape.iter().skip(1).product();
    matrix.values.chunks(width.max(1)).step_by(step.max(1)).flatten().copied().collect()
}
