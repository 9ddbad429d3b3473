//! Prompts to ids: T5, Mistral, Qwen, with weights and templates.

use std::sync::Arc;

use kiln_models::tokenizer::{
    BytePairs, Chunk, Encoder, NoEmbeddings, QWEN_IMAGE, RowRules, RowTokenizer, T5Vocabulary, Token, Tokenizer,
    WeightedToken, Words, template,
};
use serde_json::Value;

use crate::case::{CaseResult, Folder, Trouble};

/// A row of `prompt` for an encoder.
pub fn row(words: &Arc<dyn Words>, encoder: Encoder, prompt: &str) -> Result<Vec<WeightedToken>, Trouble> {
    row_of(words, encoder, encoder.row_rules().ok_or("CLIP takes chunks")?, prompt)
}

/// A row of `prompt` by rules of its own.
pub fn row_of(
    words: &Arc<dyn Words>,
    encoder: Encoder,
    rules: RowRules,
    prompt: &str,
) -> Result<Vec<WeightedToken>, Trouble> {
    Ok(RowTokenizer::new(words.clone(), encoder, rules).tokenize(prompt, &NoEmbeddings)?)
}

/// The tokens of a row.
pub fn tokens(row: &[WeightedToken]) -> Vec<Token> {
    row.iter().map(|token| token.token.clone()).collect()
}

/// Ids of a row as the references write them; -1 where an image goes.
pub fn ids(row: &[WeightedToken], images: usize) -> Vec<i64> {
    let mut left = images;
    row.iter()
        .map(|token| match token.token {
            Token::Id(QWEN_IMAGE) if left > 0 => {
                left -= 1;
                -1
            }
            Token::Id(id) => i64::from(id),
            Token::Vector(_) => -1,
        })
        .collect()
}

fn listed(value: &Value) -> Vec<i64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
}

fn texts(json: &Value) -> Result<&[Value], Trouble> {
    Ok(json.as_array().ok_or("no list of texts")?)
}

fn verdict(text: &str, faults: &[String]) -> CaseResult {
    let name = format!("{:?}", text.chars().take(40).collect::<String>());
    CaseResult::exact(name, faults.is_empty(), faults.join(", "))
}

/// `tokens.json`: the three vocabularies alone, and with weights and templates.
pub fn flux(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let params = folder.entry(file).params;
    let given = |key: &str, own: &'static str| params[key].as_str().unwrap_or(own).to_owned();
    let (flux2, z_image) = (given("mistral_template", template::FLUX2), given("qwen_template", template::Z_IMAGE));
    let t5: Arc<dyn Words> = Arc::new(T5Vocabulary::bundled()?);
    let (tekken, qwen): (Arc<dyn Words>, Arc<dyn Words>) =
        (Arc::new(BytePairs::tekken()?), Arc::new(BytePairs::qwen()?));
    let json = folder.json(file)?;
    let mut results = vec![
        CaseResult::exact("FLUX.2's template", flux2 == template::FLUX2, "another than Kiln's"),
        CaseResult::exact("Z-Image's template", z_image == template::Z_IMAGE, "another than Kiln's"),
    ];
    for case in texts(&json)? {
        let text = case["text"].as_str().unwrap_or("");
        let mut faults = Vec::new();
        let mut check = |what: &str, found: Vec<i64>, expected: Vec<i64>| {
            if found != expected {
                faults.push(format!("{what}: {found:?} instead of {expected:?}"));
            }
        };
        let raw = |key: &str, own: &str| listed(case.get(key).unwrap_or(&case[own]));
        let alone = |words: &Arc<dyn Words>| -> Result<Vec<i64>, Trouble> {
            Ok(words.encode(text)?.into_iter().map(i64::from).collect())
        };
        let row_t5 = row(&t5, Encoder::T5Xxl, text)?;
        let length = case["t5_len"].as_i64().unwrap_or(0);
        check("T5's length", vec![row_t5.len() as i64], vec![length]);
        let expected = listed(&case["t5"]);
        check("T5", ids(&row_t5, 0).into_iter().take(expected.len()).collect(), expected.clone());
        check("T5 alone", [alone(&t5)?, vec![1]].concat(), raw("t5_raw", "t5"));
        let weights: Option<Vec<f64>> =
            case["t5_weights"].as_array().map(|all| all.iter().filter_map(Value::as_f64).collect());
        let near = |(token, weight): (&WeightedToken, &f64)| (token.weight - weight).abs() < 1e-9;
        if !weights.unwrap_or_else(|| vec![1.0; expected.len()]).iter().zip(&row_t5).all(|(w, t)| near((t, w))) {
            check("T5's weights", vec![0], vec![1]);
        }
        let mistral = row(&tekken, Encoder::Mistral3, &template::fill(&flux2, text))?;
        check("Mistral", ids(&mistral, 0), listed(&case["mistral"]));
        check("Mistral alone", [vec![1], alone(&tekken)?].concat(), raw("mistral_raw", "mistral"));
        let qwen3 = row(&qwen, Encoder::Qwen3, &template::fill(&z_image, text))?;
        check("Qwen", ids(&qwen3, 0), listed(&case["qwen"]));
        check("Qwen alone", alone(&qwen)?, raw("qwen_raw", "qwen"));
        results.push(verdict(text, &faults));
    }
    Ok(results)
}

