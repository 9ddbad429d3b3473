//! Ids of difficult strings: those of transformers 4.57.3 through ComfyUI's prompt syntax (`data/text_ids.jsonl`), and of the
//! templates.

use std::sync::Arc;

use kiln_models::tokenizer::{
    BytePairs, Encoder, NoEmbeddings, RowTokenizer, T5Vocabulary, Token, TokenizerError, Words, template,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    t5: Vec<u32>,
    t5_weights: Option<Vec<f64>>,
    t5_raw: Option<Vec<u32>>,
    mistral: Vec<u32>,
    qwen: Vec<u32>,
}

fn cases() -> Vec<Case> {
    include_str!("../data/text_ids.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn tokenizer(words: impl Words + 'static, encoder: Encoder) -> RowTokenizer {
    RowTokenizer::new(Arc::new(words), encoder, encoder.row_rules().unwrap())
}

fn row(tokenizer: &RowTokenizer, prompt: &str) -> (Vec<u32>, Vec<f64>) {
    let row = tokenizer.tokenize(prompt, &NoEmbeddings).unwrap();
    row.into_iter()
        .map(|token| match token.token {
            Token::Id(id) => (id, token.weight),
            Token::Vector(_) => panic!("there are no embeddings"),
        })
        .unzip()
}

#[test]
fn t5_has_the_references_ids_and_weights() {
    let words = T5Vocabulary::bundled().unwrap();
    for case in cases() {
        let raw = case.t5_raw.as_ref().unwrap_or(&case.t5);
        assert_eq!(words.encode(&case.text).unwrap(), raw[..raw.len() - 1], "{:?}", case.text);
    }
    let tokenizer = tokenizer(words, Encoder::T5Xxl);
    for case in cases() {
        let (ids, weights) = row(&tokenizer, &case.text);
        assert_eq!(ids.len(), case.t5.len().max(256));
        assert_eq!(ids[..case.t5.len()], case.t5, "{:?}", case.text);
        assert!(ids[case.t5.len()..].iter().all(|id| *id == 0));
        let expected = case.t5_weights.unwrap_or_else(|| vec![1.0; case.t5.len()]);
        assert!(weights.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9), "{:?}", case.text);
    }
}

#[test]
fn mistral_has_the_references_ids() {
    let words = BytePairs::tekken().unwrap();
    for case in cases() {
        assert_eq!(words.encode(&case.text).unwrap(), case.mistral[1..], "{:?}", case.text);
    }
    // By the same reference: `<s>`, the system prompt in its marks, the prompt in its own.
    let (ids, _) = row(&tokenizer(words, Encoder::Mistral3), &template::fill(template::FLUX2, "a photo of a cat"));
    assert_eq!(
        (ids.len(), &ids[..4], &ids[30..]),
        (38, &[1, 17, 4568, 1584][..], &[18, 3, 1097, 16649, 1307, 1261, 7990, 4][..])
    );
}

#[test]
fn qwen_has_the_references_ids() {
    let words = BytePairs::qwen().unwrap();
    for case in cases() {
        assert_eq!(words.encode(&case.text).unwrap(), case.qwen, "{:?}", case.text);
    }
    let tokenizer = tokenizer(words, Encoder::Qwen3);
    let (ids, _) = row(&tokenizer, &template::fill(template::Z_IMAGE, "a photo of a cat"));
    assert_eq!(ids, [151_644, 872, 198, 64, 6548, 315, 264, 8251, 151_645, 198, 151_644, 77091, 198]);
    assert_eq!(row(&tokenizer, &template::qwen("", None, false)).0.len(), 39);
    assert_eq!(row(&tokenizer, &template::qwen("<|im_start|>x", None, true)).0, [151_644, 87]);
}

#[test]
fn brackets_are_text_where_weights_are_off_and_escapes_are_not_kept() {
    let tokenizer = tokenizer(BytePairs::qwen().unwrap(), Encoder::Qwen3);
    assert_eq!(row(&tokenizer, "a (b:1.5) \\(c\\)").0, BytePairs::qwen().unwrap().encode("a (b:1.5) (c)").unwrap());
}

#[test]
fn a_prompt_of_three_thousand_tokens_is_one_row() {
    let tokenizer = tokenizer(T5Vocabulary::bundled().unwrap(), Encoder::T5Xxl);
    assert_eq!(row(&tokenizer, &"cat ".repeat(3000)).0.len(), 3001);
}

#[test]
fn a_tekken_file_that_is_none_says_so() {
    let error = |json: &str| BytePairs::from_tekken(json.as_bytes()).unwrap_err().to_string();
    assert!(error("{}").contains("isn't a tekken file"), "{}", error("{}"));
    let empty = r#"{"config":{"default_vocab_size":10},"vocab":[],"special_tokens":[]}"#;
    assert!(error(empty).contains("single byte 0x00"), "{}", error(empty));
    let bad = r#"{"config":{"default_vocab_size":10},"vocab":[{"rank":0,"token_bytes":"!"}],"special_tokens":[]}"#;
    assert!(matches!(BytePairs::from_tekken(bad.as_bytes()), Err(TokenizerError::Vocabulary { .. })));
}
