//! LoRA: every prefix of the networks, and what files of every convention do to weights.

use std::sync::Arc;

use kiln_memory::{MemorySource, TensorShapes, TensorSource};
use kiln_models::{
    ModelWeights, Network, Patches,
    lora::{LoraFile, Part, Place, Prefixes},
    mmdit::{self, MmditConfig, mmdit_keys},
    qwen_image::{self, QwenImageConfig, qwen_image_keys},
};
use serde_json::Value;

use super::keys::{full_lists, unpacked};
use super::nets::{tiny_mmdit, tiny_qwen};
use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::families::common::{near, sizes, text, tiny};
use crate::nets::recipe::names;

/// One matrix product.
const DELTA: f64 = 1e-6;

/// `lora_keys_{tiny,full}_MODEL`: every prefix means the reference's weight, or its part of it.
pub fn keys(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let model = file.trim_end_matches(".json.gz").trim_start_matches("lora_keys_");
    let (size, model) = model.split_once('_').ok_or("neither tiny nor full")?;
    let list = if size == "tiny" { tiny_list(folder, model)? } else { full_list(folder, model)? };
    let found = if model == "qwen" {
        qwen_image_keys(&QwenImageConfig::from_names(&qwen_image::keys(&list, "").names())?)?
    } else {
        mmdit_keys(&MmditConfig::from_names(&mmdit::keys(&list, "").names())?)?
    };
    let expected = unpacked(folder, file)?;
    let expected = expected.as_object().ok_or("an object")?;
    let wrong = expected.iter().filter(|(prefix, place)| found.get(prefix) != self::place(place).as_ref());
    let wrong: Vec<_> = wrong.map(|(prefix, _)| prefix).take(5).collect();
    let name = format!("{} prefixes", expected.len());
    Ok(vec![CaseResult::exact(name, wrong.is_empty(), format!("{wrong:?}"))])
}

fn tiny_list(folder: &Folder, model: &str) -> Result<TensorShapes, Trouble> {
    let all = folder.json("tiny_keys.json")?;
    Ok(names(all.get(model).ok_or_else(|| format!("no `{model}`"))?)?.under(&format!("{model}.")))
}

fn full_list(folder: &Folder, model: &str) -> Result<TensorShapes, Trouble> {
    let wanted = match model {
        "qwen" => "qwen_image",
        "sd35m" => "sd35_medium",
        "sd35l" => "sd35_large",
        _ => model,
    };
    let lists = full_lists(folder)?;
    let list = lists.into_iter().find(|(model, _)| model == wanted);
    Ok(list.ok_or_else(|| format!("no `{wanted}`"))?.1)
}

/// A weight, `[weight, [0, start, length]]` or `[weight, null, "swap_halves"]`.
fn place(place: &Value) -> Option<Place> {
    if let Some(weight) = place.as_str() {
        return Some(Place { key: weight.to_owned(), part: Part::Whole });
    }
    let key = place.get(0)?.as_str()?.to_owned();
    let part = match sizes(place.get(1)?)[..] {
        [_, start, len] => Part::Rows { start, len },
        _ => Part::Swapped,
    };
    Some(Place { key, part })
}

/// `lora_MODEL`: `file.KIND.*` applied with a strength changes each target by `delta.KIND.STRENGTH.TARGET`.
pub fn deltas(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let prefix = text(&params, "prefix")?;
    let (weights, prefixes) = if prefix == "qwen." {
        (tiny(folder, "tiny_keys.json", prefix, qwen_image::keys)?, Network::lora_keys(&tiny_qwen(folder, &params)?)?)
    } else {
        (tiny(folder, "tiny_keys.json", prefix, mmdit::keys)?, Network::lora_keys(&tiny_mmdit(folder, prefix)?)?)
    };
    let steps = params.get("row_step").and_then(Value::as_object).ok_or("no row_step")?;
    let mut results = Vec::new();
    for kind in params.get("files").and_then(Value::as_object).ok_or("no files")?.keys() {
        for (strength, step) in steps.iter().filter(|(strength, _)| strength.parse::<f32>().is_ok()) {
            let step = Thinning { step: step.as_u64().unwrap_or(1) as usize, steps };
            results.extend(one(&tensors, &weights, &prefixes, [kind, strength], &step)?);
        }
    }
    Ok(results)
}

/// Which rows of a delta are stored.
struct Thinning<'a> {
    step: usize,
    steps: &'a serde_json::Map<String, Value>,
}

impl Thinning<'_> {
    fn of(&self, values: Vec<f32>, shape: &[usize]) -> Vec<f32> {
        let limit = self.steps.get("only_if_more_values_than").and_then(Value::as_u64).unwrap_or(u64::MAX);
        if values.len() as u64 <= limit {
            return values;
        }
        let row = shape.iter().skip(1).product::<usize>().max(1);
        values.chunks(row).step_by(self.step.max(1)).flatten().copied().collect()
    }
}

fn one(
    tensors: &Tensors,
    weights: &ModelWeights,
    prefixes: &Prefixes,
    [kind, strength]: [&str; 2],
    thinning: &Thinning<'_>,
) -> Result<Vec<CaseResult>, Trouble> {
    let start = format!("file.{kind}.");
    let mut source = MemorySource::new(kind);
    for (name, key) in tensors.names().into_iter().filter_map(|name| Some((name, name.strip_prefix(&start)?))) {
        source.insert_f32(key, &tensors.shape(name)?, tensors.floats(name)?)?;
    }
    let file = LoraFile::new(Arc::new(source) as Arc<dyn TensorSource>);
    let mut patches = Patches::default();
    patches.add(&file, &file.find(prefixes).targets, "diffusion_model.", strength.parse()?);
    let patched = weights.patched(&patches);
    let start = format!("delta.{kind}.{strength}.");
    let stored = tensors.names().into_iter().filter_map(|name| Some((name, name.strip_prefix(&start)?)));
    let compare = |(name, target): (&str, &str)| {
        let key = target.strip_prefix("diffusion_model.").unwrap_or(target);
        let (before, after) = (weights.weights().weight(key)?, patched.weights().weight(key)?);
        let changed = after.read()?.iter().zip(before.read()?.iter()).map(|(a, b)| a - b).collect();
        Ok(near(name, &thinning.of(changed, before.shape()), &tensors.floats(name)?, DELTA))
    };
    stored.map(compare).collect()
}