/// `tokens_qwen_sd3.json`: Qwen-Image's templates, SD3's three encoders.
pub fn qwen_sd3(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let params = folder.entry(file).params;
    let qwen: Arc<dyn Words> = Arc::new(BytePairs::qwen()?);
    let t5: Arc<dyn Words> = Arc::new(T5Vocabulary::bundled()?);
    let (l, g) = (Tokenizer::bundled(Encoder::ClipL)?, Tokenizer::bundled(Encoder::ClipG)?);
    let plus = params["template_plus"].as_str().unwrap_or(template::QWEN_EDIT);
    let json = folder.json(file)?;
    let mut results = Vec::new();
    for case in texts(&json)? {
        let text = case["text"].as_str().unwrap_or("");
        let mut faults = Vec::new();
        for (what, template, images) in [("t2i", None, 0), ("edit_1_image", None, 1), ("plus", Some(plus), 1)] {
            let row = row(&qwen, Encoder::Qwen25, &template::qwen(text, template, images > 0))?;
            if ids(&row, images) != listed(&case[what]) {
                faults.push(format!("{what}: {:?}", ids(&row, images)));
            }
        }
        let sd3 = &case["sd3"];
        for (what, tokenizer) in [("l", &l), ("g", &g)] {
            let chunks = tokenizer.tokenize(text, &NoEmbeddings)?;
            faults.extend(chunked(&sd3[what], &chunks).map(|fault| format!("{what}: {fault}")));
        }
        let rules = RowRules { min_length: 77, ..Encoder::T5Xxl.row_rules().ok_or("T5 has rows")? };
        let row = row_of(&t5, Encoder::T5Xxl, rules, text)?;
        faults.extend(chunked(&sd3["t5xxl"], &[row]).map(|fault| format!("t5xxl: {fault}")));
        results.push(verdict(text, &faults));
    }
    Ok(results)
}

/// What differs from `{chunks, ids, weights}`, all chunks in a row.
fn chunked(expected: &Value, chunks: &[Chunk]) -> Option<String> {
    let lengths: Vec<i64> = chunks.iter().map(|chunk| chunk.len() as i64).collect();
    if lengths != listed(&expected["chunks"]) {
        return Some(format!("chunks of {lengths:?}"));
    }
    let all = chunks.concat();
    if ids(&all, 0) != listed(&expected["ids"]) {
        return Some(format!("ids {:?}", ids(&all, 0)));
    }
    let given = expected["weights"].as_array();
    let weights: Vec<f64> = given.into_iter().flatten().filter_map(Value::as_f64).collect();
    let wrong = |(token, weight): (&WeightedToken, &f64)| (token.weight - weight).abs() > 1e-9;
    let plain = given.is_none() && all.iter().any(|token| token.weight != 1.0);
    (plain || all.iter().zip(&weights).any(wrong)).then(|| "weights".to_owned())
}
