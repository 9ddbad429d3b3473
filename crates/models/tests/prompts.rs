//! Prompts through a text encoder that needs no network.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_models::ModelError;
use kiln_models::clip::Token;
use kiln_models::text::{Encoded, Prompt, TextEncoder, encode, join};
use kiln_models::tokenizer::{
    Chunk, EmbeddingFolders, Embeddings, Encoder, Found, NoEmbeddings, Tokenizer, TokenizerError, Vocabulary,
};

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
    fn find(&self, name: &str, _encoder: Encoder) -> Result<Found, TokenizerError> {
        Ok((name == "style").then(|| vec![Arc::from([7.0f32, 0.0]), Arc::from([8.0f32, 0.0])]))
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
    assert_eq!(folders.find("style", Encoder::ClipL).unwrap().unwrap().len(), 3);
    assert_eq!(folders.find("artists/old/style.safetensors", Encoder::ClipL).unwrap().unwrap().len(), 3);
    assert!(folders.find("../secret", Encoder::ClipL).unwrap().is_none());
    assert!(folders.find("other", Encoder::ClipL).unwrap().is_none());
}

/// A folder of embeddings of PyTorch, of files of the crate that reads them.
fn pickled(names: &[&str]) -> (tempfile::TempDir, EmbeddingFolders) {
    let dir = tempfile::tempdir().unwrap();
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../memory/tests/data");
    for name in names {
        std::fs::copy(data.join(name), dir.path().join(name)).unwrap();
    }
    let folders = EmbeddingFolders::new([dir.path().to_owned()]);
    (dir, folders)
}

#[test]
fn the_vectors_of_a_pickled_embedding_are_read_in_every_form() {
    let (_dir, folders) = pickled(&["embedding.pt", "embedding_of_parameters.pt", "torch_2_embedding.pt"]);
    let vectors = |name: &str| folders.find(name, Encoder::ClipL).unwrap().unwrap();
    assert_eq!(vectors("embedding"), [Arc::from([1.0f32, 2.0, 3.0]), Arc::from([4.0f32, 5.0, 6.0])]);
    assert_eq!(vectors("embedding_of_parameters.pt"), [Arc::from([7.0f32, 8.0])]);
    let torchs = vectors("torch_2_embedding");
    assert_eq!((torchs.len(), torchs[0].len()), (2, 64));
}

#[test]
fn an_embedding_that_is_there_and_cannot_be_read_is_an_error_and_no_unknown_name() {
    let (dir, folders) = pickled(&["asks_for_a_shell.pt", "asks_for_a_shell_legacy.pt"]);
    std::fs::write(dir.path().join("page.safetensors"), "<html>Log in</html>").unwrap();
    std::fs::write(dir.path().join("page.bin"), "<html>Log in</html>").unwrap();
    common::write(&dir.path().join("empty.safetensors"), &kiln_memory::TensorShapes::default());
    for (name, expected) in [
        ("asks_for_a_shell", "asks_for_a_shell.pt: byte"),
        ("asks_for_a_shell_legacy", "this Python pickle asks for `posix.system`"),
        ("page", "page.safetensors: byte 0: this is a web page"),
        ("page.bin", "page.bin: byte 0: this is a web page"),
        ("empty", "empty.safetensors holds no vectors"),
    ] {
        let prompt = format!("a embedding:{name}, cat");
        for encoder in [Encoder::ClipL, Encoder::ClipG] {
            let error = Tokenizer::bundled(encoder).unwrap().tokenize(&prompt, &folders).unwrap_err().to_string();
            assert!(error.starts_with(&format!("embedding `{name}`: ")) && error.contains(expected), "{error}");
        }
    }
    let fine = Tokenizer::bundled(Encoder::ClipL).unwrap().tokenize("a embedding:unknown cat", &folders);
    assert!(fine.is_ok(), "an unknown name is left out with a warning, as ComfyUI does");
}

#[test]
fn the_tensors_of_an_embedding_are_chosen_as_comfyui_chooses_them() {
    let dir = tempfile::tempdir().unwrap();
    let folders = EmbeddingFolders::new([dir.path().to_owned()]);
    let rows = |names: &[(&str, usize)], encoder| {
        let tensors = names.iter().map(|(name, rows)| (*name, vec![*rows, 8])).collect();
        common::write(&dir.path().join("e.safetensors"), &tensors);
        folders.find("e", encoder).unwrap().unwrap().len()
    };
    assert_eq!(rows(&[("clip_l", 1), ("string_to_param.*", 2)], Encoder::ClipL), 2);
    assert_eq!(rows(&[("clip_g", 1), ("clip_l", 2)], Encoder::ClipL), 2);
    assert_eq!(rows(&[("clip_g", 1), ("clip_l", 2)], Encoder::ClipG), 1);
    assert_eq!(rows(&[("0.a", 1), ("1.a", 2), ("1.b", 3)], Encoder::ClipL), 6);
    let bundled = [("lora.down", 9), ("bundle_emb.x.string_to_param.*", 1), ("bundle_emb.x.string_to_param.y", 2)];
    assert_eq!(rows(&bundled, Encoder::ClipL), 3);
    assert_eq!(rows(&[("emb_params", 4)], Encoder::ClipL), 4);
    assert_eq!(rows(&[("<style>", 3), ("other", 1)], Encoder::ClipL), 3);
}
