//! Prompts to tokens: equal ids, weights and word numbers.

use std::sync::Arc;

use kiln_models::tokenizer::{
    Chunk, EmbeddingFolders, Embeddings, Encoder, NoEmbeddings, Token, Tokenizer, Vocabulary, parse_weights,
};
use serde_json::{Value, json};

use crate::case::{CaseResult, Folder, Trouble};

/// `tokenizer.json`, prompt by prompt.
pub fn prompts(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let vocabulary = Arc::new(Vocabulary::bundled()?);
    let (l, g) = (Tokenizer::new(vocabulary.clone(), Encoder::ClipL), Tokenizer::new(vocabulary, Encoder::ClipG));
    let embeddings = EmbeddingFolders::new([folder.path().join("embeddings")]);
    let json = folder.json(file)?;
    let cases = json.as_array().ok_or("no list of prompts")?;
    cases.iter().map(|case| judge(case, &l, &g, &embeddings)).collect()
}

/// `tokens_random.json`: ids of texts without prompt syntax, one case for all of them.
pub fn texts(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let vocabulary = Vocabulary::bundled()?;
    let texts: Vec<(String, Vec<u32>)> = serde_json::from_value(folder.json(file)?)?;
    let mut wrong = Vec::new();
    for (text, ids) in &texts {
        if vocabulary.encode(text)? != *ids {
            wrong.push(format!("{text:?}"));
        }
    }
    let note = format!("other ids: {}", wrong.join(", "));
    Ok(vec![CaseResult::exact(format!("{} texts", texts.len()), wrong.is_empty(), note)])
}

fn judge(case: &Value, l: &Tokenizer, g: &Tokenizer, embeddings: &dyn Embeddings) -> Result<CaseResult, Trouble> {
    let prompt = case["prompt"].as_str().unwrap_or("");
    let name = format!("{:?}", prompt.chars().take(40).collect::<String>());
    let mut faults = Vec::new();
    let segments: Vec<Value> = parse_weights(prompt).into_iter().map(|s| json!([s.text, s.weight])).collect();
    if case["segments"] != Value::from(segments) {
        faults.push("other segments".to_owned());
    }
    let chunks = l.tokenize(prompt, embeddings)?;
    let rows = case["l"].as_array().map(Vec::as_slice).unwrap_or_default();
    if chunks.len() != rows.len() {
        faults.push(format!("{} chunks instead of {}", chunks.len(), rows.len()));
    }
    for (k, (chunk, row)) in chunks.iter().zip(rows).enumerate() {
        faults.extend(differing(chunk, row).map(|place| format!("chunk {k} differs at {place}")));
    }
    if case["g_differs_only_in_pad0"] == json!(true) {
        let last = g.tokenize(prompt, &NoEmbeddings)?.pop().unwrap_or_default();
        if Value::from(last.iter().map(id).collect::<Vec<_>>()) != case["g_last_row_ids"] {
            faults.push("CLIP-G's last chunk differs".to_owned());
        }
    }
    Ok(CaseResult::exact(name, faults.is_empty(), faults.join(", ")))
}

/// An embedding's vector stands as "E" (or as anything that is no number) in the reference.
fn id(token: &kiln_models::tokenizer::WeightedToken) -> Value {
    match &token.token {
        Token::Id(id) => json!(id),
        Token::Vector(_) => Value::Null,
    }
}

fn differing(chunk: &Chunk, row: &Value) -> Option<usize> {
    (0..chunk.len().max(row["ids"].as_array().map_or(0, Vec::len))).find(|&k| {
        let Some(token) = chunk.get(k) else { return true };
        let expected = &row["ids"][k];
        let same_id = match &token.token {
            Token::Id(id) => expected.as_u64() == Some(u64::from(*id)),
            Token::Vector(vector) => same_vector(vector, expected),
        };
        !same_id
            || row["weights"][k].as_f64() != Some(token.weight)
            || row["words"][k].as_u64() != Some(u64::from(token.word))
    })
}

fn same_vector(vector: &[f32], expected: &Value) -> bool {
    match expected {
        Value::Array(values) => {
            let near = |(a, b): (&f32, &Value)| b.as_f64().is_some_and(|b| (f64::from(*a) - b).abs() < 1e-6);
            vector.iter().zip(values).all(near)
        }
        other => !other.is_u64(),
    }
}
