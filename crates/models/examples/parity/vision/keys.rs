//! Detection: every tensor of a list is consumed, none is missing.

use kiln_memory::{KeyMap, TensorShapes};
use kiln_models::{detector::DetectorConfig, segmenter::SegmenterConfig};
use serde_json::Value;

use crate::case::{CaseResult, Folder, Trouble};
use crate::nets::recipe::names;

/// `keys_yolo_world`: versions and sizes.
pub fn detectors(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let all = folder.json(file)?;
    let one = |(model, list): (&String, &Value)| {
        let names = names(list)?;
        let config = DetectorConfig::from_names(&names)?.ok_or("no detector was recognised")?;
        let size = config.size().unwrap_or("?");
        let found = format!("{}_{size}", format!("{:?}", config.version).to_lowercase());
        let same = consumed(&config.tensors()?, &names, |name| {
            name.ends_with("num_batches_tracked") || name.ends_with("dfl.conv.weight")
        });
        Ok(CaseResult::exact(model.as_str(), found == *model && same.is_empty(), format!("{found}: {same}")))
    };
    all.as_object().ok_or("the models are an object")?.iter().map(one).collect()
}

/// `keys_efficient_sam*`: one model, or models by name.
pub fn segmenters(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let all = folder.json(file)?;
    let models = all.as_object().ok_or("the models are an object")?;
    let whole = vec![("model", &all)];
    let by_name = models.iter().map(|(name, list)| (name.as_str(), list)).collect::<Vec<_>>();
    let lists = if models.values().any(Value::is_object) { by_name } else { whole };
    let one = |(model, list): (&str, &Value)| {
        let names = names(list)?;
        let config = SegmenterConfig::from_names(&names)?.ok_or("no segmenter was recognised")?;
        let same = consumed(&config.tensors()?, &names, |_| false);
        Ok(CaseResult::exact(model, same.is_empty(), same))
    };
    lists.into_iter().map(one).collect()
}

/// What is missing, misshapen or left over; nothing if the lists are the same.
fn consumed(needed: &TensorShapes, there: &TensorShapes, ignored: impl Fn(&str) -> bool) -> String {
    let there = KeyMap::under(there, "").names();
    let wrong = needed.iter().filter(|(name, shape)| there.shape(name) != Some(shape)).map(|(name, _)| name);
    let left = there.iter().map(|(name, _)| name).filter(|name| !needed.has(name) && !ignored(name));
    let wrong: Vec<&str> = wrong.take(5).collect();
    let left: Vec<&str> = left.take(5).collect();
    if wrong.is_empty() && left.is_empty() { String::new() } else { format!("wrong {wrong:?}, left {left:?}") }
}
