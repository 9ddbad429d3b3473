//! Mistral's tekken vocabulary: the JSON that its text encoders' files carry as the tensor `tekken_model`.
//!
//! Sources: `mistral-common` 1.13.1 (the file's form); transformers' Llama tokenizer for the pattern, which is not the one
//! in the file.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::byte_pairs::{BytePairs, Parts};
use super::error::TokenizerError;
use super::unpack::unpacked;

const NAME: &str = "Mistral's vocabulary (tekken)";
const BUNDLED: &[u8] = include_bytes!("../../assets/tokenizers/tekken.json.gz");
/// The id of `<s>`, before every text.
pub const TEKKEN_START: u32 = 1;
/// The id of `<pad>`.
pub const TEKKEN_PAD: u32 = 11;

const WORD: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

#[derive(Deserialize)]
struct File {
    config: Config,
    vocab: Vec<Entry>,
    special_tokens: Vec<Special>,
}

#[derive(Deserialize)]
struct Config {
    default_vocab_size: u32,
}

#[derive(Deserialize)]
struct Entry {
    rank: u32,
    token_bytes: String,
}

#[derive(Deserialize)]
struct Special {
    rank: u32,
    token_str: String,
}

impl BytePairs {
    /// The tekken vocabulary that comes with this crate.
    ///
    /// # Errors
    /// Only if the built-in file is damaged.
    pub fn tekken() -> Result<Self, TokenizerError> {
        let json = unpacked(NAME, BUNDLED)?;
        Self::from_tekken(&json)
    }

    /// Reads a tekken file, such as a checkpoint's `tekken_model`.
    ///
    /// # Errors
    /// [`TokenizerError::Vocabulary`] when it isn't such a file or lacks a byte.
    pub fn from_tekken(json: &[u8]) -> Result<Self, TokenizerError> {
        let file: File = serde_json::from_slice(json)
            .map_err(|error| TokenizerError::vocabulary(NAME, format!("it isn't a tekken file: {error}")))?;
        let offset = u32::try_from(file.special_tokens.len()).unwrap_or(u32::MAX);
        let kept = file.config.default_vocab_size.saturating_sub(offset);
        let mut ranks = HashMap::with_capacity(file.vocab.len());
        for entry in file.vocab.into_iter().filter(|entry| entry.rank < kept) {
            let bytes = STANDARD.decode(&entry.token_bytes).map_err(|error| {
                TokenizerError::vocabulary(NAME, format!("the entry of rank {} isn't base64: {error}", entry.rank))
            })?;
            ranks.insert(bytes.into_boxed_slice(), entry.rank);
        }
        let specials = file.special_tokens.into_iter().map(|special| (special.token_str, special.rank)).collect();
        Self::new(Parts { name: NAME, ranks, offset, specials, pattern: WORD, composed: false })
    }
}
