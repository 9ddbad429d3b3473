//! `te_flux1`, `te_flux2`, `te_zimage`: ids, states, pooled.

use std::sync::Arc;

use burn::tensor::Tensor;
use kiln_models::clip::{Activation, Hidden, TextConfig, Token};
use kiln_models::llm::{LlmConfig, LlmModel};
use kiln_models::t5::T5Config;
use kiln_models::text::{ClipEncoder, encode, encode_flux2, encode_t5, encode_z_image};
use kiln_models::tokenizer::{BytePairs, Encoder, NoEmbeddings, T5Vocabulary, Tokenizer, Words, template};
use serde_json::Value;

use super::ids::{ids, row, tokens};
use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::nets::recipe::{device, tiny, values};

pub const TOLERANCE: f64 = 2e-5;

/// Prompts by name.
pub fn prompts(params: &Value) -> Vec<(String, String)> {
    let all = params["prompts"].as_object().into_iter().flatten();
    all.map(|(name, text)| (name.clone(), text.as_str().unwrap_or("").to_owned())).collect()
}

/// Compares states; of long prompts the reference keeps every Nth row.
pub fn rows(tensors: &Tensors, name: &str, found: Tensor<3>) -> Result<CaseResult, Trouble> {
    let [_, count, width] = found.dims();
    let sides = tensors.shape(name)?;
    let kept = if sides.len() == 3 { sides[1] } else { sides[0] };
    let step = (1..=count).find(|step| count.div_ceil(*step) == kept).unwrap_or(1);
    let found: Vec<f32> = values(found)?.chunks_exact(width).step_by(step).flatten().copied().collect();
    Ok(CaseResult::compare(name, &found, &tensors.floats(name)?, TOLERANCE))
}

pub fn same_ids(tensors: &Tensors, name: &str, found: &[i64]) -> Result<CaseResult, Trouble> {
    let expected = tensors.integers(name)?;
    Ok(CaseResult::exact(name, found == expected, format!("{found:?} instead of {expected:?}")))
}

/// A tiny T5 of the folder, and CLIPs beside it.
pub fn t5(folder: &Folder, prefix: &str) -> Result<kiln_models::t5::T5Model, Trouble> {
    let weights = tiny(folder, prefix)?;
    Ok(T5Config::from_names(&weights.map().names())?.init(&weights)?)
}

/// A tiny CLIP of the folder with the heads that its configuration names.
pub fn clip(
    folder: &Folder,
    prefix: &str,
    params: &Value,
    activation: Activation,
) -> Result<kiln_models::clip::TextModel, Trouble> {
    let weights = tiny(folder, prefix)?;
    let config = TextConfig::from_names(&weights.map().names(), activation)?;
    let heads = params["num_attention_heads"].as_u64().map_or(config.heads, |heads| heads as usize);
    Ok(config.with_heads(heads).init(&weights)?)
}

pub fn llm(folder: &Folder, prefix: &str) -> Result<(LlmConfig, kiln_models::ModelWeights), Trouble> {
    let weights = tiny(folder, prefix)?;
    Ok((LlmConfig::from_names(&weights.map().names())?, weights))
}

/// The text with blanks around ideographs: transformers 4, which made these numbers, set them apart for CLIP; today's doesn't.
fn apart(text: &str) -> String {
    let ideograph = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    text.chars().map(|c| if ideograph(c) { format!(" {c} ") } else { c.to_string() }).collect()
}

fn given<'a>(params: &'a Value, key: &str) -> Result<&'a str, Trouble> {
    Ok(params[key].as_str().ok_or_else(|| format!("index.json lacks `{key}`"))?)
}

