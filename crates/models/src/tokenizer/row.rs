//! Tokenizers that make one row of a prompt, however long it is: T5's, Qwen's, Mistral's.
//!
//! Source: ComfyUI `comfy/sd1_clip.py` (`SDTokenizer.tokenize_with_weights`, without chunks).

use std::sync::Arc;

use super::chunk::{Group, WeightedToken};
use super::embedding::Embeddings;
use super::encoder::Encoder;
use super::error::TokenizerError;
use super::group::groups;
use super::prompt::{parse_weights, unweighted};
use super::rules::RowRules;
use super::words::Words;
use crate::nets::clip::Token;

/// Prompts to rows for one text encoder.
#[derive(Debug, Clone)]
pub struct RowTokenizer {
    words: Arc<dyn Words>,
    encoder: Encoder,
    rules: RowRules,
}

impl RowTokenizer {
    /// A tokenizer over a vocabulary that others may share, for an encoder.
    pub fn new(words: Arc<dyn Words>, encoder: Encoder, rules: RowRules) -> Self {
        Self { words, encoder, rules }
    }

    /// What stands around a row's text.
    pub fn rules(&self) -> RowRules {
        self.rules
    }

    /// Tokenizes a prompt: weights (where they count), escapes, embeddings, start, end and padding.
    ///
    /// # Errors
    /// Of the vocabulary, and of an embedding that is there and can't be read.
    pub fn tokenize(&self, prompt: &str, embeddings: &dyn Embeddings) -> Result<Vec<WeightedToken>, TokenizerError> {
        let segments = if self.rules.weights { parse_weights(prompt) } else { vec![unweighted(prompt)] };
        Ok(self.row(groups(&*self.words, self.encoder, segments, embeddings, self.rules.unknown_names)?))
    }

    fn row(&self, groups: Vec<Group>) -> Vec<WeightedToken> {
        let plain = |id| WeightedToken { token: Token::Id(id), weight: 1.0, word: 0 };
        let RowRules { start, end, pad, min_padding, min_length, .. } = self.rules;
        let mut row: Vec<WeightedToken> = start.map(plain).into_iter().collect();
        for (nth, Group { tokens, weight }) in groups.into_iter().enumerate() {
            row.extend(tokens.into_iter().map(|token| WeightedToken { token, weight, word: nth as u32 + 1 }));
        }
        row.extend(end.map(plain));
        let length = (row.len() + min_padding).max(min_length);
        row.resize(length, plain(pad));
        row
    }
}
