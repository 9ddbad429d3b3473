//! `fp8_qwen`: Qwen2.5-VL out of a file in eight bits, `fp8_te_qwen`.

use std::sync::Arc;

use kiln_memory::{Budget, MemorySource, TensorShapes, TensorSource, WeightFile, apply_scales, hash_uniform};
use kiln_models::ModelWeights;
use kiln_models::image::Planes;
use kiln_models::llm::{self, LlmConfig};
use kiln_models::qwen_vision::QwenVisionConfig;
use kiln_models::text::QwenReader;
use kiln_models::tokenizer::{BytePairs, Encoder, Words, template};

use super::encoders::rows;
use super::ids::{row, tokens};
use crate::case::{CaseResult, Folder, Trouble};
use crate::nets::recipe::device;

const FILE: &str = "fp8_te_qwen.safetensors";
const TABLE: &str = "model.embed_tokens.weight";

/// The file itself: what it gives stands in another.
pub fn input(folder: &Folder, _: &str) -> Result<Vec<CaseResult>, Trouble> {
    let scaled = WeightFile::open(folder.path().join(FILE))?.names().any(|name| name.ends_with(".scale_weight"));
    Ok(vec![CaseResult::exact("has scales", scaled, "no weight has a scale beside it")])
}

/// The states of a text and of a text with a picture, from weights that are code times scale.
pub fn outputs(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors, device) = (folder.entry(file).params, folder.tensors(file)?, device());
    let (own, path) = (folder.entry(FILE).params, folder.path().join(FILE));
    if !path.is_file() {
        return Ok(vec![CaseResult::skipped("te", "the folder lacks fp8_te_qwen.safetensors")]);
    }
    let source = source(&path, own["te_prefix"].as_str().unwrap_or("qwen25vl."))?;
    let names = TensorShapes::of(&*source);
    let prefix = llm::find(&names).ok_or("no language model was recognised")?;
    let weights = ModelWeights::new(source, llm::hugging_face(&names, prefix), "te", &Budget::unlimited("parity"));
    let keys = weights.map().names();
    let vision = QwenVisionConfig::from_names(&keys)?.ok_or("there is no vision tower")?;
    let heads = own["vision"]["num_heads"].as_u64().map_or(vision.heads, |heads| heads as usize);
    let (model, vision) = (LlmConfig::from_names(&keys)?.init(&weights)?, vision.with_heads(heads).init(&weights)?);
    let reader = QwenReader { model: &model, vision: Some(&vision), device: &device };
    let words: Arc<dyn Words> = Arc::new(BytePairs::qwen()?);
    let prompt = params["prompt"].as_str().ok_or("index.json lacks `prompt`")?;
    let shape: [usize; 4] = tensors.shape("te.image")?.try_into().map_err(|_| "te.image has four sides")?;
    let image = Planes::from_pixels(shape, &tensors.floats("te.image")?)?;
    let mut results = Vec::new();
    for (name, images) in [("te.text", vec![]), ("te.image", vec![image])] {
        // Biases in eight bits are the reference's mistake.
        tensors.note(&format!("{name}.out"));
        let row = row(&words, Encoder::Qwen25, &template::qwen(prompt, None, !images.is_empty()))?;
        let context = reader.encode(&tokens(&row), &images)?.context;
        results.push(rows(&tensors, &format!("{name}.out_dequantised_first"), context)?);
    }
    Ok(results)
}

/// The file with the table that it lacks, scales applied.
fn source(path: &std::path::Path, prefix: &str) -> Result<Arc<dyn TensorSource>, Trouble> {
    let file = WeightFile::open(path)?;
    let mut source = MemorySource::new("fp8_te_qwen");
    for name in file.names() {
        let info = file.get(name).ok_or_else(|| file.missing(name))?;
        source.insert(name, info.dtype, &info.shape, file.bytes(name)?.to_vec())?;
    }
    let shape = [152_064, 64];
    let mut table = vec![0.0; shape.iter().product()];
    hash_uniform(&format!("{prefix}{TABLE}"), &shape, &mut table);
    source.insert_f32(TABLE, &shape, table)?;
    Ok(apply_scales(Arc::new(source)))
}
