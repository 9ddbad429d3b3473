//! LoRA: every prefix of two models, and the arithmetic of every kind of adapter.

use std::sync::Arc;

use kiln_memory::{Dtype, MemorySource, TensorSource};
use kiln_models::{
    detect::Detected,
    lora::{LoraFile, Matrix, Prefixes},
    text_keys, unet_keys,
};
use serde_json::Value;

use super::recipe::names;
use crate::case::{CaseResult, Folder, Tensors, Trouble};

/// One matrix product.
const MATHS: f64 = 1e-6;

/// `lora_keys_*.json`: every prefix means the reference's weight.
pub fn keys(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let model = Detected::in_checkpoint(&names(&folder.json(&file.replace("lora_", ""))?)?)?;
    let configs: Vec<_> = model.text.iter().map(|(role, found)| (*role, &found.config)).collect();
    let unet = model.unet().ok_or("no UNet was recognised")?;
    let maps = folder.json(file)?;
    Ok(vec![same("unet", &unet_keys(&unet.config)?, &maps), same("clip", &text_keys(&configs)?, &maps)])
}

fn same(part: &str, found: &Prefixes, maps: &Value) -> CaseResult {
    let Some(expected) = maps.get(part).and_then(Value::as_object) else {
        return CaseResult::broken(part, "the file has no such map");
    };
    let pairs = expected.iter().map(|(prefix, key)| (prefix, key.as_str()));
    let wrong: Vec<_> =
        pairs.filter(|(prefix, key)| found.get(prefix).map(|place| place.key.as_str()) != *key).take(5).collect();
    CaseResult::exact(format!("{part} ({} prefixes)", expected.len()), wrong.is_empty(), format!("{wrong:?}"))
}

/// `lora_math`: `file.{type}.*` applied to `W.*` gives `out.{type}.{strength}.*`.
pub fn maths(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let tensors = folder.tensors(file)?;
    let outputs = tensors.names().into_iter().filter_map(|name| name.strip_prefix("out."));
    outputs.map(|name| one(&tensors, name)).collect()
}

/// `name` is `{type}.{strength}.{layer}`, the strength with a dot of its own.
fn one(tensors: &Tensors, name: &str) -> Result<CaseResult, Trouble> {
    let wrong = || format!("`out.{name}` is not `out.type.strength.layer`");
    let (kind, rest) = name.split_once('.').ok_or_else(wrong)?;
    let (strength, layer) = rest.rsplit_once('.').ok_or_else(wrong)?;
    let strength: f32 = strength.parse()?;
    let lora = LoraFile::new(adapters(tensors, &format!("file.{kind}."))?);
    let prefixes: Prefixes = [(layer.to_owned(), format!("{layer}.weight"))].into_iter().collect();
    let weight = format!("W.{layer}");
    let mut matrix = Matrix::new(tensors.shape(&weight)?, tensors.floats(&weight)?).ok_or("a weight fits its shape")?;
    for target in lora.find(&prefixes).targets.iter().filter(|target| target.key.ends_with(".weight")) {
        lora.adapter(target)?.apply(&mut matrix, strength)?;
    }
    Ok(CaseResult::compare(name, &matrix.values, &tensors.floats(&format!("out.{name}"))?, MATHS))
}

fn adapters(tensors: &Tensors, prefix: &str) -> Result<Arc<dyn TensorSource>, Trouble> {
    let mut source = MemorySource::new("lora_math");
    for name in tensors.names() {
        if let Some(key) = name.strip_prefix(prefix) {
            source.insert(key, Dtype::F32, &tensors.shape(name)?, tensors.bytes(name)?.to_vec())?;
        }
    }
    Ok(Arc::new(source))
}
