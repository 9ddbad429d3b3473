//! `te_sd3`: three encoders, and their outputs joined for every subset.

use std::sync::Arc;

use burn::tensor::Tensor;
use kiln_models::clip::{Activation, Hidden};
use kiln_models::text::{ClipEncoder, Prompt, Sd3Parts, encode, encode_t5};
use kiln_models::tokenizer::{Encoder, NoEmbeddings, RowRules, T5Vocabulary, Tokenizer, Words};
use serde_json::Value;

use super::encoders::{TOLERANCE, clip, prompts as texts, rows, same_ids, t5};
use super::ids::{ids, row_of};
use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::nets::recipe::{det, device, values};

fn given<'a>(params: &'a Value, key: &str) -> Result<&'a str, Trouble> {
    Ok(params[key].as_str().ok_or_else(|| format!("index.json lacks `{key}`"))?)
}

/// `te_sd3`.
pub fn prompts(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors, device) = (folder.entry(file).params, folder.tensors(file)?, device());
    let words: Arc<dyn Words> = Arc::new(T5Vocabulary::bundled()?);
    let rules = RowRules { min_length: 77, ..Encoder::T5Xxl.row_rules().ok_or("T5 has rows")? };
    let t5 = t5(folder, given(&params, "t5xxl_prefix")?)?;
    let l = clip(folder, given(&params, "clip_l_prefix")?, &params["clip_l"], Activation::QuickGelu)?;
    let g = clip(folder, given(&params, "clip_g_prefix")?, &params["clip_g"], Activation::Gelu)?;
    let hidden = Hidden { layer: -2, norm: false };
    let mut results = Vec::new();
    for (name, text) in texts(&params) {
        for (what, model, encoder) in [("l", &l, Encoder::ClipL), ("g", &g, Encoder::ClipG)] {
            let chunks = Tokenizer::bundled(encoder)?.tokenize(&text, &NoEmbeddings)?;
            results.push(same_ids(&tensors, &format!("{name}.{what}.ids"), &ids(&chunks.concat(), 0))?);
            weights(&tensors, &format!("{name}.{what}.weights"), &chunks.concat(), &mut results)?;
            let model = ClipEncoder { model, hidden, projected: what == "g", device: &device };
            let Prompt { context, pooled, .. } = encode(&model, &chunks, encoder.pad())?;
            // The same once more, the first rows.
            let again = format!("{name}.{what}.again");
            if tensors.has(&again) {
                let kept = tensors.shape(&again)?[0];
                results.push(rows(&tensors, &again, context.clone().narrow(1, 0, kept))?);
            }
            results.push(rows(&tensors, &format!("{name}.{what}.out"), context)?);
            let stored = format!("{name}.{what}.pooled");
            let found = values(pooled.ok_or("nothing pooled")?)?;
            results.push(CaseResult::compare(stored.as_str(), &found, &tensors.floats(&stored)?, TOLERANCE));
        }
        let row = row_of(&words, Encoder::T5Xxl, rules, &text)?;
        results.push(same_ids(&tensors, &format!("{name}.t5xxl.ids"), &ids(&row, 0))?);
        weights(&tensors, &format!("{name}.t5xxl.weights"), &row, &mut results)?;
        results.push(rows(&tensors, &format!("{name}.t5xxl.out"), encode_t5(&t5, &row, -1, &device)?)?);
    }
    results.push(rows(&tensors, "t5_no_tokens.out", encode_t5(&t5, &[], -1, &device)?)?);
    for (name, case) in params["join"].as_object().into_iter().flatten() {
        for (subset, expected) in case["subsets"].as_object().into_iter().flatten() {
            results.extend(joined(&tensors, name, case, subset, expected)?);
        }
    }
    Ok(results)
}

fn weights(
    tensors: &Tensors,
    name: &str,
    row: &[kiln_models::tokenizer::WeightedToken],
    results: &mut Vec<CaseResult>,
) -> Result<(), Trouble> {
    if tensors.has(name) {
        let found: Vec<f32> = row.iter().map(|token| token.weight as f32).collect();
        results.push(CaseResult::compare(name, &found, &tensors.floats(name)?, 1e-6));
    }
    Ok(())
}

/// Outputs that are a function of their names, joined for a subset of the encoders.
fn joined(
    tensors: &Tensors,
    case: &str,
    params: &Value,
    subset: &str,
    expected: &Value,
) -> Result<Vec<CaseResult>, Trouble> {
    let count = |key: &str| params["tokens"][key].as_u64().unwrap_or(0) as usize;
    // An encoder without tokens still gives as many rows as it runs on: start and end, or an end.
    let rows = |key: &str| if count(key) == 0 { if key == "t5xxl" { 1 } else { 2 } } else { count(key) };
    let clips = count("l") + count("g") > 0;
    let there = |letter: char| subset != "none" && subset.contains(letter);
    let state = |letter: char, key: &str, width: usize| -> Tensor<3> {
        let rows = rows(key);
        det(&format!("stub.{letter}.{rows}"), [1, rows, width], 1.0, 0.0)
    };
    let pooled =
        |letter: char, width: usize| -> Tensor<2> { det(&format!("stub.{letter}.pooled"), [1, width], 1.0, 0.0) };
    let parts = Sd3Parts {
        l: (clips && there('l')).then(|| (state('l', "l", 768), pooled('l', 768))),
        g: (clips && there('g')).then(|| (state('g', "g", 1280), pooled('g', 1280))),
        t5: there('t').then(|| state('t', "t5xxl", 4096)),
    };
    let Prompt { context, pooled, .. } = parts.join(&device());
    let name = format!("join.{case}.{subset}");
    let (shape, pooled) = (context.dims(), pooled.ok_or("nothing pooled")?);
    let right =
        Value::from(shape.to_vec()) == expected["shape"] && Value::from(pooled.dims().to_vec()) == expected["pooled"];
    let mut results = vec![CaseResult::exact(format!("{name}: shapes"), right, format!("{shape:?}"))];
    if tensors.has(&name) {
        let step = |n: usize| expected["stored"][n].as_u64().unwrap_or(1).max(1) as usize;
        let rows = values(context)?;
        let rows = rows.chunks_exact(shape[2]).step_by(step(0));
        let found: Vec<f32> = rows.flat_map(|row| row.iter().step_by(step(1)).copied()).collect();
        results.push(CaseResult::compare(name.as_str(), &found, &tensors.floats(&name)?, TOLERANCE));
        let stored = format!("{name}.pooled");
        let found: Vec<f32> = values(pooled)?.into_iter().step_by(step(2)).collect();
        results.push(CaseResult::compare(stored.as_str(), &found, &tensors.floats(&stored)?, TOLERANCE));
    }
    Ok(results)
}
