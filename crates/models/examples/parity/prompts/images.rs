//! `te_qwen`, `te_qwen_image`: Qwen2.5-VL on texts and on texts with images.

use std::sync::Arc;

use burn::tensor::Tensor;
use kiln_models::image::Planes;
use kiln_models::llm::LlmModel;
use kiln_models::qwen_vision::{QwenVision, QwenVisionConfig, prepared};
use kiln_models::text::QwenReader;
use kiln_models::tokenizer::{BytePairs, Encoder, Words, template};
use serde_json::Value;

use super::encoders::{TOLERANCE, llm, prompts, rows, same_ids};
use super::ids::{ids, row, tokens};
use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::nets::recipe::{det, device, tiny, values};

struct Tiny {
    model: LlmModel,
    vision: QwenVision,
    words: Arc<dyn Words>,
}

impl Tiny {
    fn new(folder: &Folder, params: &Value) -> Result<Self, Trouble> {
        let prefix = params["prefix"].as_str().ok_or("index.json lacks `prefix`")?;
        let (config, weights) = llm(folder, prefix)?;
        let vision = QwenVisionConfig::from_names(&weights.map().names())?.ok_or("there is no vision tower")?;
        let heads = params["vision"]["num_heads"].as_u64().map_or(vision.heads, |heads| heads as usize);
        let vision = vision.with_heads(heads).init(&tiny(folder, prefix)?)?;
        Ok(Self { model: config.init(&weights)?, vision, words: Arc::new(BytePairs::qwen()?) })
    }
}

/// Every Nth value of the mask, 1 where a token counts.
fn mask(tensors: &Tensors, name: &str, hidden: &[bool]) -> Result<CaseResult, Trouble> {
    same_ids(tensors, name, &hidden.iter().map(|hidden| i64::from(!hidden)).collect::<Vec<_>>())
}

/// `te_qwen`: texts alone.
pub fn texts(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors, device) = (folder.entry(file).params, folder.tensors(file)?, device());
    let tiny = Tiny::new(folder, &params)?;
    let reader = QwenReader { model: &tiny.model, vision: None, device: &device };
    let mut results = Vec::new();
    for (name, text) in prompts(&params) {
        let row = row(&tiny.words, Encoder::Qwen25, &template::qwen(&text, None, false))?;
        results.push(same_ids(&tensors, &format!("{name}.ids"), &ids(&row, 0))?);
        let prompt = reader.encode(&tokens(&row), &[])?;
        let dropped = row.len() - prompt.context.dims()[1];
        let expected = params["results"][&name]["dropped"].as_u64();
        let right = expected == Some(dropped as u64);
        results.push(CaseResult::exact(format!("{name}.dropped"), right, format!("{dropped} instead of {expected:?}")));
        results.push(rows(&tensors, &format!("{name}.cond"), prompt.context)?);
        let stored = format!("{name}.mask_returned");
        if tensors.has(&stored) {
            let hidden = reader.merge(&tokens(&row), &[])?.hidden;
            results.push(mask(&tensors, &format!("{name}.mask"), &hidden)?);
            results.push(mask(&tensors, &stored, &hidden[dropped..])?);
        }
        let right = prompt.attention_mask.is_some() == tensors.has(&stored);
        results.push(CaseResult::exact(format!("{name}: whether there is a mask"), right, "not as expected"));
    }
    Ok(results)
}

/// A picture of the parameters.
pub fn picture(of: &Value) -> Result<Planes, Trouble> {
    let name = of["det"].as_str().ok_or("a picture has a name")?;
    let side = |n: usize| of["size"][n].as_u64().unwrap_or(0) as usize;
    let (height, width) = (side(0), side(1));
    let pixels = values(det(name, [1, height, width, 3], 0.5, 0.5))?;
    Ok(Planes::from_pixels([1, height, width, 3], &pixels)?)
}

/// The text of a case: its prompt, and the template if it isn't the usual one.
fn text(name: &str, prompt: &str, count: usize, params: &Value) -> String {
    if name.starts_with("edit") {
        return template::qwen(prompt, None, true);
    }
    let edit = params["edit_template"].as_str().unwrap_or(template::QWEN_EDIT);
    let marks: String = match name {
        "more_pads_than_images" => String::new(),
        _ => (1..=count).map(|i| format!("Picture {i}: {}", template::VISION_MARK)).collect::<Vec<_>>().concat(),
    };
    template::qwen(&format!("{marks}{prompt}"), Some(edit), count > 0)
}

/// `te_qwen_image`: the tower alone, and prompts with images.
pub fn images(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors, device) = (folder.entry(file).params, folder.tensors(file)?, device());
    let tiny = Tiny::new(folder, &params)?;
    let reader = QwenReader { model: &tiny.model, vision: Some(&tiny.vision), device: &device };
    let all = params["images"].as_object().ok_or("index.json lacks `images`")?;
    let pictures = all.values().map(picture).collect::<Result<Vec<_>, _>>()?;
    // The tower's insides stand in window order.
    for name in ["vision.act.patch", "vision.act.block0", "vision.act.block7", "vision.grid"] {
        tensors.note(name);
    }
    let first = prepared(&pictures[0], &device)?;
    let order: Vec<i64> = first.grid.window_order().into_iter().map(|cell| cell as i64).collect();
    let windows = |x: Tensor<2>| {
        let count = order.len();
        x.select(0, Tensor::from_data(burn::tensor::TensorData::new(order.clone(), [count]), &device))
    };
    let found = values(windows(tiny.vision.forward(&first)?))?;
    let mut results = vec![CaseResult::compare("vision.out", &found, &tensors.floats("vision.out")?, TOLERANCE)];
    for (name, case) in params["cases"].as_object().into_iter().flatten() {
        let prompt = case[0].as_str().unwrap_or("");
        let given = match case[1].as_u64() {
            Some(count) => pictures[..(count as usize).min(pictures.len())].to_vec(),
            None => vec![pictures[2].clone()],
        };
        let row = row(&tiny.words, Encoder::Qwen25, &text(name, prompt, given.len(), &params))?;
        results.push(same_ids(&tensors, &format!("{name}.ids"), &ids(&row, given.len()))?);
        let merged = reader.merge(&tokens(&row), &given)?;
        let prompt = reader.encode(&tokens(&row), &given)?;
        tensors.note(&format!("{name}.cond"));
        let states = if given.is_empty() { "cond" } else { "cond_row_major" };
        results.push(rows(&tensors, &format!("{name}.{states}"), prompt.context)?);
        if given.is_empty() {
            continue;
        }
        let axis = |n: usize| merged.positions.places().iter().map(move |place| i64::from(place[n]));
        let places: Vec<i64> = (0..3).flat_map(axis).collect();
        results.push(same_ids(&tensors, &format!("{name}.positions"), &places)?);
        // The rows of pictures of this reference stand in window order: those of the text are compared, and the towers' own.
        tensors.note(&format!("{name}.merged"));
        for (nth, image) in given.iter().enumerate() {
            let stored = format!("{name}.vision{nth}");
            let patches = prepared(image, &device)?;
            let order: Vec<i64> = patches.grid.window_order().into_iter().map(|cell| cell as i64).collect();
            let count = order.len();
            let order = Tensor::from_data(burn::tensor::TensorData::new(order, [count]), &device);
            let found = values(tiny.vision.forward(&patches)?.select(0, order))?;
            results.push(CaseResult::compare(stored.as_str(), &found, &tensors.floats(&stored)?, TOLERANCE));
        }
    }
    Ok(results)
}
