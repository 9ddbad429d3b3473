//! Prompts through a text encoder that needs no network.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_models::ModelError;
use kiln_models::clip::Token;
use kiln_models::text::{Encoded, Prompt, TextEncoder, encode, join};
use kiln_models::tokenizer::{Chunk, EmbeddingFolders, Embeddings, Encoder, NoEmbeddings, Tokenizer, Vocabulary};

/// Says each token's id at its place (an embedding's first number for a vector), in two features.
struct Parrot;

impl TextEncoder for Parrot {
    fn encode(&self, rows: &[Vec<Token>]) -> Result<Encoded, ModelError> {
        let number = |token: &Token| match token {
            Token::Id(id) => *id as f32,
            Token::Vector(vector) => vector[0],
        };
        let (batch, length) = (rows.len(), rows[0].len());
        let values: Vec<f32> = rows.iter().flatten().flat_map(|t| [number(t), -number(t)]).collect();
        let hidden = Tensor::from_data(TensorData::new(values, [batch, length, 2]), &Device::flex());
        let pooled = hidden.clone().narrow(1, 1, 1).reshape([batch, 2]);
        Ok(Encoded { hidden, pooled })
    }
}

/// One embedding of two vectors.
struct Shelf;

impl Embeddings for Shelf {
    fn find(&self, name: &str, _encoder: Encoder) -> Option<Vec<Arc<[f32]>>> {
        (name == "style").then(|| vec![Arc::from([7.0f32, 0.0]), Arc::from([8.0f32, 0.0])])
    }
}

fn chunks(prompt: &str) -> Vec<Chunk> {
    Tokenizer::bundled(Encoder::ClipL).unwrap().tokenize(prompt, &Shelf).unwrap()
}

fn said(prompt: &str) -> Vec<f32> {
    let Prompt { context, .. } = encode(&Parrot, &chunks(prompt), Encoder::ClipL.pad()).unwrap();
    context.try_to_vec_as::<f32>().unwrap().into_iter().step_by(2).collect()
}

#[test]
fn a_weight_moves_its_tokens_away_from_the_empty_text() {
    let (plain, weighted) = (said("a cat"), said("a (cat:1.5)"));
    // At "cat" the empty text says the padding's id.
    let (cat, pad) = (plain[2], 49407.0);
    assert_eq!(weighted[2], (cat - pad) * 1.5 + pad);
    assert_eq!((weighted[1], weighted[3]), (plain[1], plain[3]));
}

#[test]
fn a_weight_of_zero_says_what_the_empty_text_says() {
    assert_eq!(said("(cat:0)")[1], 49407.0);
}

#[test]
fn long_prompts_are_chunks_one_behind_the_other() {
    let words = "cat ".repeat(80);
    let told = said(&words);
    assert_eq!(told.len(), 154);
    assert_eq!((told[0], told[77], told[76]), (49406.0, 49406.0, 49407.0));
}

#[test]
fn an_embedding_stands_among_the_tokens_with_its_own_vectors() {
    let told = said("a embedding:style cat");
    assert_eq!(told[2..4], [7.0, 8.0]);
}

#[test]
fn five_thousand_words_emoji_and_right_to_left_text_are_just_text() {
    let prompt = "שלום 😀 ".repeat(2_500);
    assert!(chunks(&prompt).len() > 60);
    let empty = Tokenizer::bundled(Encoder::ClipG).unwrap().tokenize("", &NoEmbeddings).unwrap();
    assert_eq!((empty.len(), empty[0].len()), (1, 77));
    assert_eq!(empty[0][2].token, Token::Id(0));
}

/// Lines of `[text, [id, ...]]`: hand-picked and random texts, with the ids that transformers 5.24.0 (tokenizers 0.23.3)
/// gives them without start and end.
#[test]
fn texts_of_every_script_have_the_ids_that_transformers_gives_them() {
    let vocabulary = Vocabulary::bundled().unwrap();
    for line in include_str!("data/clip_ids.jsonl").lines() {
        let (text, ids): (String, Vec<u32>) = serde_json::from_str(line).unwrap();
        assert_eq!(vocabulary.encode(&text).unwrap(), ids, "{text:?}");
    }
}

#[test]
fn two_encoders_stand_side_by_side_cut_to_the_shorter() {
    let long = encode(&Parrot, &chunks(&"cat ".repeat(80)), 0).unwrap();
    let short = encode(&Parrot, &chunks("cat"), 0).unwrap();
    let joined = join(long, short);
    assert_eq!(joined.context.dims(), [1, 77, 4]);
}

#[test]
fn an_embedding_is_found_in_folders_below_and_never_outside() {
    let dir = tempfile::tempdir().unwrap();
    let (inside, deep) = (dir.path().join("embeddings"), dir.path().join("embeddings/artists/old"));
    std::fs::create_dir_all(&deep).unwrap();
    let file = |at: &std::path::Path, names: [(&str, Vec<usize>); 1]| common::write(at, &names.into_iter().collect());
    file(&deep.join("style.safetensors"), [("emb_params", vec![3, 8])]);
    file(&dir.path().join("secret.safetensors"), [("emb_params", vec![1, 8])]);
    let folders = EmbeddingFolders::new([inside]);
    assert_eq!(folders.find("style", Encoder::ClipL).unwrap().len(), 3);
    assert_eq!(folders.find("artists/old/style.safetensors", Encoder::ClipL).unwrap().len(), 3);
    assert!(folders.find("../secret", Encoder::ClipL).is_none());
    assert!(folders.find("other", Encoder::ClipL).is_none());
}