/// `te_flux1`: T5's states with weights, CLIP-L's pooled output, T5 on given ids with and without a mask.
pub fn flux1(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors, device) = (folder.entry(file).params, folder.tensors(file)?, device());
    let words: Arc<dyn Words> = Arc::new(T5Vocabulary::bundled()?);
    let t5 = t5(folder, given(&params, "t5_prefix")?)?;
    let clip = clip(folder, given(&params, "clip_l_prefix")?, &params["clip_l"], Activation::QuickGelu)?;
    let clip = ClipEncoder { model: &clip, hidden: Hidden::LAST, projected: false, device: &device };
    let tokenizer = Tokenizer::bundled(Encoder::ClipL)?;
    let mut results = Vec::new();
    for (name, text) in prompts(&params) {
        let row = row(&words, Encoder::T5Xxl, &text)?;
        results.push(same_ids(&tensors, &format!("{name}.t5_ids"), &ids(&row, 0))?);
        let weights: Vec<f32> = row.iter().map(|token| token.weight as f32).collect();
        let stored = format!("{name}.t5_weights");
        results.push(CaseResult::compare(stored.as_str(), &weights, &tensors.floats(&stored)?, 1e-6));
        results.push(rows(&tensors, &format!("{name}.cond"), encode_t5(&t5, &row, -1, &device)?)?);
        let pooled = encode(&clip, &tokenizer.tokenize(&apart(&text), &NoEmbeddings)?, Encoder::ClipL.pad())?.pooled;
        let stored = format!("{name}.pooled");
        let found = values(pooled.ok_or("nothing pooled")?)?;
        results.push(CaseResult::compare(stored.as_str(), &found, &tensors.floats(&stored)?, TOLERANCE));
    }
    let raw: Vec<Token> = tensors.integers("raw.ids")?.into_iter().map(|id| Token::Id(id as u32)).collect();
    let hidden: Vec<bool> = tensors.integers("raw.mask")?.into_iter().map(|counts| counts == 0).collect();
    results.push(rows(&tensors, "raw.last", t5.forward(std::slice::from_ref(&raw), -1, None, &device)?)?);
    results.push(rows(&tensors, "raw.masked_last", t5.forward(&[raw], -1, Some(&hidden), &device)?)?);
    Ok(results)
}

/// A prompt's ids, mask and states for each prompt, then for given ids.
fn language(
    folder: &Folder,
    file: &str,
    encoder: Encoder,
    template: &str,
    words: Arc<dyn Words>,
    encode: impl Fn(&[Token]) -> Result<Tensor<3>, Trouble>,
) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let mut results = Vec::new();
    for (name, text) in prompts(&params) {
        let row = row(&words, encoder, &template::fill(template, &text))?;
        results.push(same_ids(&tensors, &format!("{name}.ids"), &ids(&row, 0))?);
        let all = tensors.integers(&format!("{name}.mask"))?.iter().all(|counts| *counts == 1);
        results.push(CaseResult::exact(format!("{name}.mask"), all, "a prompt of which not all counts"));
        results.push(rows(&tensors, &format!("{name}.cond"), encode(&tokens(&row))?)?);
    }
    for name in ["raw", "leftpad"].into_iter().filter(|name| tensors.has(&format!("{name}.ids"))) {
        tensors.note(&format!("{name}.mask"));
        let given = tensors.integers(&format!("{name}.ids"))?;
        let given: Vec<Token> = given.into_iter().map(|id| Token::Id(id as u32)).collect();
        results.push(rows(&tensors, &format!("{name}.cond"), encode(&given)?)?);
    }
    Ok(results)
}

/// `te_flux2`: Mistral after 10, 20 and 30 blocks.
pub fn flux2(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (config, weights) = llm(folder, given(&folder.entry(file).params, "prefix")?)?;
    let model: LlmModel = config.init(&weights)?;
    let encode = |row: &[Token]| Ok(encode_flux2(&model, row, &device())?.context);
    language(folder, file, Encoder::Mistral3, template::FLUX2, Arc::new(BytePairs::tekken()?), encode)
}

/// `te_zimage`: Qwen3 before its last block.
pub fn z_image(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (config, weights) = llm(folder, given(&folder.entry(file).params, "prefix")?)?;
    let layers = config.layers;
    let model = config.cut_to(layers.saturating_sub(1)).init(&weights)?;
    let encode = |row: &[Token]| Ok(encode_z_image(&model, row, &device())?.context);
    language(folder, file, Encoder::Qwen3, template::Z_IMAGE, Arc::new(BytePairs::qwen()?), encode)
}
